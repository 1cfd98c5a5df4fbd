"""Causal n-gram statistics and normalised mixing."""

from evaluator.mixer.base import BaseScores, Mixer
from evaluator.mixer.registry import build_mixer, mixer_names

__all__ = ["BaseScores", "Mixer", "build_mixer", "mixer_names"]
