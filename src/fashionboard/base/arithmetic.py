"""Which instructions the libraries compute with, so that the bits of a result are not the processor's.

Libraries choose kernels by the processor that they find, and kernels differ in their last bits. Every x86-64
processor with AVX2 has these, and with these settings they are chosen on all of them:

- torch's own operations: AVX2, also where there is AVX-512. Source: torch's DispatchStub.cpp.
- oneDNN, torch's convolutions of large batches: likewise. Source: oneDNN's page "CPU Dispatcher Control".
- MKL, torch's matrix products: the one branch that it takes on processors of all vendors; it ignores that of
  AVX2 on AMD's. Source: Intel's pages on "Conditional Numerical Reproducibility".
- numpy, exp and log among others: nothing beyond AVX2. Source: numpy's page "CPU/SIMD Optimizations".

glibc chooses by FMA, which all of them have, unless GLIBC_TUNABLES hides it. numpy's OpenBLAS has no part in
a result: its version, and with it the last bits, would come with Python's. So it is kept from starting
threads, which numpy and scipy would each do when they are imported.

oneDNN also looks at the sizes of caches. Of the shapes here, level 1 of 32 and 48 KB and level 2 of 256 KB to
4 MB gave the same bits.
"""

import os
import sys
from collections.abc import Mapping
from typing import Literal

from fashionboard.base import processor

Arithmetic = Literal["portable", "native"]

NUMPY: Mapping[str, str] = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}
TORCH: Mapping[str, str] = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
}
# with what the names begin by which a person tells these libraries, or OpenMP and glibc below them, how to
# compute, and the size of torch's cache of oneDNN's kernels: with 0 it ends the process
_FOREIGN = (
    *("ATEN_", "DNNL_", "GOMP_", "GOTO_", "KMP_", "MKL_", "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_"),
    "GLIBC_TUNABLES",
    "LRU_CACHE_CAPACITY",
)


def prepare() -> None:
    """Settle what numpy computes with, and forget what the environment says; before numpy is imported.

    Where glibc, or a library that was imported before, has read it by now, the program starts anew.
    """
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
        del os.environ[name]
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if processor.has_avx2():
        os.environ |= NUMPY
    was_read = "GLIBC_TUNABLES" in before or not {"numpy", "torch"}.isdisjoint(sys.modules)
    if was_read and os.environ != before:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell is wanted


def choose(arithmetic: Arithmetic, quiet: bool = False) -> None:
    """Settle what torch computes with; after `prepare`, before torch is imported.

    portable: the same bits on every x86-64 processor with AVX2; on another one a line on stderr, unless
    `quiet`, says that they will differ. native: all that this processor has; the same bits on the same model
    of processor alone.
    """
    for name in TORCH:
        os.environ.pop(name, None)
    if arithmetic == "native":
        return
    if processor.has_avx2():
        os.environ |= TORCH
    elif not quiet:
        print(
            f"note: {processor.name()} is no x86-64 processor with AVX2 under Linux: models, metrics, "
            "plots, runs/train and runs/evaluate are not the committed ones; keep the run cache here",
            file=sys.stderr,
        )
