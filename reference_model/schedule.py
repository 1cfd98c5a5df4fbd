"""The order in which the physical blocks run."""

from __future__ import annotations

from dataclasses import dataclass

from reference_model.config import GPTConfig


@dataclass(frozen=True, slots=True)
class Schedule:
    """A U-shaped pass over the blocks.

    Attributes:
        encoder: block index per encoder step; each step's output is pushed on a stack.
        decoder: block index per decoder step; step i first pops one output, as long as there are any.
    """

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]

    @property
    def num_skips(self) -> int:
        """How many decoder steps receive an encoder output."""
        return min(len(self.encoder), len(self.decoder))


def schedule(config: GPTConfig, *, looping: bool = True) -> Schedule:
    """The steps of one forward pass: the first half of them, rounded down, encodes.

    Args:
        config: the model.
        looping: run the repeated segment ``num_loops`` extra times. Evaluation always does; training may start
            without (#1477 for half of its time).
    """
    repeats = config.num_loops + 1 if looping else 1
    segment = range(config.loop_start, config.loop_end + 1)
    order = [
        *range(config.loop_start),
        *(block for _ in range(repeats) for block in segment),
        *range(config.loop_end + 1, config.num_layers),
    ]
    half = len(order) // 2
    return Schedule(encoder=tuple(order[:half]), decoder=tuple(order[half:]))
