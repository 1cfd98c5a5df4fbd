"""Make dishonest submissions out of honest ones.

A *host* is a clean submission. A *family* holds one kind of violation in several *idioms*, each with (where there is
one) its *twin*: nearly the same text, and legal. An idiom is a template whose pieces go to named *places* of the host,
found by the shape of its code; a *variation* then renames, extracts, aliases or wraps. Everything is deterministic in
(host, seed). Nothing here knows how the auditor works.
"""
