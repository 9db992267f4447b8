"""Where torch computes, and that it computes the same every time."""

import ctypes
import os
import sys

import torch
import torch.utils.deterministic

from fashionboard.base.errors import TrainingError

# images a step from which on oneDNN saves more than it costs: with 16 it is even, with 32 faster by 16 %
_ONEDNN_FROM = 32
# of glibc's <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def configure(device: str, threads: int, batch_size: int = 1) -> torch.device:
    """Prepare this process for repeatable computing and return the device.

    device: "cpu" or "cuda". threads: CPU threads, whatever the environment says; the order of
    floating-point sums, and so the last bits of the weights, depend on their number. batch_size:
    images a training step; small ones are faster without oneDNN, which has other last bits.

    Raises:
        TrainingError: "cuda" is asked for and there is none.
        RuntimeError: torch was imported before `arithmetic.choose` was called.
    """
    if torch.backends.cpu.get_cpu_capability() != os.environ.get("ATEN_CPU_CAPABILITY", "").upper() != "":
        raise RuntimeError("torch was imported before arithmetic.choose was called")
    # cuBLAS is repeatable only with a fixed workspace, read when it starts:
    # https://docs.nvidia.com/cuda/cublas/#results-reproducibility
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "train.device is cuda, but torch finds no CUDA GPU here; use `-S train.device=cpu`"
        )
    _keep_freed_memory()
    torch.set_num_threads(threads)
    torch.backends.mkldnn.enabled = batch_size >= _ONEDNN_FROM  # type: ignore[assignment]
    # not use_deterministic_algorithms, which imports the compiler to tell it, too: 1.4 s, 140 MB
    torch.set_deterministic_debug_mode("error")
    # nothing here reads memory before it is written: no need to fill it at each operation
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.device(device)


def _keep_freed_memory() -> None:
    """Keep what a step frees for the next one.

    glibc gives large pieces back to the system, which zeroes each page when it is asked for again: 30 % of a
    step of 1,024 images. Source: mallopt(3). Other C libraries stay as they are.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_MMAP_MAX, 0)
