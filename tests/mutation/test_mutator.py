"""The generator itself: what it makes is a program, is what it says, and is the same every time."""

from __future__ import annotations

import ast
import collections
import functools

import pytest
from mutator.families import FAMILIES
from mutator.find import find_places
from mutator.generate import Mutant, mutate
from mutator.host import Host, own_hosts
from mutator.places import NoPlaceError, Place
from mutator.template import Idiom
from mutator.vary import Variation

HOSTS = own_hosts()
IDIOMS = [(family, idiom) for family in FAMILIES for idiom in family.idioms]


@pytest.fixture(params=HOSTS, ids=[host.name for host in HOSTS])
def host(request: pytest.FixtureRequest) -> Host:
    assert isinstance(request.param, Host)
    return request.param


@functools.cache
def plain(name: str, number: int) -> Mutant | None:
    """The idiom with that number in the host of that name, as it stands."""
    host = next(host for host in HOSTS if host.name == name)
    return mutate(host, *IDIOMS[number], Variation.PLAIN, 0)


def test_every_family_has_eight_idioms_and_a_twin() -> None:
    for family in FAMILIES:
        assert len(family.idioms) >= 8, family.name
        assert len({idiom.name for idiom in family.idioms}) == len(family.idioms), family.name
        assert any(idiom.has_twin for idiom in family.idioms), family.name


def test_a_host_has_every_place_of_statements(host: Host) -> None:
    assert set(Place) - set(find_places(host.tree())) == {Place.TRAIN_FILES, Place.SETTINGS}


def test_every_idiom_fits_every_host_of_ours(host: Host) -> None:
    unchanged = ast.unparse(host.tree()) + "\n"
    for number, (family, idiom) in enumerate(IDIOMS):
        made = plain(host.name, number)
        assert made is not None, f"{family.name}/{idiom.name}"
        assert made.host.files[host.entry] != unchanged


def test_a_twin_is_another_text_than_its_violation(host: Host) -> None:
    for number, (family, idiom) in enumerate(IDIOMS):
        if not idiom.has_twin:
            continue
        bad = plain(host.name, number)
        good = mutate(host, family, idiom, Variation.PLAIN, 0, twin=True)
        assert bad is not None
        assert good is not None
        assert bad.host.files != good.host.files, f"{family.name}/{idiom.name}"
        assert not good.conditions


def test_most_variations_apply(host: Host) -> None:
    applied: collections.Counter[Variation] = collections.Counter()
    for family, idiom in IDIOMS[::6]:
        for variation in Variation:
            applied[variation] += mutate(host, family, idiom, variation, 0) is not None
    assert min(applied.values()) >= 2, applied
    assert sum(applied.values()) >= 0.6 * len(Variation) * len(IDIOMS[::6])


def test_the_seed_decides(host: Host) -> None:
    family, idiom = IDIOMS[0]
    first, again, other = (mutate(host, family, idiom, Variation.RENAMED, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_twin_must_replace_what_is_there() -> None:
    with pytest.raises(ValueError, match="not there"):
        Idiom("x", {Place.ROW: "a = 1"}, twin=(("b", "c"),)).legal()


def test_a_script_without_scoring_rows_has_no_place() -> None:
    with pytest.raises(NoPlaceError):
        find_places(ast.parse("def main():\n    pass\n"))
    stranger = Host("stranger", "train_gpt.py", {"train_gpt.py": "x = 1\n"})
    assert mutate(stranger, *IDIOMS[0], Variation.PLAIN, 0) is None
