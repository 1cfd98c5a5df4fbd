"""The gate: one pull request judged by git objects alone, and everything that a CI server wants to be told."""
