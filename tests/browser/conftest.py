"""A browser for all tests of a worker, and what it looks at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.browser.page import Page, chromium
from tests.browser.panels import REPORTS
from tests.support.repository import Repository
from tests.support.servers import tensorboard

# TensorBoard shows ten of a tag unless it is asked for more
ALL_IMAGES = ("--samples_per_plugin", "images=1000")
# by name: the learning rate of an experiment
EXPERIMENTS = {"fast": 0.02, "slow": 0.001}


@pytest.fixture(scope="session")
def driver() -> Iterator[webdriver.Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Repository:
    """A repository after `dvc repro`, with fifteen reports, and two experiments."""
    repository = Repository.create(tmp_path_factory.mktemp("ran"), root)
    sizes = {"data.drawn.train_images": 40 * REPORTS, "data.drawn.test_images": 200, "train.log_every": 10}
    repository.set({**sizes, "train.lr": 0.01})
    repository.dvc("repro")
    repository.git("commit", "-qam", "run")
    for name, rate in EXPERIMENTS.items():
        repository.dvc("exp", "run", "-q", "--temp", "-n", name, "-S", f"train.lr={rate}")
    return repository


@pytest.fixture(scope="session")
def served(ran: Repository) -> Iterator[str]:
    """The address of a TensorBoard on the outputs of `ran`."""
    with tensorboard(ran.path / "runs", True, *ALL_IMAGES) as address:
        yield address


@pytest.fixture
def page(driver: webdriver.Chrome, tmp_path: Path) -> Iterator[Page]:
    """A page without an address yet; a test ends with a screenshot, and fails if its console has errors."""
    page = Page(driver)
    page.errors()
    yield page
    page.screenshot(tmp_path / "last.png")
    assert page.errors() == []
