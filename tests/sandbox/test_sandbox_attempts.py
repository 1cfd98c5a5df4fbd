"""Attacks that try to reach something: every one fails in every tier, and the real ones succeed without isolation."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sandbox_attempts import CLOSED, OPEN, program

from auditor.sandbox import SandboxResult, Status, Tier


@contextmanager
def harness(folder: Path) -> Iterator[dict[str, Any]]:
    """Things worth attacking, and what the attacker is told of them."""
    text = secrets.token_hex(16)
    hidden, readable, outside = folder / "hidden", folder / "readable", folder / "outside"
    hidden.mkdir()
    (hidden / "secret").write_text(text)
    readable.write_text("public")
    readable.chmod(0o666)
    outside.mkdir()
    outside.chmod(0o777)
    (outside / "victim").write_text("still here")
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        patch.setenv("API_TOKEN", text)
        patch.delenv("CI", raising=False)
        unix.bind(str(folder / "socket"))
        (folder / "socket").chmod(0o777)
        unix.listen()
        abstract.bind(f"\0sandbox-test-{text}")
        abstract.listen()
        yield {
            "pid": os.getpid(),
            "secret": str(hidden / "secret"),
            "secret_text": text,
            "readable": str(readable),
            "outside": str(outside),
            "port": tcp.getsockname()[1],
            "unix": str(folder / "socket"),
            "abstract": f"sandbox-test-{text}",
        }


def run_attempts(run_source: Any, attempts: Mapping[str, str], facts: dict[str, Any], **options: Any) -> SandboxResult:
    result: SandboxResult = run_source(
        program(attempts),
        arguments=[json.dumps(facts), json.dumps(list(attempts))],
        readable=[Path(facts["readable"])],
        **options,
    )
    assert result.status is Status.OK, result.stderr
    return result


@pytest.fixture(scope="module")
def outcomes(tier: Tier, run_source: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every attempt got in ``tier``; and what it did to us, under ``harmed``."""
    folder = tmp_path_factory.mktemp("harness")
    signals: list[int] = []
    previous = signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
    try:
        with harness(folder) as facts:
            result = run_attempts(run_source, {**OPEN, **CLOSED}, facts, tier=tier)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    intact = (folder / "readable").read_text() == "public" and [
        path.name for path in (folder / "outside").iterdir()
    ] == ["victim"]
    return {**result.json, "harmed": bool(signals) or not intact}


@pytest.mark.parametrize("name", [*OPEN, *CLOSED])
def test_attempt_fails(outcomes: dict[str, Any], name: str) -> None:
    assert outcomes[name] is None


def test_the_harness_is_unharmed(outcomes: dict[str, Any]) -> None:
    assert not outcomes["harmed"]


@pytest.fixture(scope="module")
def unsandboxed(run_source: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the attempts that need no luck get without isolation."""
    folder = tmp_path_factory.mktemp("control")
    with harness(folder) as facts:
        result = run_attempts(run_source, OPEN, facts, tier=Tier.NONE, allow_unsandboxed=True)
    gained: dict[str, Any] = result.json
    return gained


@pytest.mark.parametrize("name", OPEN)
def test_attempt_is_real(unsandboxed: dict[str, Any], name: str) -> None:
    assert unsandboxed[name] is not None
