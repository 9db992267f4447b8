"""The processor that this process runs on, as Linux tells it."""

import platform
import re
import sys
from pathlib import Path

# level x86-64-v3 of the x86-64 psABI, table 3.1, by Linux's names: all that kernels for AVX2 ask for; Intel's
# have it since Haswell (2013), AMD's since Excavator (2015)
_AVX2 = {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"}
# values of parameters by which a stage's last bits are the processor's, by the end of the parameter's name
_OWN_BITS = {"arithmetic": "native", "device": "cuda"}


def decides(parameter: str, value: object) -> bool:
    """Say whether a stage with this value of a parameter gives other bytes on another kind of processor."""
    return _OWN_BITS.get(re.split("[.:]", parameter)[-1]) == value


def name() -> str:
    """Return what the processor is called, such as `AMD EPYC`."""
    return _told("model name") or platform.processor() or platform.machine() or "an unknown processor"


def has_avx2() -> bool:
    """Say whether this is Linux on an x86-64 processor with AVX2 and what has come with it since 2013."""
    return sys.platform == "linux" and platform.machine() == "x86_64" and set(_told("flags").split()) >= _AVX2


def _told(key: str) -> str:
    """Return what /proc/cpuinfo says of the first core; nothing where there is no such file or line."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(rf"^{key}\s*: (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""
