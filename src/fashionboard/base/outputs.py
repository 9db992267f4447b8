"""Small output files, written whole or not at all."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fashionboard.base import clock, unfinished


@clock.part("outputs")
def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` under a temporary name, then rename it to `path`; missing folders are made.

    A link at either name is replaced, never followed.
    """
    _write(path, [content])


@clock.part("outputs")
def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Write what does not fit into memory as `write_bytes` does, part by part."""
    _write(path, parts)


def _write(path: Path, parts: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # another process may be writing the same file
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with unfinished.writing(partial):
        partial.unlink(missing_ok=True)
        with partial.open("xb") as file:
            file.writelines(parts)
        partial.replace(path)


@clock.part("outputs")
def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write `content` as indented JSON in UTF-8.

    Raises:
        ValueError: a number in it is not finite, which JSON cannot hold.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


@clock.part("outputs")
def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header line and `rows` as CSV in UTF-8, with the same line ends on every system."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())
