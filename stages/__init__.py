"""The five stages. Each is run as `python -m stages.<name>` from the repository's root."""

import importlib.util
import sys
from pathlib import Path

# DVC runs experiments in copies of the repository: each must import its own code, not an installed one
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

if importlib.util.find_spec("pydantic") is None:
    sys.exit(
        f"error: expected a Python with this project's requirements, found {sys.executable}; "
        "use `source .venv/bin/activate` first, or `make repro`"
    )
