"""Whether this process was told to end.

A signal raises SystemExit. Where Python ignores exceptions, as in a callback of a library that is being
imported, it is lost; so the signal is noted, too.
"""

import sys

# the numbers of the signals
told: list[int] = []


def stop(number: int) -> None:
    """End the process, by an exception, on the signal `number`."""
    told.append(number)
    sys.exit(128 + number)


def check() -> None:
    """Raise SystemExit if a signal came whose own exception was lost."""
    if told:
        sys.exit(128 + told[0])
