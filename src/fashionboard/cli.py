"""The command `fashionboard`: parses, calls the library, prints."""

import argparse
import importlib.util
import io
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fashionboard.base import arithmetic, errors
from fashionboard.repository import ending

if TYPE_CHECKING:
    from fashionboard.board.where import Condition


def main() -> None:
    """Run the command line; a FashionboardError becomes one line and exit code 1."""
    own, after = _split(sys.argv[1:])
    # a terminal that cannot show a name shows its code
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(
        prog="fashionboard",
        description="DVC experiments in TensorBoard, their means and times, many at once on several "
        "machines, a check on the pipeline, a model's predictions, and the way back to the last commit.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_board(commands)
    _add_summary(commands)
    _add_sweep(commands)
    _add_verify(commands)
    _add_predict(commands)
    _add_restore(commands)
    arguments, unknown = parser.parse_known_args(_joined(own))
    if unknown:
        # what the command takes is told by its own usage
        commands.choices[arguments.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    if after is not None and arguments.command != "board":
        parser.error(f"{arguments.command} takes nothing after --")
    arguments.tensorboard = after or []
    ending.on_signals()
    errors.run(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    try:
        arguments.run(arguments)
    except Exception:
        # what a signal raised becomes another exception in some places, as where a class is made
        ending.check()
        raise


def _split(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """Part the command line at `--`."""
    if "--" not in arguments:
        return arguments, None
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def _joined(arguments: list[str]) -> list[str]:
    """Write `--sort -NAME` as `--sort=-NAME`: argparse would take the name for an option."""
    found: list[str] = []
    for each in arguments:
        if found[-1:] == ["--sort"] and re.match("-[^-]", each):
            found[-1] += f"={each}"
        else:
            found.append(each)
    return found


def _add_board(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    board = commands.add_parser(
        "board",
        help="show experiments side by side in TensorBoard",
        allow_abbrev=False,
        usage="%(prog)s [REV ...] [options] [-- arguments for tensorboard]",
        description="Show the workspace, commits, experiments and what is running of any DVC repository in "
        "TensorBoard, side by side, without copying. Without REV: the workspace, HEAD, every experiment that "
        "starts from HEAD, and all that are running.",
    )
    choice = argparse.BooleanOptionalAction
    board.add_argument(
        "revisions",
        nargs="*",
        metavar="REV",
        help="a branch, tag, commit or experiment, or `workspace`; a range of commits, `A..B` or `A...B`; or "
        "a pattern such as 'lr-*', for the names of experiments, branches and tags, also of later ones",
    )
    board.add_argument(
        "-n",
        "--num",
        type=_count,
        default=1,
        metavar="N",
        help="the last N commits, by first parents, from HEAD or each REV on, as in `dvc exp show`; "
        "-1: all (default: %(default)s)",
    )
    board.add_argument(
        "--all-commits", action="store_true", help="every commit that has outputs of its own, too"
    )
    board.add_argument(
        "--experiments", action=choice, help="those that start from the commits shown (default: without REV)"
    )
    board.add_argument("--running", action=choice, help="those that run now (default: without REV)")
    board.add_argument(
        "--where",
        type=_condition,
        action="append",
        default=[],
        metavar="'NAME>VALUE'",
        help="only experiments and commits with such a metric or parameter: < <= > >= == !=; may be "
        "repeated. NAME is as DVC has it, or its end, such as accuracy or train.lr. Always shown: the "
        "workspace, what was asked for by its own name, and an experiment that runs or failed without it",
    )
    board.add_argument(
        "--sort",
        type=_name,
        metavar="[-]NAME",
        help="order the printed table by a metric or parameter; -NAME: the largest first",
    )
    board.add_argument("--fetch", action="store_true", help="bring what is missing from DVC's remote")
    board.add_argument(
        "--repo", type=Path, default=Path(), help="a folder of the repository (default: this one)"
    )
    board.add_argument(
        "--host", default="127.0.0.1", help="address to serve on (default: %(default)s, this machine alone)"
    )
    board.add_argument(
        "--port", type=_port, default=6006, help="or the next one that is free (default: %(default)s)"
    )
    board.add_argument(
        "--view",
        type=Path,
        metavar="DIR",
        help="where to make the links (default: in DVC's temporary folder)",
    )
    board.add_argument(
        "--no-serve", action="store_true", help="make the links, print their folder, and leave it"
    )
    board.add_argument(
        "--export-scalars",
        type=_file,
        metavar="FILE.csv",
        help="write every point of every curve, and end; - for stdout",
    )
    board.set_defaults(run=_board)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not re.fullmatch("-?[0-9]{1,9}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number of commits, or -1 for all, found {text!r}")
    return int(text)


def _condition(text: str) -> "Condition":
    from fashionboard.board import where

    try:
        return where.condition(text)
    except errors.BoardError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _name(text: str) -> str:
    if not text.removeprefix("-"):
        raise argparse.ArgumentTypeError("expected the name of a metric or parameter, found nothing")
    return text


def _file(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("expected a file's name, found nothing")
    return Path(text)


def _board(arguments: argparse.Namespace) -> None:
    # DVC takes a while to import: not for --help
    from fashionboard.board import server, session, where

    if server.asks_for_help(arguments.tensorboard):
        server.print_help()
        return
    alone = not arguments.revisions
    session.run(
        session.Options(
            repo=arguments.repo,
            request=session.Request(
                tuple(arguments.revisions),
                arguments.all_commits,
                alone if arguments.experiments is None else arguments.experiments,
                alone if arguments.running is None else arguments.running,
                arguments.num,
            ),
            chosen=where.Filter(tuple(arguments.where), arguments.sort or ""),
            fetch=arguments.fetch,
            host=arguments.host,
            port=arguments.port,
            view=arguments.view,
            serve=not arguments.no_serve,
            export=arguments.export_scalars,
            tensorboard=tuple(arguments.tensorboard),
        )
    )


def _add_summary(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    summary = commands.add_parser(
        "summary",
        help="tell mean and spread of experiments that differ in seeds alone, or how long stages took",
        allow_abbrev=False,
        description="Tell mean, standard deviation, best and worst of experiments that differ in seeds "
        "alone, a line a setting. Without REV: every experiment that starts from HEAD. With --times: how "
        "long each stage took, by part, its peak memory, and how many steps a second a training took; "
        "without REV of the workspace. Times are known only of what ran in this repository's folder, also "
        "by `dvc exp run --temp` and DVC's queue. For a training that was stopped and went on, they are "
        "those of the last process, with the step from which it went on.",
    )
    summary.add_argument(
        "revisions",
        nargs="*",
        metavar="REV",
        help="a branch, tag, commit or experiment; a range of commits, `A..B` or `A...B`; or a pattern such "
        "as 'lr-*'; with --times also `workspace`",
    )
    summary.add_argument("--times", action="store_true", help="tell of stages and what they took")
    summary.add_argument(
        "--by",
        type=_name,
        action="append",
        default=[],
        metavar="PARAM",
        help="what makes a setting; may be repeated. PARAM is as DVC has it, or its end, such as lr "
        "(default: all parameters that differ, without those whose last part is seed or ends in _seed)",
    )
    summary.add_argument(
        "--metric",
        type=_name,
        action="append",
        default=[],
        metavar="NAME",
        help="what is told; may be repeated. The first decides what is best: the largest, or the smallest of "
        "a loss, error, mae, mse or perplexity (default: up to four at the top of their file)",
    )
    form = summary.add_mutually_exclusive_group()
    for name, about in (
        ("markdown", "print a table for a README"),
        ("csv", "print CSV, with all digits"),
        ("json", "print a JSON object a line"),
    ):
        form.add_argument(
            f"--{name}", dest="form", action="store_const", const=name, default="text", help=about
        )
    summary.add_argument(
        "--repo", type=Path, default=Path(), help="a folder of the repository (default: this one)"
    )
    summary.set_defaults(run=_summary, parser=summary)


def _summary(arguments: argparse.Namespace) -> None:
    if arguments.times:
        is_other = arguments.form in ("markdown", "csv")
        others = {f"--{arguments.form}": is_other, "--by": arguments.by, "--metric": arguments.metric}
        for option in (option for option, given in others.items() if given):
            arguments.parser.error(f"argument {option}: not allowed with argument --times")
    # DVC takes a while to import: not for --help
    from fashionboard.board import stage_times, summary

    named = tuple(arguments.revisions)
    if arguments.times:
        stage_times.run(arguments.repo, named, as_objects=arguments.form == "json")
        return
    by, metrics = tuple(arguments.by), tuple(arguments.metric)
    summary.run(summary.Options(arguments.repo, named, by, metrics, arguments.form))


def _add_sweep(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    sweep = commands.add_parser(
        "sweep",
        help="run many experiments, here or on several machines",
        allow_abbrev=False,
        usage="%(prog)s -S NAME=VALUE[,VALUE ...] [-S ...] [options]",
        description="Run an experiment for each combination of parameters, from HEAD, here or on several "
        "machines. Each becomes an ordinary DVC experiment of this repository. The same command again runs "
        "what is missing.",
    )
    sweep.add_argument(
        "-S",
        "--set-param",
        action="append",
        required=True,
        metavar="NAME=VALUE",
        help="as `dvc exp run --queue -S` takes it: several values with commas between, or 'range(1,5)'; may "
        "be repeated, then each value of one goes with each of the others",
    )
    sweep.add_argument(
        "--on",
        default="local",
        metavar="WHERE",
        help="local: a worker a core of this machine; local*2: two; ssh:gpu1,gpu2*2: one on gpu1 and two on "
        "gpu2; tls://HOST:PORT or FILE.json: a Dask cluster that runs (default: %(default)s)",
    )
    sweep.add_argument(
        "--python",
        default="python3",
        metavar="FILE",
        help="the Python with fashionboard on hosts of ssh:, such as ~/fashionboard/.venv/bin/python; with "
        "--setup, the one that makes the environment (default: %(default)s)",
    )
    sweep.add_argument(
        "--store",
        default="",
        metavar="DIR",
        help="where hosts keep what they need (default: ~/.cache/fashionboard/sweep)",
    )
    sweep.add_argument(
        "--setup", action="store_true", help="call `make setup` in a copy of HEAD on hosts of ssh:, once"
    )
    sweep.add_argument(
        "--pull", action="store_true", help="let hosts bring data from DVC's remote instead of sending it"
    )
    sweep.add_argument("--dry-run", action="store_true", help="print what would run, and run nothing")
    sweep.add_argument("--repo", type=Path, default=Path(), help="the repository (default: this folder's)")
    sweep.set_defaults(run=_sweep)


def _sweep(arguments: argparse.Namespace) -> None:
    if importlib.util.find_spec("distributed") is None:
        raise errors.ExtraError(
            f"sweep: expected Dask, found no distributed; install it, in a checkout of fashionboard: "
            f"{shlex.quote(sys.executable)} -m pip install '.[cluster]'"
        )
    # Dask and DVC take a while to import: not for --help
    from fashionboard.sweep import session

    options = session.Options(
        arguments.repo,
        tuple(arguments.set_param),
        arguments.on,
        arguments.python,
        arguments.store,
        arguments.setup,
        arguments.pull,
        arguments.dry_run,
    )
    if not session.run(options):
        sys.exit(1)


def _add_verify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verify = commands.add_parser(
        "verify",
        help="run all stages again in a clone and compare with dvc.lock",
        description="Run all stages of HEAD again in a clone, and compare every output with HEAD's "
        "dvc.lock. Exits with 0 if all that must be the same on this processor is the same, with 1 if not.",
    )
    verify.add_argument("--repo", type=Path, default=Path(), help="the repository (default: this folder's)")
    verify.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> None:
    # TensorBoard takes a while to import: not for --help
    from fashionboard.verify import session

    if not session.run(arguments.repo):
        sys.exit(1)


def _add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    predict = commands.add_parser(
        "predict",
        help="tell what a trained model takes pictures for",
        allow_abbrev=False,
        description="Tell what a trained model takes pictures for: a line for each, with the three likeliest "
        "classes. A picture shows one thing on a plain background, light or dark.",
    )
    predict.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a picture that Pillow opens")
    predict.add_argument(
        "--model",
        type=_file,
        default=Path("models/net.safetensors"),
        metavar="FILE",
        help="the model; with --rev, from the root of the repository (default: %(default)s)",
    )
    predict.add_argument(
        "--rev", help="a branch, tag, commit or experiment: take its model, from DVC's cache"
    )
    predict.add_argument("--json", action="store_true", help="print a JSON object a line")
    predict.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> None:
    # before a picture is opened
    if importlib.util.find_spec("torch") is None:
        raise errors.ExtraError(
            f"predict: expected PyTorch, found no torch; install it, in a checkout of fashionboard: "
            f"{shlex.quote(sys.executable)} -m pip install '.[predict]'"
        )
    arithmetic.prepare()
    # numpy and Pillow take a while to import: not for --help
    from fashionboard.predict import session

    options = session.Options(tuple(arguments.images), arguments.model, arguments.rev, arguments.json)
    if not session.run(options):
        sys.exit(1)


def _add_restore(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    restore = commands.add_parser(
        "restore",
        help="bring back the last commit after a run that failed or was killed",
        allow_abbrev=False,
        description="Bring back the last commit after a run that failed or was killed: the branch, "
        "params.yaml, dvc.lock, .dvc files and the outputs. Of what `dvc add` was given, files that lack "
        "come back. Other files stay as they are. What is neither in the commit nor in DVC's cache is moved "
        "to a folder of its own, and nothing is lost.",
    )
    restore.add_argument("--repo", type=Path, default=Path(), help="the repository (default: this folder's)")
    restore.add_argument(
        "--lock", action="store_true", help="mend DVC's lock file where a kill has cut it off; nothing else"
    )
    restore.set_defaults(run=_restore)


def _restore(arguments: argparse.Namespace) -> None:
    from fashionboard.restore import session

    session.run(arguments.repo, arguments.lock)
