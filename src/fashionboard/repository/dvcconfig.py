"""DVC's configuration of one copy of a repository, which git does not track: `.dvc/config.local`."""

from collections.abc import Mapping
from pathlib import Path

from fashionboard.base import outputs


def write_local(root: Path, sections: Mapping[str, Mapping[str, object]]) -> None:
    """Write what DVC is to read in the repository at `root`, in place of what is there.

    sections: values by name, by section; without quotes or line ends in them.

    Raises:
        OSError: it cannot be written.
    """
    lines = [
        line
        for section, values in sections.items()
        for line in (f"[{section}]", *(f"    {name} = {value}" for name, value in values.items()))
    ]
    outputs.write_bytes(root / ".dvc" / "config.local", "".join(f"{line}\n" for line in lines).encode())
