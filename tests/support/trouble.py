"""The page docs/trouble.md, read as a person would: the line that is seen, the command that helps."""

import re
from pathlib import Path


def commands(page: Path, printed: str) -> list[str] | None:
    """Return the commands of the part of the page that fits what was printed, None if none does."""
    for part in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        seen = re.findall(r"^> `(.*)`$", part, re.MULTILINE)
        patterns = [".*".join(map(re.escape, line.split("…"))) for line in seen]
        if any(re.search(pattern, printed) for pattern in patterns):
            block = re.search(r"^```sh\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
            assert block, part
            return block[1].splitlines()
    return None
