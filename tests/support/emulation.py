"""Programs on processors that this machine does not have: QEMU's emulation of single programs."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.repository import without_settings

EMULATOR = "qemu-x86_64"
MISSING = shutil.which(EMULATOR) is None
REASON = f"needs {EMULATOR}, of Debian's package qemu-user"
# QEMU 7.2 at times ends a program of several threads with a segmentation fault, and not when it runs again
_TRIES = 3
# seconds after which a try is taken for one that hangs; on two cores of a Xeon it takes 390
_LONG = 900
_AGAIN = (-signal.SIGSEGV, -signal.SIGKILL)
_AVX2 = "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
# QEMU calls these of the C library for each number of a fused operation. The library's leave the upper halves
# of registers in use, and then each change between old and new instructions costs Intel's processors about a
# hundred cycles.
_FUSED = """
#include <immintrin.h>

float fmaf(float x, float y, float z) {
    float result = _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(x), _mm_set_ss(y), _mm_set_ss(z)));
    _mm256_zeroupper();
    return result;
}

double fma(double x, double y, double z) {
    double result = _mm_cvtsd_f64(_mm_fmadd_sd(_mm_set_sd(x), _mm_set_sd(y), _mm_set_sd(z)));
    _mm256_zeroupper();
    return result;
}
"""


@dataclass(frozen=True)
class Processor:
    """model: QEMU's name for it, and flags: what Linux would tell of it, as far as it matters here."""

    model: str
    flags: str = f"sse4_2 {_AVX2}"

    def run(self, folder: Path, arguments: Sequence[str], system: Path) -> subprocess.CompletedProcess[str]:
        """Run Python with `arguments` in `folder`; `system`: where files of the emulated system are made."""
        (system / "proc").mkdir(parents=True)
        (system / "proc" / "cpuinfo").write_text(
            f"model name\t: an emulated {self.model}\nflags\t\t: {self.flags}\n"
        )
        # -L: a file below that folder stands for the machine's own
        emulator = [*_fused(system), EMULATOR, "-U", "LD_PRELOAD", "-cpu", self.model, "-L", str(system)]
        tries = (_started(folder, arguments, emulator) for _ in range(_TRIES))
        done = next((each for each in tries if each.returncode not in _AGAIN), None)
        assert done, f"{EMULATOR} ended {_TRIES} times with a segmentation fault, or hung"
        return _passed(done)


# of both vendors, with AVX2; QEMU emulates no AVX-512
HASWELL, EPYC = Processor("Haswell"), Processor("EPYC")
# of 2008, before AVX
NEHALEM = Processor("Nehalem", "sse4_2")


def _fused(folder: Path) -> list[str]:
    """Return what gives the emulator, and not what it emulates, functions that take a tenth of the time.

    They are made in `folder`, and compute the same bits. Without a C compiler it has the C library's.
    """
    if shutil.which("cc") is None:
        return []
    library = folder / "fused.so"
    options = ("-O2", "-mavx", "-mfma", "-fno-builtin", "-shared", "-fPIC")
    subprocess.run(["cc", *options, "-x", "c", "-", "-o", library], input=_FUSED, text=True, check=True)
    return ["env", f"LD_PRELOAD={library}"]


def python(folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run Python with `arguments` in `folder`, as a person would who has settled nothing."""
    return _passed(_started(folder, arguments))


def _started(
    folder: Path, arguments: Sequence[str], emulator: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    command = [*emulator, sys.executable, *arguments]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=without_settings(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=_LONG)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _passed(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert done.returncode == 0, done.stderr
    return done
