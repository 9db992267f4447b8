"""All five stages in one program, and then what `bits` computes: emulated, importing torch takes longest.

python tests/support/together.py SAID [PICTURES]

It runs in a repository of the pipeline, and writes what each stage says on stderr to SAID/<stage>. With
PICTURES, a folder for pictures, it prints the digests of `bits` as JSON.
"""

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path.cwd()), str(_ROOT / "src"), str(_ROOT)]

from fashionboard.base import arithmetic

arithmetic.prepare()
# a stage says by itself that its bytes are not the committed ones
arithmetic.choose("portable", quiet=True)
# a thread that waits for another sleeps: emulated processors share the cores
os.environ["GOMP_SPINCOUNT"] = "0"

import json
import runpy
import traceback

# what stages import once they know their parameters
import fashionboard.evaluation.histograms
import fashionboard.events.writer
import fashionboard.figures.examples
import fashionboard.network.checkpoint
import fashionboard.training.graph
import fashionboard.training.loop  # noqa: F401
from tests.test_dvc_yaml import STAGES

# a stage would start anew where it finds other settings than its own
for _name in ("GOMP_SPINCOUNT", *arithmetic.TORCH):
    os.environ.pop(_name, None)


def main() -> None:
    said, *pictures = map(Path, sys.argv[1:])
    for stage in STAGES:
        run(stage, said / stage)
    if pictures:
        arithmetic.choose("portable")
        from tests.support import bits

        print(json.dumps(bits.computed(*pictures)))


def run(stage: str, said: Path) -> None:
    """Run a stage in a fork of this process, as `python -m stages.<stage>` does it in a new one."""
    child = os.fork()
    if child == 0:
        with said.open("w") as sys.stderr:
            try:
                runpy.run_module(f"stages.{stage}", run_name="__main__")
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        sys.exit(f"error: {stage} ended with {code} and said {said.read_text()}")


if __name__ == "__main__":
    main()
