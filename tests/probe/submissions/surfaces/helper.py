"""A module beside the entry, with a literal that no environment variable reaches."""


def windows(stride=64):
    return stride


STRIDE = windows()
