import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fashionboard.base.errors import TrainingError
from fashionboard.network import compute


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.mkldnn.enabled = True  # type: ignore[assignment]


def test_the_thread_count_is_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    for threads in (2, 1):
        assert compute.configure("cpu", threads) == torch.device("cpu")
        assert torch.get_num_threads() == threads
    assert torch.are_deterministic_algorithms_enabled()


def test_onednn_is_for_large_batches_alone() -> None:
    compute.configure("cpu", 1, batch_size=64)
    assert torch.backends.mkldnn.enabled
    compute.configure("cpu", 1, batch_size=4)
    assert not torch.backends.mkldnn.enabled


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_kept(root: Path) -> None:
    # in a process of its own: what others left in memory decides where there is room
    program = """
import resource, torch
from fashionboard.network import compute, nets
compute.configure("cpu", 1)
net, pictures = nets.initial(seed=0), torch.rand(256, 1, 28, 28)
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    net(pictures).sum().backward()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = {**os.environ, "PYTHONPATH": "src"}
    printed = subprocess.check_output([sys.executable, "-c", program], cwd=root, env=environment, text=True)
    pages = [int(line) for line in printed.split()]
    # the room that is found by chance settles within steps; given back, half of it is taken anew by each
    assert sum(pages[10:]) < pages[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_cuda_without_a_gpu_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"train\.device is cuda, but torch finds no CUDA GPU"):
        compute.configure("cuda", 1)
