"""Torch, and what comes with it, imported without a search for garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Import within the block without collecting garbage, and look for none in what was imported, ever.

    Torch and matplotlib make 200,000 objects that stay until the process ends. Python would go through
    them 590 times in between: a sixth of the time that the imports of train or evaluate take.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()
