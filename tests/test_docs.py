import re
from pathlib import Path

import pytest

_PAGES = ("README.md", "README.ko.md", "CONTRIBUTING.md", "benchmarks/README.md", "docs/*.md")


@pytest.fixture(scope="module")
def pages(root: Path) -> dict[Path, str]:
    """Return the text of every page, by its path."""
    return {path: path.read_text(encoding="utf-8") for each in _PAGES for path in sorted(root.glob(each))}


def commands(page: str) -> list[str]:
    """Return the lines of a page's shell blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+# .*", "", line) for block in blocks for line in block.splitlines()]


def anchors(page: str) -> set[str]:
    """Return the names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_front_door_is_short(root: Path) -> None:
    assert (root / "README.md").stat().st_size <= 8_000


def test_the_korean_front_door_has_the_same_commands_and_links(root: Path) -> None:
    english, korean = ((root / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))
    assert commands(english) and commands(korean) == commands(english)
    linked = [set(re.findall(r"\]\(((?:docs|benchmarks)/[^)]*)\)", page)) for page in (english, korean)]
    assert linked[0] == linked[1]


def test_every_page_is_linked_from_the_front_door(root: Path, pages: dict[Path, str]) -> None:
    front = pages[root / "README.md"]
    for path in pages.keys() - {root / "README.md"}:
        assert f"]({path.relative_to(root)}" in front, path


def test_every_link_leads_somewhere(root: Path, pages: dict[Path, str]) -> None:
    checked = 0
    for path, page in pages.items():
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page):
            name, _, anchor = target.partition("#")
            leads_to = (path.parent / name).resolve() if name else path
            assert leads_to.exists() and leads_to.is_relative_to(root), f"{path.name}: {target}"
            if anchor:
                assert anchor in anchors(leads_to.read_text(encoding="utf-8")), f"{path.name}: {target}"
            checked += 1
    assert checked > 50
