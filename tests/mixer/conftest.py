from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluator.ledger import Tokens
from rules.contest.shards import read_shard


@pytest.fixture(scope="session")
def real_tokens(real_data: Path) -> Tokens:
    """The first 100,001 tokens of the real validation stream, sp1024."""
    return np.asarray(read_shard(real_data / "fineweb_val_prefix_sp1024.bin")[:100_001])
