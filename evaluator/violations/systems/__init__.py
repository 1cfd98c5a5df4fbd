"""One module per published system, named for its pull request: a ``Settings`` and a ``run``."""
