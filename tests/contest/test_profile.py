from __future__ import annotations

import datetime
from importlib import resources

import pytest

from evaluator.settings import settings_from
from rules.contest.profile import ContestProfile, load_profile, parse_profile, profile_names


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_loads_under_its_own_name_with_valid_scoring(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    settings = settings_from(profile.scoring, name)
    assert settings.windows.plan == "W-C"
    prefixes = [prefix.documents for prefix in profile.validation.prefixes]
    assert prefixes == sorted(prefixes)


def test_parameter_golf_is_the_contest_we_know() -> None:
    profile = load_profile("parameter-golf")
    assert (profile.caps.total_bytes, profile.caps.train_seconds, profile.caps.eval_seconds) == (16_000_000, 600, 600)
    assert profile.dates is not None
    assert profile.dates.end == datetime.date(2026, 4, 30)
    sp1024 = profile.validation.tokenizations[0]
    assert (sp1024.tokens, sp1024.targets, sp1024.credited_bytes) == (62_021_846, 62_021_845, 151_080_891)


def text(name: str = "mini") -> str:
    return (resources.files("rules.contest") / "profiles" / f"{name}.toml").read_text("utf-8")


@pytest.mark.parametrize(
    "broken",
    [
        "surprise = 1\n" + text(),
        text().replace("total_bytes", "total_byte"),
        text().replace("bos_id = 1", "bos_id = 'one'"),
        text().replace("name = ", "# name = "),
        text("parameter-golf").replace("targets = 62_021_845", "targets = 62_021_846"),
        text("parameter-golf").replace("documents = 50_000", ""),
        "not toml",
    ],
)
def test_a_profile_with_an_unknown_or_wrong_key_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_profile(broken)


def test_an_unknown_profile_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="mini, parameter-golf"):
        load_profile("maxi")


def test_a_profile_cannot_be_changed() -> None:
    profile: ContestProfile = load_profile("mini")
    with pytest.raises(AttributeError):
        profile.name = "other"  # type: ignore[misc]  # that is the point
