"""A scorecard for readers: terminal, JSON, HTML."""
