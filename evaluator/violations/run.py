"""What a published system gets to run on, and how it is found by name."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any

from evaluator.ledger import Tokens
from evaluator.scoring.adapt import ByteCounts
from evaluator.scoring.windows import WindowPlan
from evaluator.settings import Published, ScoringSettings
from evaluator.violations import systems
from evaluator.violations.readout import ModelReadout, Readout, UniformReadout
from evaluator.violations.scores import Scores
from evaluator.violations.training import Trainer
from reference_model import GPT


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """Everything at once: the model, the whole stream (targets and all) and where scores go.

    Attributes:
        model: the reference GPT with the artifact's weights, or None for a uniform distribution.
        vocab_size: ``V``.
        tokens: uint16 ``(T + 1,)``.
        credited: bytes of each target.
        plan: the windows of ``scoring``.
        scoring: windows, chunk and optimiser of the preset.
        scores: where scores are entered.
    """

    model: GPT | None
    vocab_size: int
    tokens: Tokens
    credited: ByteCounts
    plan: WindowPlan
    scoring: ScoringSettings
    scores: Scores

    def readout(self, *, temperature: float = 1.0) -> Readout:
        """Reads the windows with the weights as they stand."""
        if self.model is None:
            return UniformReadout(self.tokens, self.plan, self.vocab_size)
        return ModelReadout(self.model, self.tokens, self.plan, self.scoring.micro_batch, temperature=temperature)

    def trainer(self, ranks: int) -> Trainer | None:
        """Trains as ``scoring.ttt`` says, with the grouping of ``ranks`` ranks; None without model or training."""
        if self.model is None or self.scoring.ttt is None:
            return None
        length = self.scoring.windows.length
        return Trainer(self.model, self.scoring.ttt, length, ranks, self.tokens, self.credited)


def run_published(run: PublishedRun, published: Published) -> Trainer | None:
    """Run the system that ``published`` names into ``run.scores``; its trainer, if it trains.

    Raises:
        ValueError: no such system, an unknown setting, or a value out of range.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(systems.__path__))
    if published.system not in names:
        raise ValueError(f"no published system is called {published.system!r}; there are {', '.join(names)}")
    module = importlib.import_module(f"{systems.__name__}.{published.system}")
    known: set[str] = {field.name for field in dataclasses.fields(module.Settings)}
    if unknown := sorted(set(published.settings) - known):
        raise ValueError(f"{published.system} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    settings: Any = module.Settings(**published.settings)
    trainer: Trainer | None = module.run(run, settings)
    return trainer
