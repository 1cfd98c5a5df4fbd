"""The board: a sweep's results as a static site that opens from disk, offline, and keeps hostile text as text."""
