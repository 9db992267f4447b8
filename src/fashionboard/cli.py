"""The command `fashionboard`: parses, calls the library, prints."""

import argparse
import signal
import sys
from pathlib import Path

from fashionboard import errors


def main() -> None:
    """Run the command line; a FashionboardError becomes one line and exit code 1."""
    parser = argparse.ArgumentParser(
        prog="fashionboard", description="Fashion-MNIST with DVC and TensorBoard: checks on the pipeline."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify", help="run all stages again in a clone and compare with dvc.lock")
    verify.add_argument("--repo", type=Path, default=Path(), help="the repository (default: this folder's)")
    verify.set_defaults(run=_verify)
    arguments = parser.parse_args()
    # an exit, not an end: what was started and written on the way goes, too
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    errors.run(lambda: arguments.run(arguments))


def _verify(arguments: argparse.Namespace) -> None:
    # torch and TensorBoard take seconds to import: not for --help
    import torch

    from fashionboard import verify

    print("Running all stages of HEAD in a clone; uncommitted changes are no part of it.", flush=True)
    verdict = verify.verify(arguments.repo)
    print(verify.report(verdict, torch.backends.cpu.get_cpu_capability()))
    if verdict.different:
        sys.exit(1)
    print(f"All {len(verdict.results)} outputs are, byte for byte, those that HEAD's dvc.lock records.")
