"""What pytest-xdist gives to one of its workers as a whole: a file, whose tests share what they have made."""

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# minutes long, and next to nothing is shared in them: each test goes to whoever is free
_APART = ("tests/check_emulated.py", "tests/check_damaged.py", "tests/check_sweep.py")


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Gives out the files in the order of the collection, and tests one by one where they stand alone."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return nodeid if file in _APART else file
