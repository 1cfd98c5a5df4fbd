"""What `audit` says of planted violations and of their legal twins; benchmarks/mutation.py measures it at length."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from mutator.families import FAMILIES
from mutator.generate import Mutant, mutate
from mutator.host import Host, own_hosts
from mutator.judge import judge
from mutator.vary import Variation

HOSTS = own_hosts()
RECALL = 0.95
"""At least this share of the sample is found."""


def sample(*, twins: bool) -> Iterator[Mutant]:
    """Every idiom once, the hosts in turn, in a variation that the seed picks; twins as they stand."""
    rng = random.Random(0)
    idioms = [(family, idiom) for family in FAMILIES for idiom in family.idioms if idiom.has_twin or not twins]
    for number, (family, idiom) in enumerate(idioms):
        host = HOSTS[number % len(HOSTS)]
        variation = Variation.PLAIN if twins else rng.choice(list(Variation))
        made = mutate(host, family, idiom, variation, 0, twin=twins)
        made = made or mutate(host, family, idiom, Variation.PLAIN, 0, twin=twins)
        assert made is not None
        yield made


@pytest.mark.parametrize("host", HOSTS, ids=[host.name for host in HOSTS])
def test_nothing_is_found_in_a_host(host: Host) -> None:
    outcome = judge(host)
    assert not outcome.accusations
    assert not outcome.unsure


@pytest.mark.slow
def test_planted_violations_are_found() -> None:
    every = list(sample(twins=False))
    missed = [mutant.name for mutant in every if not judge(mutant.host).finds(mutant.conditions)]
    assert len(every) - len(missed) >= RECALL * len(every), missed


@pytest.mark.slow
def test_legal_twins_are_not_accused() -> None:
    outcomes = {mutant.name: judge(mutant.host).rules for mutant in sample(twins=True)}
    accused = {name: sorted(rules) for name, rules in outcomes.items() if rules}
    assert not accused
