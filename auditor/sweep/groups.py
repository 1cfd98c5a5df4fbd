"""Near-identical submissions: who came first, and who shares the verdict."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.sweep.store import Entry


class Likeness(enum.StrEnum):
    """How a submission resembles the earliest one of its group, closest first."""

    FILES = "same files"
    CODE = "same code and launch"
    LAUNCH = "same code, launched differently"
    SHAPE = "same code under other names"


@dataclass(frozen=True, slots=True)
class Member:
    """One submission of a group.

    Attributes:
        ref, folder: which one.
        name: for people.
        likeness: to the parent; None for the parent itself.
    """

    ref: str
    folder: str
    name: str
    likeness: Likeness | None

    @property
    def inherits(self) -> bool:
        """Whether the parent's verdict on the code is this one's too: what runs is the same."""
        return self.likeness in {Likeness.FILES, Likeness.CODE}


@dataclass(frozen=True, slots=True)
class Group:
    """Submissions of one program, the parent first: the earliest pull request, whoever wrote it."""

    members: tuple[Member, ...]

    @property
    def parent(self) -> Member:
        """The earliest."""
        return self.members[0]


@dataclass(frozen=True, slots=True)
class Digests:
    """What grouping needs of an entry; reports are large and stay in the database."""

    ref: str
    folder: str
    name: str
    order: tuple[bool, int, int, str, str]
    key: str
    code: str
    shape: str
    launch: str


def digests_of(entry: Entry) -> Digests:
    """The part of an entry that grouping needs."""
    order = (entry.pull is None, entry.pull or 0, entry.time, entry.ref, entry.folder)
    return Digests(entry.ref, entry.folder, entry.name, order, entry.key, entry.code, entry.shape, entry.launch)


def group(entries: Iterable[Digests]) -> Mapping[tuple[str, str], Group]:
    """The group of every submission that resembles another one, by ref and folder."""
    by_shape: dict[str, list[Digests]] = defaultdict(list)
    for entry in entries:
        if entry.shape:
            by_shape[entry.shape].append(entry)
    groups = {}
    for alike in by_shape.values():
        if len(alike) > 1:
            found = _group(sorted(alike, key=lambda entry: entry.order))
            groups.update({(entry.ref, entry.folder): found for entry in alike})
    return groups


def _group(alike: list[Digests]) -> Group:
    parent = alike[0]
    members = [Member(parent.ref, parent.folder, parent.name, None)]
    members += [Member(entry.ref, entry.folder, entry.name, _likeness(parent, entry)) for entry in alike[1:]]
    return Group(tuple(members))


def _likeness(parent: Digests, entry: Digests) -> Likeness:
    if entry.key == parent.key:
        return Likeness.FILES
    if entry.code != parent.code:
        return Likeness.SHAPE
    return Likeness.CODE if entry.launch == parent.launch else Likeness.LAUNCH
