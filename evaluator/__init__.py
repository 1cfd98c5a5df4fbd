"""The official scorer: artifact in, scorecard out."""
