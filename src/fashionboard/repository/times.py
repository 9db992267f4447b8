"""How long a stage took and how much memory, kept beside its run: no output may depend on a clock.

The file's name holds the digest of the stage's inputs, as the name of its event file does. So it is found
for every commit and experiment with such a run, wherever DVC ran it, and another run does not overwrite it.
"""

import contextlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fashionboard.base import clock, errors, processor
from fashionboard.base.clock import PARTS, Loop, Part
from fashionboard.base.errors import PathError
from fashionboard.repository import keeping, no_links

# files that are kept, of the newest runs: two an experiment, 4 kB of disk each
_NEWEST = 4_000
# bytes of a file, letters of a processor's name
_LARGEST, _LONGEST = 4_000, 200
# seconds, steps and bytes of a run, far above what there is
_MOST = 10**15
_KEY = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True)
class Times:
    """What a stage's process took that ended well.

    parts: seconds by part, see `clock`. peak_memory: in bytes, None where the system did not tell it.
    loop: of a training; of one that was stopped and went on, as the whole record, that of the last process.
    """

    parts: Mapping[Part, float]
    peak_memory: int | None
    processor: str
    loop: Loop | None = None

    @property
    def seconds(self) -> float:
        """Those of the whole process, from its start."""
        return sum(self.parts.values())

    @property
    def steps_per_second(self) -> float | None:
        """How fast a training went, with all its logging; None where it had no step left to take."""
        loop = self.loop
        return loop.steps / loop.seconds if loop and loop.steps and loop.seconds else None


def keep(stage: str, key: str) -> None:
    """Keep what this process has taken, where there is a DVC repository; say so in a line if that fails.

    key: the digest of the stage's inputs, see `events.inputs`.
    """
    if not no_links.is_folder(keeping.root() / ".dvc"):
        return
    clock.own.charge()
    parts = {name: round(seconds, 3) for name, seconds in clock.own.seconds.items()}
    times = Times(parts, clock.peak_memory(), processor.name()[:_LONGEST], clock.own.loop)
    try:
        keeping.write(_name(key), (json.dumps(asdict(times)) + "\n").encode())
        keeping.thin(_name("*"), _NEWEST)
    except (OSError, PathError) as error:
        line = f"{stage}: how long it took cannot be kept ({errors.reason(error)})"
        # the disk may be full for that, too
        with contextlib.suppress(OSError):
            print(errors.visible(line), file=sys.stderr, flush=True)


def records(root: Path) -> dict[str, bytes]:
    """Return what the repository at `root` keeps, by key, to be kept by another one."""
    found = {}
    for path in sorted(keeping.place("", root).glob(_name("*"))):
        key = path.name.removeprefix("times-").removesuffix(".json")
        with contextlib.suppress(OSError, PathError):
            if content := keeping.read(path.name, _LARGEST, root):
                found[key] = content
    return found


def take(given: Mapping[str, bytes], root: Path) -> None:
    """Keep in the repository at `root` what `records` returned elsewhere, as far as it can be used.

    Raises:
        OSError: it cannot be written.
        PathError: a link lies on the way.
    """
    for key, content in given.items():
        if _KEY.fullmatch(key) and _usable(content):
            keeping.write(_name(key), content, root)


class Kept:
    """The times that one repository keeps; a file is read again when it has changed."""

    def __init__(self, root: Path) -> None:
        """root: the folder of the DVC repository."""
        self._root = root.resolve()
        self._folder = keeping.place("", self._root)
        self._read: dict[str, tuple[object, Times | None]] = {}

    def find(self, key: str) -> Times | None:
        """Return what is kept under `key`; None if there is nothing, or nothing that can be used."""
        if not _KEY.fullmatch(key):
            return None
        try:
            status = (self._folder / _name(key)).lstat()
        except OSError:
            self._read.pop(key, None)
            return None
        stamp = status.st_mtime_ns, status.st_size, status.st_ino
        if key not in self._read or self._read[key][0] != stamp:
            try:
                content = keeping.read(_name(key), _LARGEST + 1, self._root)
            except (OSError, PathError):
                # what is in the way may go
                return None
            self._read[key] = stamp, _usable(content)
        return self._read[key][1]


def _usable(content: bytes | None) -> Times | None:
    try:
        return _decoded(content) if content and len(content) <= _LARGEST else None
    # the repository may have brought it: whatever is wrong with it, it is as if it were not there
    except (ValueError, TypeError, LookupError, RecursionError):
        return None


def _name(key: str) -> str:
    return f"times-{key}.json"


def _decoded(content: bytes) -> Times:
    """Read what `keep` wrote.

    Raises:
        ValueError, TypeError, LookupError, RecursionError: it is anything else.
    """
    parts, peak, name, loop = _fields(json.loads(content), "parts", "peak_memory", "processor", "loop")
    seconds = _fields(parts, *PARTS)
    if not isinstance(name, str) or len(name) > _LONGEST:
        raise ValueError
    # a text in JSON may hold half a character
    name.encode()
    return Times(
        dict(zip(PARTS, map(_number, seconds), strict=True)),
        None if peak is None else _count(peak),
        name,
        None if loop is None else _loop(*_fields(loop, "first_step", "steps", "seconds")),
    )


def _fields(found: object, *names: str) -> list[object]:
    if not isinstance(found, dict) or found.keys() != set(names):
        raise ValueError
    return [found[name] for name in names]


def _loop(first_step: object, steps: object, seconds: object) -> Loop:
    if 0 < _number(seconds) < 0.001:  # `keep` rounds it
        raise ValueError
    return Loop(_count(first_step), _count(steps), _number(seconds))


def _number(found: object) -> float:
    # no bool, which is an int, too; and nothing compares with what is not a number
    if type(found) not in (int, float) or not 0 <= found <= _MOST:  # type: ignore[operator]
        raise ValueError
    # a zero has no sign
    return float(found) + 0.0  # type: ignore[arg-type]


def _count(found: object) -> int:
    if type(found) is not int or not 0 <= found <= _MOST:
        raise ValueError
    return found
