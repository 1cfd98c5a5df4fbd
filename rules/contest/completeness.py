"""Is this the validation set: all of it, a part, another order, or something else?

Two references are possible. A manifest beside the data lists the digest of every document. A contest profile knows the
whole only by its number of documents and bytes, and the beginning by digests of its text; text, because then one
reference serves every tokenizer.
"""

from __future__ import annotations

import enum
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rules.contest.profile import TextPrefix, Validation


class Coverage(enum.StrEnum):
    """How a stream compares with the validation set that the contest scores."""

    COMPLETE = "complete"
    """All documents, in order."""
    PARTIAL = "partial"
    """Known documents only, but not all of them."""
    REORDERED = "re-ordered"
    """All documents, in another order."""
    UNKNOWN = "unknown"
    """Something else, or nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """The verdict on a stream.

    Attributes:
        coverage: the verdict.
        documents: documents in the stream.
        expected: documents of the reference, None where it does not say.
        evidence: one line: what was compared with what.
    """

    coverage: Coverage
    documents: int
    expected: int | None
    evidence: str

    def __str__(self) -> str:
        """Such as ``partial (901 of 50,000 documents): ...``."""
        of = "" if self.expected is None else f" of {self.expected:,}"
        return f"{self.coverage} ({self.documents:,}{of} documents): {self.evidence}"


def compare_documents(digests: Sequence[str], reference: Sequence[str]) -> Completeness:
    """Compare documents with those of a reference, by digest.

    The last document may be cut (a stream that ends early); the others count as they are.
    """
    documents, expected = len(digests), len(reference)

    def verdict(coverage: Coverage, evidence: str) -> Completeness:
        return Completeness(coverage, documents, expected, evidence)

    if list(digests) == list(reference):
        return verdict(Coverage.COMPLETE, "every document's digest is that of the manifest, in order")
    extra = Counter(digests) - Counter(reference)
    if not extra and documents == expected:
        return verdict(Coverage.REORDERED, "the manifest's documents, in another order")
    if not extra:
        return verdict(Coverage.PARTIAL, f"{documents:,} of the manifest's documents")
    if 1 < documents <= expected and extra == Counter(digests[-1:]):
        return verdict(Coverage.PARTIAL, f"{documents - 1:,} of the manifest's documents and one that may be cut")
    return verdict(Coverage.UNKNOWN, f"{extra.total():,} documents are not in the manifest")


class PrefixDigests:
    """Digests of the text of the first documents, taken while documents go by.

    Args:
        prefixes: the reference; only as many documents as its longest prefix are hashed.
    """

    def __init__(self, prefixes: Sequence[TextPrefix]) -> None:
        self._expected = {prefix.documents: prefix.sha256 for prefix in prefixes}
        self._last = max(self._expected, default=0)
        self._digest = hashlib.sha256()
        self._seen = 0
        self.matched: dict[int, bool] = {}
        """Whether the text of the first ``n`` documents is the reference's, by ``n``."""

    def add(self, text: str) -> None:
        """Take the next document's text."""
        if self._seen == self._last:
            return
        self._digest.update(text.encode())
        self._seen += 1
        if self._seen in self._expected:
            self.matched[self._seen] = self._digest.hexdigest() == self._expected[self._seen]


def compare_text(validation: Validation, documents: int, text_bytes: int, matched: dict[int, bool]) -> Completeness:
    """Compare a stream with what a profile knows of the whole validation set.

    Args:
        validation: the reference, which must say how large the validation set is.
        documents: documents in the stream, the last of them perhaps cut.
        text_bytes: UTF-8 bytes of the stream's text.
        matched: of :class:`PrefixDigests`.
    """
    expected, expected_bytes = validation.documents, validation.text_bytes
    if expected is None or expected_bytes is None:
        raise ValueError("the profile does not say how large the validation set is")
    # A stream that ends early may end inside its last document, whose text then proves nothing.
    whole = documents if documents == expected else documents - 1
    known = max((n for n in matched if n <= whole), default=0)
    same_size = (documents, text_bytes) == (expected, expected_bytes)
    if not known:
        coverage, evidence = Coverage.UNKNOWN, "too few whole documents to compare with the contest's"
    elif matched[known]:
        coverage, evidence = Coverage.UNKNOWN, f"the text of the first {known:,} documents is the contest's"
        if same_size:
            coverage, evidence = Coverage.COMPLETE, f"{evidence}, and so are the numbers of documents and bytes"
        elif documents > expected or text_bytes >= expected_bytes:
            evidence += f", but with {text_bytes:,} bytes it is larger than the contest's {expected_bytes:,}"
        else:
            coverage = Coverage.PARTIAL
    elif same_size:
        coverage, evidence = Coverage.REORDERED, "as many documents and bytes as the contest's, in another order"
    else:
        coverage, evidence = Coverage.UNKNOWN, f"the text of the first {known:,} documents is not the contest's"
    return Completeness(coverage, documents, expected, evidence)
