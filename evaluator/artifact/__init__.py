"""Bytes -> tensors: an artifact is sniffed, decompressed within bounds and decoded in a jailed child."""

from evaluator.artifact.decoded import Decoded
from evaluator.artifact.decoding import decode
from evaluator.artifact.limits import DecodeLimits
from evaluator.artifact.match import fits, match

__all__ = ["DecodeLimits", "Decoded", "decode", "fits", "match"]
