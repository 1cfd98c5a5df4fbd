"""Which tier is taken, and that a missing one is one clear error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from auditor.sandbox import SandboxUnavailable, Tier, available_tier, namespaces, run_program
from auditor.sandbox.tiers import FORCE_VARIABLE, why_not


@pytest.fixture(autouse=True)
def _forget_trials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv(FORCE_VARIABLE, raising=False)
    why_not.cache_clear()
    yield
    why_not.cache_clear()


def test_the_strongest_that_works_is_taken() -> None:
    working = [tier for tier in Tier if why_not(tier) is None]
    assert available_tier() is working[0]


def test_the_environment_can_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORCE_VARIABLE, "none")
    assert available_tier() is Tier.NONE
    with pytest.raises(SandboxUnavailable, match="allow-unsandboxed"):
        run_program(["/bin/true"])


def test_bubblewrap_that_is_absent_or_fails_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("no-such-program", "false"):
        why_not.cache_clear()
        monkeypatch.setattr(namespaces, "PROGRAM", program)
        assert why_not(Tier.NAMESPACES) is not None
        assert available_tier() is not Tier.NAMESPACES
        with pytest.raises(SandboxUnavailable, match="namespaces"):
            run_program(["/bin/true"], tier=Tier.NAMESPACES)


def test_no_tier_at_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.sandbox.tiers.why_not", lambda tier: None if tier is Tier.NONE else "broken")
    with pytest.raises(SandboxUnavailable, match="broken"):
        run_program(["/bin/true"])
    assert run_program(["/bin/true"], allow_unsandboxed=True).tier is Tier.NONE
    monkeypatch.setenv("CI", "1")
    with pytest.raises(SandboxUnavailable, match="CI"):
        run_program(["/bin/true"], allow_unsandboxed=True)


def test_a_program_that_is_not_there(tier: Tier) -> None:
    with pytest.raises(SandboxUnavailable, match="no-such-program"):
        run_program(["/usr/bin/no-such-program"], tier=tier)
