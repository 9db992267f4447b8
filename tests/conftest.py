"""What several tests share: small images, the real files, a real repository with a finished run."""

import fcntl
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fashionboard.base import arithmetic

# a shell's background and `nohup` have these ignored, and so would each program that is tested
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL if _number == signal.SIGHUP else signal.default_int_handler)
# as the stages do it, before numpy and torch are imported
arithmetic.prepare()
arithmetic.choose("portable")

import numpy as np
import pytest
from matplotlib.figure import Figure

from fashionboard.data import dataset
from fashionboard.data.dataset import Images
from fashionboard.figures import canvas
from fashionboard.sources import drawn
from tests.support import small as small_repository
from tests.support.progress import Progress
from tests.support.repository import Repository
from tests.support.sharing import ByFile

ROOT = Path(__file__).resolve().parents[1]
# how long files take whose tests are not marked as slow: they are called by name
_MINUTES = {
    "check_emulated.py": 10,
    "check_docs.py": 8,
    "check_sweep.py": 5,
    "check_damaged.py": 4,
    "check_large.py": 3,
}


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter and config.get_verbosity() == 0 and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(reporter), "progress")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: at the end no worker is left alone with one."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (_MINUTES.get(item.path.name, 0), slow[item.path]), reverse=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile | None:
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's own folder."""
    return ROOT


@pytest.fixture(scope="session")
def images() -> Images:
    """200 drawn images, twenty a class."""
    return drawn.draw(200, seed=0, split="train")


@pytest.fixture(scope="session")
def noise() -> Images:
    """11 images of 5 x 4 pixels with every level of grey."""
    generator = np.random.default_rng(0)
    return Images(generator.integers(0, 256, (11, 5, 4), np.uint8), generator.integers(0, 10, 11, np.uint8))


@pytest.fixture
def drawn_as(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is drawn, as matplotlib's own objects."""
    found: list[Figure] = []
    render = canvas.render

    def keep(figure: Figure) -> canvas.Pixels:
        found.append(figure)
        return render(figure)

    monkeypatch.setattr(canvas, "render", keep)
    return found


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository after `dvc repro` and a commit; for tests that only look at it.

    One of the workers makes it, and each has a copy of its own.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = shared / "finished"
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            repository = Repository.create(tmp_path_factory.mktemp("finished"), ROOT)
            repository.dvc("repro")
            repository.git("commit", "-qam", "first run")
            repository.path.rename(made)
    return Repository(shutil.copytree(made, tmp_path_factory.mktemp("copy") / "finished", symlinks=True))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a repository with one quick stage that was run and committed."""
    return small_repository.create(tmp_path_factory.mktemp("small") / "repository").path


@pytest.fixture
def small(made: Path, tmp_path: Path) -> Repository:
    """A copy of `made`, with its cache."""
    return Repository(shutil.copytree(made, tmp_path / "repository", symlinks=True))


@pytest.fixture
def saved(tmp_path: Path, images: Images) -> Path:
    """A data set on disk with 200 drawn images in both splits."""
    dataset.save(tmp_path / "raw", drawn.DESCRIPTION, {"train": images, "test": images})
    return tmp_path / "raw"


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no certificates but a test's own."""
    for name in [name for name in os.environ if name.lower().endswith(("_proxy", "_bundle"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own answer to Ctrl-C; the worker processes of pytest-xdist ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
