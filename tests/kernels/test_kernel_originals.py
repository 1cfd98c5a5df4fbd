"""The kernels of real submissions, from a git mirror of the contest's repository, come out as they were ruled."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from auditor.kernels import kernel_facts
from auditor.submission import read_submission

RECORDS = "records/track_10min_16mb/"
FOLDERS = {
    1967: "2026-04-30_NgramTilt_V21_LeakyReLU_1.05851",
    1145: "2026-03-29_Loader_FullGPTQ_XSA11_OnlineNgramAgreement",
    1534: "2026-04-06_SP4096_LegalNgram",
    2118: "2026-05-01_Gated XSA + token-only n-gram TTT + GPTQ_RESERVE=2.0",
    2041: "2026-05-01_SP8192_InsiderNgram_V21_NoGatedXSA_1.0569",
    2050: "2026-04-30_AidenKim_SP8192_CaseOps_2560NoQV_AdaptiveHedge_1.06083",
    2018: "2026-04-30_GatedXSA_LQERTop1_IntimerNgramTTT",
    2134: "2026-05-01_SP8192_PR2130Base_GW8",
    2135: "2026-05-01_SP8192_PR2130Base_Calib32",
    2136: "2026-05-01_SP8192_PR2130Base_GW8_Calib32",
    1437: "2026-04-07_SP8192_ParallelResid7_Loop35_NgramTilt",
    1420: "2026-04-06_TripleLoop_FusedKernels_Ngram",
    1514: "2026-04-09_A2_Muon097_3Seed",
    2123: "2026-04-30_GatedXSA_LQERg32top4_TTTlocal080_NgramTilt_Combined",
    2124: "2026-04-30_GatedXSA_LQERg32top4_TTTlocal080_NgramTilt_Combined",
    2129: "2026-05-01_AdaptiveBoost_NgramTilt_NonRecord",
    2140: "2026-05-01_PR2014_Leaky03_InTimerNgramTTT_1.0555",
}
ON = {1967, 1145, 1534, 2118, 2041, 2050}
DORMANT = {2018, 2134, 2135, 2136, 2123, 2124, 2129, 2140}


def git(mirror: str, *arguments: str) -> bytes:
    return subprocess.run(["git", "--git-dir", mirror, *arguments], capture_output=True, check=True).stdout


def checkout(mirror: str, number: int, root: Path) -> Path:
    folder = RECORDS + FOLDERS[number] + "/"
    for row in git(mirror, "ls-tree", "-r", "-z", f"refs/pull/{number}/head", folder).split(b"\0"):
        header, _, name = row.partition(b"\t")
        path = root / os.fsdecode(name).removeprefix(folder)
        if path.suffix in {".py", ".c", ".cpp", ".log", ".md", ".json", ".sh", ".txt"} and header.split()[1] == b"blob":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(git(mirror, "cat-file", "blob", header.split()[2].decode()))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(FOLDERS))
def test_originals(mirror: str, number: int, tmp_path: Path) -> None:
    found = kernel_facts(read_submission(checkout(mirror, number, tmp_path)))
    leaks = [leak for kernel in found for leak in kernel.facts.leaks]
    states = {channel.state for kernel in found for channel in kernel.channels}
    assert not [reason for kernel in found for f in kernel.facts.functions for reason in f.not_analysable]
    assert states == ({"on"} if number in ON else {"off"} if number in DORMANT else set())
    assert {leak.output for leak in leaks} <= {"within_top_token", "within_top_prob", "within_valid"}
    assert all(leak.certain for leak in leaks)
    if number == 1967:
        assert {322, 323, 351} <= {step.line for leak in leaks for step in leak.path}
