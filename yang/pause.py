"""A pause of Python's cycle collector while a program's tree is built.

Is:     a context manager; the collector runs again afterwards, if it ran before.
Is not: needed for correctness: trees hold no cycles, so there is nothing to collect, but each of the collector's rounds
        walks all of a growing tree again (measured: lowering 10,000 lines takes 0.8 s instead of 2.9 s).
Fits:   around the stations that make many small objects.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the cycle collector from running inside the block."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
