"""All five stages in one program, and then what `bits` computes: emulated, importing torch takes longest.

python tests/support/together.py SAID [PICTURES]

It runs in a repository of the pipeline, and writes what each stage says on stderr to SAID/<stage>. With
PICTURES, a folder for pictures, it adds the digests of `bits` to SAID/bits, a line of JSON for each piece.
What an earlier call has done, which the emulator has ended, is not done again.
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
        if not (said / stage).exists():
            run(stage, said / stage)
    if pictures:
        arithmetic.choose("portable")
        from tests.support import bits

        with (said / "bits").open("a+") as file:
            file.seek(0)
            done = {json.loads(line)["piece"] for line in file}
            for piece, compute in bits.pieces(*pictures).items():
                if piece not in done:
                    # in one go, so that no half a line is left
                    file.write(json.dumps({"piece": piece, "digests": dict(compute())}) + "\n")
                    file.flush()


def run(stage: str, said: Path) -> None:
    """Run a stage in a fork of this process, as `python -m stages.<stage>` does it in a new one."""
    child = os.fork()
    saying = said.with_suffix(".partial")
    if child == 0:
        with saying.open("w") as sys.stderr:
            try:
                runpy.run_module(f"stages.{stage}", run_name="__main__")
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        # as if this process had met it
        os.kill(os.getpid(), -code)
    if code:
        sys.exit(f"error: {stage} ended with {code} and said {saying.read_text()}")
    saying.rename(said)


if __name__ == "__main__":
    main()
