"""Causal n-gram statistics and normalised mixing."""
