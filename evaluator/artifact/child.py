"""The decoding program: runs inside the sandbox, reads the artifact from standard input, sends its tensors.

``python -m evaluator.artifact.child LIMITS`` with the fields of :class:`DecodeLimits` as JSON. What it sends is the
outcome of :func:`.decode_bytes`: facts and tensors, or ``{"refused": {"reason", "message"}}``.
"""

from __future__ import annotations

import json
import sys

from auditor.sandbox.child import send
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.limits import DecodeLimits
from evaluator.refusal import Refused


def main() -> None:
    """Decode standard input and send the outcome."""
    limits = DecodeLimits(**json.loads(sys.argv[1]))
    try:
        facts, tensors = decode_bytes(sys.stdin.buffer.read(), limits)
    except Refused as refused:
        send({"refused": {"reason": refused.reason, "message": refused.message}})
    else:
        send(facts, tensors)


if __name__ == "__main__":
    main()
