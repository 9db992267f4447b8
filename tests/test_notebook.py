from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from tests.support.repository import Repository

pytestmark = pytest.mark.slow


@pytest.fixture
def no_server_stays(finished: Repository) -> Iterator[None]:
    yield
    for process in psutil.process_iter(["cmdline", "cwd"]):
        found = process.info
        if found["cwd"] == str(finished.path) and any(
            "tensorboard" in part for part in found["cmdline"] or []
        ):
            process.kill()


@pytest.mark.usefixtures("no_server_stays")
def test_the_notebook_runs_and_shows_tensorboard_numbers_and_a_picture(
    finished: Repository, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", finished.environment()["PATH"])
    notebook = nbformat.read(root / "notebooks" / "tour.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(finished.path)}}).execute()
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    assert any("tensorboard-frame" in str(output) for output in outputs["tensorboard"])
    assert "'data_set': 'drawn'" in outputs["metrics"][-1]["data"]["text/plain"]
    assert "image/png" in outputs["predict"][-1]["data"]


def test_the_notebook_is_committed_without_outputs(root: Path) -> None:
    notebook = nbformat.read(root / "notebooks" / "tour.ipynb", as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
