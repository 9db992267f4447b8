import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from fashionboard.base import arithmetic, processor
from tests.support.repository import without_settings

# what a person's environment may hold
HOSTILE = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "AUTO",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "ONEDNN_DEFAULT_FPMATH_MODE": "ANY",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    "OMP_NUM_THREADS": "3",
    "OMP_THREAD_LIMIT": "1",
    "OPENBLAS_CORETYPE": "Nehalem",
    # ends the process where oneDNN is used
    "LRU_CACHE_CAPACITY": "0",
}
# what glibc reads before Python starts
NO_FMA = "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX2_Usable,-FMA_Usable"
# prints what the process computes with, and numbers of numpy, torch and glibc
PROGRAM = """
import sys
sys.path.insert(0, "src")
from fashionboard.base import arithmetic
arithmetic.prepare()
arithmetic.choose(sys.argv[1])
import hashlib, json, math, os
import numpy as np, torch
from fashionboard.network import compute
compute.configure("cpu", 2, batch_size=64)
x = np.random.default_rng(0).standard_normal(100_000)
square = torch.from_numpy(x).float().reshape(250, 400)
print(json.dumps({
    "torch": torch.backends.cpu.get_cpu_capability(),
    "environment": {name: value for name, value in os.environ.items() if name in sys.argv[2:]},
    "exp": hashlib.md5(np.exp(x).tobytes()).hexdigest(),
    "product": hashlib.md5((square @ square.T).numpy().tobytes()).hexdigest(),
    "convolution": hashlib.md5(torch.nn.functional.conv2d(
        square.reshape(100, 1, 40, 25), square[:8, :9].reshape(8, 1, 3, 3)).numpy().tobytes()).hexdigest(),
    "threads": len([each for each in os.listdir("/proc/self/task")]),
    "cos": hashlib.md5(np.array([math.cos(each) for each in x[:20_000]]).tobytes()).hexdigest(),
}))
"""

pytestmark = pytest.mark.skipif(not processor.has_avx2(), reason="needs Linux on x86-64 with AVX2")


def computed(root: Path, kind: str, **environment: str) -> str:
    names = [*HOSTILE, "GLIBC_TUNABLES"]
    return subprocess.check_output(
        [sys.executable, "-c", PROGRAM, kind, *names],
        cwd=root,
        env={**without_settings(os.environ), **environment},
        text=True,
    )


@pytest.fixture(scope="module")
def expected(root: Path) -> str:
    return computed(root, "portable")


def test_portable_arithmetic_is_avx2(expected: str) -> None:
    assert '"torch": "AVX2"' in expected
    settings = {**arithmetic.NUMPY, **arithmetic.TORCH}
    assert all(f'"{name}": "{value}"' in expected for name, value in settings.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_no_setting_of_a_person_reaches_it(root: Path, expected: str, name: str) -> None:
    assert computed(root, "portable", **{name: HOSTILE[name]}) == expected


def test_what_numpy_would_refuse_together_does_not_reach_it(root: Path, expected: str) -> None:
    both = {f"NPY_{word}ABLE_CPU_FEATURES": "X86_V3" for word in ("DIS", "EN")}
    assert computed(root, "portable", **both) == expected


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_glibc_was_told_is_undone_by_starting_anew(root: Path, expected: str) -> None:
    assert computed(root, "portable", GLIBC_TUNABLES=NO_FMA) == expected


@pytest.mark.slow
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_what_an_early_import_has_read_is_undone_by_starting_anew(
    root: Path, tmp_path: Path, expected: str, library: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import {library}\n")
    # numpy would have its AVX-512 kernels, where there are any
    others = {name: value for name, value in HOSTILE.items() if not name.startswith("NPY_")}
    assert computed(root, "portable", **others, PYTHONPATH=str(tmp_path)) == expected


@pytest.mark.slow
def test_native_arithmetic_is_what_torch_has_here(root: Path) -> None:
    plain = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    environment = without_settings(os.environ)
    own = subprocess.check_output([sys.executable, "-c", plain], env=environment, text=True).strip()
    found = computed(root, "native", **HOSTILE)
    assert f'"torch": "{own}"' in found
    # numpy's part is small: it is the same for both
    assert (
        f'"environment": {{"NPY_DISABLE_CPU_FEATURES": "{arithmetic.NUMPY["NPY_DISABLE_CPU_FEATURES"]}"}}'
        in found
    )


def test_another_processor_is_told_what_will_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", {"MKL_CBWR": "AVX2"})
    monkeypatch.setattr(processor, "has_avx2", lambda: False)
    monkeypatch.setattr(processor, "name", lambda: "Apple M2")
    # numpy is imported here already
    restarts: list[str] = []
    monkeypatch.setattr(os, "execv", lambda program, _: restarts.append(program))
    for _ in range(2):
        arithmetic.prepare()
    assert restarts == [sys.executable]
    arithmetic.choose("native")
    arithmetic.choose("portable", quiet=True)
    assert capsys.readouterr().err == ""
    arithmetic.choose("portable")
    # of all settings the one that is no processor's
    assert os.environ == {"OPENBLAS_NUM_THREADS": "1"}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("note: Apple M2 is no x86-64 processor with AVX2 under Linux: models, metrics")
