"""The errors that are meant for people: each says what was expected, what was found, what to do."""

import sys
from collections.abc import Callable


class FashionboardError(Exception):
    """Something outside the program is wrong. The message is one line."""


class ParameterError(FashionboardError):
    """params.yaml holds something that the schema does not allow."""


class DataError(FashionboardError):
    """A data set on disk is missing, truncated or not what its header says."""


class DownloadError(FashionboardError):
    """No source delivered a file with the expected checksum."""


class ModelError(FashionboardError):
    """A model file is missing, damaged or from another network."""


class TrainingError(FashionboardError):
    """Training cannot start or cannot go on with these parameters."""


def run(main: Callable[[], None]) -> None:
    """Call `main`; end the process with one line and exit code 1 if it raises a FashionboardError.

    Every other exception is a bug and keeps its traceback.
    """
    try:
        main()
    except FashionboardError as error:
        sys.exit(f"error: {error}")
