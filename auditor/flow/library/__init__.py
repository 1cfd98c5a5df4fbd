"""Models of what submissions import; :mod:`auditor.flow.library.dispatch` finds the one of a call."""
