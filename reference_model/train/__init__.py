"""A small trainer: arrays of tokens in, averaged weights out. It reads no files and sees only what it is given."""
