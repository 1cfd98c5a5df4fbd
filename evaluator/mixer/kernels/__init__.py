"""The compiled loops of the mixers: plain data in, plain data out. Importing a module of this package imports numba."""
