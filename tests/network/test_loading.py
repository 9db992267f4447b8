import gc
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fashionboard.network import loading


@pytest.fixture(autouse=True)
def _unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_no_garbage_is_looked_for_within_the_block_and_in_what_it_made() -> None:
    with loading.uncollected():
        assert not gc.isenabled()
        made = [[0] for _ in range(1000)]
    assert gc.isenabled() and gc.get_freeze_count() > 1000
    known = set(map(id, gc.get_objects()))
    assert not known & set(map(id, made))


def test_garbage_is_looked_for_again_after_an_import_that_fails() -> None:
    with pytest.raises(ModuleNotFoundError), loading.uncollected():
        importlib.import_module("fashionboard.nothing")
    assert gc.isenabled()


@pytest.mark.slow
def test_what_stages_import_brings_nothing_slow_that_they_do_not_need(root: Path) -> None:
    # tests/test_dvc_yaml.py holds deps to the imports; zoo is imported when it is asked for, see test_nets.py
    program = (
        "import importlib, sys, yaml, pathlib\n"
        "stages = yaml.safe_load(open('dvc.yaml'))['stages'].values()\n"
        "deps = {pathlib.Path(dep) for stage in stages for dep in stage['deps'] if dep.startswith('src/')}\n"
        "for dep in deps:\n"
        "    for path in dep.glob('*.py') if dep.is_dir() else [dep]:\n"
        "        if path.name == 'zoo.py': continue\n"
        "        importlib.import_module('.'.join(path.with_suffix('').parts[1:]))\n"
        "unneeded = {'sklearn', 'scipy', 'pandas', 'matplotlib.pyplot', 'torch._dynamo', 'torchvision'}\n"
        "print('torch' in sys.modules, sorted(unneeded & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True []\n", done.stderr
