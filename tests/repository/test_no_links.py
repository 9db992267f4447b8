from pathlib import Path

import pytest

from fashionboard.base.errors import PathError
from fashionboard.repository import no_links


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a link out of it, and one of the person's own that leads into it."""
    root = tmp_path.resolve() / "r"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "out").symlink_to(tmp_path)
    (root / "a" / "nowhere").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in").symlink_to(root / "a")
    return root


@pytest.mark.parametrize(
    "path", ["r", "r/a/b", "r/a/b/new/x", "in", "in/b/x", "x/y", "r/a/../../in/b", "in/../x"]
)
def test_a_path_without_a_link_of_the_repositorys_may_be_used(root: Path, tmp_path: Path, path: str) -> None:
    no_links.check(root, tmp_path / path)


@pytest.mark.parametrize(
    "path", ["r/a/out", "r/a/out/r/a", "r/a/nowhere/x", "in/out", "in/b/../out", "r/a/out/in"]
)
def test_a_link_of_the_repositorys_is_refused(root: Path, tmp_path: Path, path: str) -> None:
    with pytest.raises(PathError, match=r"expected .*, found a symbolic link; remove it"):
        no_links.check(root, tmp_path / path)


def test_folders_are_made_and_links_and_files_in_their_place_refused(root: Path) -> None:
    assert no_links.folder(root, "a", "b", "c") == root / "a" / "b" / "c"
    assert (root / "a" / "b" / "c").is_dir()
    (root / "file").touch()
    for names in (("a", "out", "x"), ("a", "nowhere"), ("file", "x")):
        with pytest.raises(PathError, match="; remove it"):
            no_links.folder(root, *names)
    assert not (root.parent / "x").exists() and not (root.parent / "nowhere").exists()


def test_a_link_is_neither_a_folder_nor_a_file(root: Path) -> None:
    (root / "file").touch()
    (root / "link").symlink_to("file")
    assert no_links.is_folder(root / "a") and not no_links.is_folder(root / "a" / "out")
    assert no_links.is_file(root / "file") and not no_links.is_file(root / "link")
    assert not no_links.is_file(root / "none") and not no_links.is_file(root / "a")
