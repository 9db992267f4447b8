"""Commands for which permissions hold, also where root runs the tests."""

import os
import shutil

import pytest

needed = pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv, of util-linux")


def without(*command: str) -> list[str]:
    """Return a command that may not read and write everything, as root may."""
    if os.geteuid():
        return list(command)
    dropped = ",".join(f"-{each}" for each in ("dac_override", "dac_read_search"))
    return ["setpriv", "--bounding-set", dropped, "--inh-caps", dropped, *command]
