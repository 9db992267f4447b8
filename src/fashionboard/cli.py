"""The command `fashionboard`: parses, calls the library, prints."""

import argparse
import sys
from pathlib import Path

from fashionboard import errors


def main() -> None:
    """Run the command line; a FashionboardError becomes one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="fashionboard", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify", help="run all stages again in a clone and compare with dvc.lock")
    verify.add_argument("--repo", type=Path, default=Path(), help="the repository (default: this folder)")
    verify.set_defaults(run=_verify)
    arguments = parser.parse_args()
    errors.run(lambda: arguments.run(arguments))


def _verify(arguments: argparse.Namespace) -> None:
    # torch and TensorBoard take seconds to import: not for --help
    import torch

    from fashionboard import verify

    results = verify.verify(arguments.repo)
    print(verify.report(results, torch.backends.cpu.get_cpu_capability()))
    if any(result.differences for result in results):
        sys.exit(1)
    print(f"All {len(results)} outputs are, byte for byte, those that dvc.lock records.")
