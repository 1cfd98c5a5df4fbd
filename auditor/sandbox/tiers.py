"""Which isolation this machine offers, found by running a trivial program under it."""

from __future__ import annotations

import os
from functools import cache

from auditor.sandbox.result import Limits, SandboxUnavailable, Status, Tier

FORCE_VARIABLE = "REFEREE_SANDBOX_TIER"
"""Environment variable that names the tier to use, for tests of the weaker ones."""


@cache
def why_not(tier: Tier) -> str | None:
    """Why ``tier`` does not work here, one line; None if it does. Tried once per process."""
    from auditor.sandbox.runner import run_program  # the runner asks us for its default

    if tier is Tier.NONE:
        return None
    try:
        result = run_program(["/bin/true"], limits=Limits(wall_seconds=20.0, cpu_seconds=10.0), tier=tier)
    except (OSError, SandboxUnavailable) as error:
        return str(error)
    return None if result.status is Status.OK else f"{result.status}: {result.detail or result.stderr.strip()}"


def available_tier() -> Tier:
    """The strongest tier that works here, or the one that ``REFEREE_SANDBOX_TIER`` names."""
    if forced := os.environ.get(FORCE_VARIABLE):
        return Tier(forced)
    return next(tier for tier in Tier if why_not(tier) is None)


def choose(tier: Tier | None, *, allow_unsandboxed: bool) -> Tier:
    """``tier``, or the best one here; never none unless allowed, and never in CI.

    Raises:
        SandboxUnavailable: only running without isolation is left, and that is not acceptable.
    """
    chosen = tier or available_tier()
    if chosen is Tier.NONE:
        reasons = "; ".join(f"{each}: {why_not(each)}" for each in Tier if each is not Tier.NONE)
        if "CI" in os.environ:
            raise SandboxUnavailable(f"no sandbox works here, and CI never runs without one ({reasons})")
        if not allow_unsandboxed:
            raise SandboxUnavailable(f"no sandbox works here ({reasons}); --allow-unsandboxed runs without one")
    return chosen
