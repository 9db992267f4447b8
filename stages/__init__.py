"""The five stages. Each is run as `sh stages/run <name>` from the repository's root."""

import signal

# nothing is written yet: until `lifetime` takes over, Ctrl-C needs no traceback
signal.signal(signal.SIGINT, signal.SIG_DFL)

import importlib.util
import os
import sys
from pathlib import Path

# DVC runs experiments in copies of the repository: each must import its own code, not an installed one
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

# tests/test_extras.py holds this to what the stages import
_NEEDED = (
    "PIL matplotlib numpy psutil pydantic requests ruamel safetensors sklearn tensorboard torch torchvision "
    "tqdm"
)
_missing = [name for name in _NEEDED.split() if importlib.util.find_spec(name) is None]
if _missing:
    sys.exit(
        f"error: expected a Python with this project's requirements, found {sys.executable} without "
        f"{', '.join(_missing)}; use `source .venv/bin/activate` first, or `make repro`, or "
        "`pip install '.[pipeline]'`"
    )

# a person's own settings must not reach a figure, nor their faults a stage
os.environ["MPLBACKEND"] = "agg"
os.environ["MATPLOTLIBRC"] = os.devnull
for name in ("FREETYPE_PROPERTIES", "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "PYTORCH_JIT", "TORCH_LOGS"):
    os.environ.pop(name, None)

from fashionboard.base import arithmetic, clock, lifetime  # noqa: F401 - the clock starts here

# may start this process anew, so before anything of it is there to end
arithmetic.prepare()
lifetime.guard()
