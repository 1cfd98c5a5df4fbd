"""A run started by root has a uid of its own, whatever else runs on the machine."""

from __future__ import annotations

import os
import subprocess

import pytest

from auditor.sandbox.jail import Jail, workspace
from auditor.sandbox.result import Limits, Tier

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives uids away")


def draw() -> int:
    with workspace() as folder:
        uid = Jail(Tier.LANDLOCK, ["/bin/true"], [], Limits(), folder).uid
        assert uid is not None
        return uid


def test_processes_that_start_one_after_the_other_do_not_draw_alike() -> None:
    assert len({draw() for _ in range(20)}) > 15


def test_a_uid_in_use_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.sandbox.jail._UIDS", range(61184, 61186))
    taken = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=61184)
    try:
        assert {draw() for _ in range(8)} == {61185}
    finally:
        taken.communicate()
