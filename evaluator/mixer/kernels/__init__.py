"""The compiled loops of the mixers: plain data in, plain data out. Importing a module of this package imports numba.

Numba's cache on disk knows when the file of a function changed, but not when the file of a function that it calls did:
a loop here calls loops of its own module only.
"""
