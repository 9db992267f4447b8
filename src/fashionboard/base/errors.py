"""The errors that are meant for people: each says what was expected, what was found, what to do."""

import errno
import os
import sys
import textwrap
import unicodedata
from collections.abc import Callable

# of a picture that may well be whole
NO_ROOM = "expected memory for the picture, found too little; end other programs, or make it smaller"


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


class PictureError(FashionboardError):
    """A picture cannot be read, or there is nothing on it."""


class TrainingError(FashionboardError):
    """Training cannot start or cannot go on with these parameters."""


class ExtraError(FashionboardError):
    """A package is missing that only an extra of pyproject.toml brings."""


class BoardError(FashionboardError):
    """There is nothing that the board could show, or no way to show it."""


class PathError(FashionboardError):
    """A link in a repository stands where something would be written or removed."""


# what a full or protected disk says, wherever it is written to
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
# what a file in a folder's place says, or a folder in a file's
_KIND = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
# what is said to a user without permission, of reading and of writing
_ACCESS = {errno.EACCES, errno.EPERM}

# characters of a reason
_LONGEST = 300


def line(error: FashionboardError) -> str:
    """Return what is printed of `error`."""
    # what is found may hold line ends of its own
    return visible(f"error: {' '.join(str(error).split())}")


# zero-width non-joiner and joiner: scripts and emoji are written with them
_JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    r"""Return `text` with each character that is not seen, but may act on a terminal, as its code: `\x1b`.

    These are controls, line ends, marks of writing direction and what is no character. Spaces of
    every width stay, and so do the joiners of letters.
    """
    return "".join(
        each
        if each.isprintable() or each in _JOINERS or unicodedata.category(each) == "Zs"
        else each.encode("unicode_escape").decode()
        for each in text
    )


def reason(error: BaseException) -> str:
    """Return why something failed, in a line that is not too long to read."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return textwrap.shorten(text or type(error).__name__, _LONGEST, placeholder=" ...")


def run(main: Callable[[], None]) -> None:
    """Call `main`; end the process with one line and exit code 1 if it raises a FashionboardError.

    The same for a disk that cannot be written. Every other exception is a bug and keeps its traceback.
    """
    try:
        main()
    except FashionboardError as error:
        sys.exit(line(error))
    except BrokenPipeError:
        # who was reading has seen enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        name = error.filename or "an output"
        if error.errno in _ACCESS:
            sys.exit(visible(f"error: {name} cannot be opened ({error.strerror}); give access"))
        if error.errno in _KIND:
            sys.exit(
                visible(f"error: {name}: expected another kind of file ({error.strerror}); move it away")
            )
        if error.errno not in _DISK:
            raise
        sys.exit(visible(f"error: {name} cannot be written ({error.strerror}); make room or give access"))
