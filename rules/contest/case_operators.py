"""The inverse of the CaseOps transform, which some tokenizers see their text through (systems.md 5.3).

CaseOps rewrites maximal runs of ASCII letters before tokenisation: ``Title`` is U+E001 and ``title``, ``UPPER`` is
U+E002 and ``upper``, ``iPhone`` is ``i`` U+E003 ``phone``; U+E004 makes the next of these characters literal.
"""

from __future__ import annotations

import re
from typing import Final

OPERATORS: Final = ("\ue001", "\ue002", "\ue003", "\ue004")
"""Title, upper, capital and escape, as a tokenizer's pieces."""

_APPLY: Final = re.compile("\ue004(.)|\ue002([a-z]*)|[\ue001\ue003]([a-z]?)|\ue004", re.DOTALL)


def plain_text(text: str) -> str:
    """Decoded text with its case operators applied; an operator with nothing to apply to vanishes."""
    return _APPLY.sub(lambda found: found[1] or (found[2] or found[3] or "").upper(), text)
