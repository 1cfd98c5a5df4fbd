"""Demonstrations of violations: published systems run exactly as their code runs, illegal parts included.

Nothing here can give an official score. Everything else in the evaluator goes through two doors: what learns takes
``ScoredTokens`` from the ledger, and what counts comes from ``CausalCounts``. This package goes around both, visibly:
it trains on tokens before scoring them, scores tokens twice, and mixes in ratios of hash buckets that are no
distribution. It exists so that a claimed score can be shown beside an honest one on the same artifact and data.

No other package imports it (import-linter holds that); it is a program of its own, :mod:`evaluator.violations.worker`,
which is started by name for presets that carry a table ``[published]``.
"""
