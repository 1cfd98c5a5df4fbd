"""A small contest made from text that every CPython carries, for the demo and the tests."""
