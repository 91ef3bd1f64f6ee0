#!/usr/bin/env python3
"""Writes the input of the magika model for one file.

    python3 features.py FILE OUT.npz

The model reads 2048 integers: the first 1024 bytes of the file without leading whitespace, then the last
1024 bytes without trailing whitespace. Missing bytes are 256: after the first part, before the second.
Of each end of the file at most 4096 bytes are looked at. Needs numpy.
"""

import os
import sys

import numpy as np

SIDE = 1024
BLOCK = 4096
PADDING = 256


def features(path):
    """The input of the model, int32 [1, 2048]."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(BLOCK).lstrip()[:SIDE]
        file.seek(max(0, size - BLOCK))
        tail = file.read(BLOCK).rstrip()[-SIDE:]
    values = np.full((1, 2 * SIDE), PADDING, dtype=np.int32)
    values[0, : len(head)] = list(head)
    values[0, 2 * SIDE - len(tail) :] = list(tail)
    return values


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    np.savez_compressed(sys.argv[2], **{"in:bytes": features(sys.argv[1])})


if __name__ == "__main__":
    main()
