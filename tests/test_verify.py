"""`fashionboard verify` on real repositories."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fashionboard import processor
from fashionboard.compare import Difference
from fashionboard.dvcfiles import Stage
from fashionboard.errors import PathError
from fashionboard.verify import Promise, Result, Verdict, promise, report
from fashionboard.verify import verify as run_again
from tests import hostile
from tests.repository import Repository
from tests.test_arithmetic import HOSTILE, NO_FMA


def verify(repository: Repository, check: bool = True, **environment: str) -> tuple[int, str]:
    done = repository.run("fashionboard", "verify", check=check, **environment)
    return done.returncode, done.stdout


def test_a_second_run_in_another_environment_gives_the_same_bytes(
    finished: Repository, tmp_path: Path
) -> None:
    # a cache that many repositories share must not do the work
    shared = {"DVC_GLOBAL_CONFIG_DIR": str(tmp_path), "DVC_SITE_CONFIG_DIR": str(tmp_path)}
    (tmp_path / "config").write_text(f"[cache]\n    dir = {finished.path / '.dvc' / 'cache'}\n")
    code, printed = verify(
        finished,
        check=True,
        **shared,
        PYTHONHASHSEED="7",
        TZ="Asia/Kathmandu",
        LC_ALL="C",
        **HOSTILE,
        GLIBC_TUNABLES=NO_FMA,
        FREETYPE_PROPERTIES="truetype:interpreter-version=35",
        PYTORCH_JIT="0",
        TORCH_LOGS="nothing that there is",
    )
    assert code == 0
    assert f"Run on {processor.name()}. " in printed
    assert "All 12 outputs are, byte for byte, those that HEAD's dvc.lock records." in printed
    assert printed.count(" same\n") == 12
    assert printed.count("Running stage") == 5


def test_one_changed_scalar_is_named(finished: Repository, tmp_path: Path) -> None:
    clone = finished.clone(tmp_path / "clone", cache="copy")
    stage = clone.path / "stages" / "train.py"
    changed = stage.read_text().replace(
        'events.scalar("training loss", report.loss,',
        'events.scalar("training loss", report.loss + (report.step == 59),',
    )
    stage.write_text(changed)
    clone.git("commit", "-qam", "a slip")
    code, printed = verify(clone, check=False)
    assert code == 1
    lines = printed.splitlines()
    (line,) = [line for line in lines if ": tag " in line]
    assert line.startswith("runs/train: tag 'training loss' at step 59 by 1")
    assert [line.split()[0] for line in lines if line.endswith(" DIFFERENT")] == ["runs/train"]
    assert lines[-1] == "Not what dvc.lock was recorded with: stages/train.py"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_takes_everything_with_it(
    finished: Repository, tmp_path: Path, kind: signal.Signals
) -> None:
    command = finished.begin(
        "fashionboard", "verify", "--repo", f"../{finished.path.name}", TMPDIR=str(tmp_path)
    )
    family = psutil.Process(command.pid).children(recursive=True)
    command.send_signal(kind)
    printed, _ = command.communicate(timeout=20)
    assert command.returncode == 128 + kind
    assert "Traceback" not in printed
    assert not any(process.is_running() for process in family)
    assert list(tmp_path.iterdir()) == []


def recorded(**settings: str) -> dict[str, Stage]:
    """The stages of a dvc.lock, in the order of their names as DVC writes them."""
    values = {
        "train.arithmetic": "portable",
        "train.device": "cpu",
        "evaluate.arithmetic": "portable",
        **settings,
    }

    def own(stage: str) -> dict[str, object]:
        return {name: value for name, value in values.items() if name.startswith(stage)}

    return {
        "download": Stage(parameters={"data.dataset": "drawn"}, outputs={"data/raw": "1"}),
        "embed": Stage(dependencies={"data/raw": "1"}, outputs={"runs/embed": "2"}),
        "evaluate": Stage("", {"data/raw": "1", "net": "3"}, own("evaluate"), {"runs/evaluate": "4"}),
        "train": Stage("", {"data/raw": "1"}, own("train"), {"net": "3", "runs/train": "5"}),
    }


def verdict(different: dict[str, float], promise: Promise, *changed: str) -> Verdict:
    """What verify finds of four outputs."""
    results = [
        Result(path, (Difference("tensor 'x'", different[path]),) if path in different else ())
        for path in ("data/raw", "net", "runs/embed", "runs/evaluate")
    ]
    return Verdict(tuple(results), changed, promise)


def told(different: dict[str, float], promise: Promise, *changed: str) -> list[str]:
    """The last lines of a report on it."""
    return report(verdict(different, promise, *changed)).splitlines()[4 + len(different) :]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bool], None]:
    def choose(name: str, has_avx2: bool) -> None:
        monkeypatch.setattr(processor, "name", lambda: name)
        monkeypatch.setattr(processor, "has_avx2", lambda: has_avx2)

    return choose


def test_with_portable_arithmetic_the_processor_excuses_nothing(on: Callable[[str, bool], None]) -> None:
    on("One CPU", True)
    promised = promise(recorded())
    assert promised == Promise("One CPU", "", frozenset())
    where = (
        "Run on One CPU. Every output must have the recorded bytes: portable arithmetic gives them on every "
        "x86-64 processor with AVX2 under Linux."
    )
    assert told({}, promised) == [where]
    first, second = told({"net": 1e-8}, promised)
    assert first == where and second.startswith("The processor here is no reason for that")
    assert told({"net": 1e-8}, promised, "stages/train.py")[1] == (
        "Not what dvc.lock was recorded with: stages/train.py"
    )


@pytest.mark.parametrize(
    ("settings", "free"),
    [
        ({"evaluate.arithmetic": "native"}, {"runs/evaluate"}),
        # what evaluate makes of another net differs, too
        ({"train.arithmetic": "native"}, {"net", "runs/train", "runs/evaluate"}),
        ({"train.device": "cuda"}, {"net", "runs/train", "runs/evaluate"}),
    ],
)
def test_who_wants_the_bits_of_the_own_processor_is_promised_no_others(
    on: Callable[[str, bool], None], settings: dict[str, str], free: set[str]
) -> None:
    on("One CPU", True)
    promised = promise(recorded(**settings))
    ((name, value),) = settings.items()
    assert promised == Promise("One CPU", f"{name} is {value}", frozenset(free))
    assert told({"runs/evaluate": 1e-8}, promised)[1] == "Only what may differ here does."
    assert told({"data/raw": 1.0}, promised)[1].startswith("The processor here is no reason for that")


def test_on_another_processor_what_must_be_the_same_is_named(on: Callable[[str, bool], None]) -> None:
    on("Apple M2", False)
    promised = promise(recorded())
    assert promised.free == {"net", "runs/train", "runs/evaluate"}
    assert told({}, promised) == [
        "Run on Apple M2. These must have the recorded bytes: data/raw, runs/embed. The others need not, "
        "since this is no x86-64 processor with AVX2 under Linux."
    ]
    assert told({"runs/evaluate": 0.25}, promised)[1] == "Only what may differ here does."
    assert told({"runs/embed": 0.25}, promised)[1].startswith("The processor here is no reason for that")


@pytest.mark.parametrize("committed", [False, True])
def test_where_nothing_is_recorded_the_error_is_one_line(tmp_path: Path, committed: bool) -> None:
    repository = Repository(tmp_path)
    if committed:
        repository.git("init", "-q")
    code, printed = verify(repository, check=False)
    assert code == 1
    _, line = printed.splitlines()
    expected = "a committed dvc.lock" if committed else "a git repository"
    assert line.startswith(f"error: expected {expected}, found: fatal: ")


def test_the_promise_is_kept_where_nothing_differs_but_what_may(on: Callable[[str, bool], None]) -> None:
    on("Apple M2", False)
    promised = promise(recorded())
    assert verdict({}, promised).kept and verdict({"net": 0.1, "runs/evaluate": 0.1}, promised).kept
    assert not verdict({"net": 0.1, "runs/embed": 0.1}, promised).kept
    # with other inputs another output says nothing of the processor
    assert not verdict({"net": 0.1}, promised, "stages/train.py").kept
    on("One CPU", True)
    assert not verdict({"net": 0.1}, promise(recorded())).kept


def test_a_report_marks_what_may_differ_and_shows_ten_differences_of_an_output(
    on: Callable[[str, bool], None],
) -> None:
    on("Apple M2", False)
    many = tuple(Difference(f"tensor {number}") for number in range(12))
    results = Result("data/raw", ()), Result("net", many), Result("runs/embed", many[:1])
    lines = report(Verdict(results, (), promise(recorded()))).splitlines()
    assert lines[:3] == ["data/raw    same", "net         differs, as it may", "runs/embed  DIFFERENT"]
    assert lines[3:13] == [f"net: tensor {number}" for number in range(10)]
    assert lines[13:15] == ["net: and 2 more", "runs/embed: tensor 0"]


@pytest.mark.parametrize("name", ["one.arithmetic", "b.json:arithmetic", "arithmetic"])
@pytest.mark.parametrize(("output", "dependency"), [("models", "models/net"), ("models/net", "models")])
def test_other_repositories_have_other_names_and_folders(
    on: Callable[[str, bool], None], name: str, output: str, dependency: str
) -> None:
    on("One CPU", True)
    stages = {
        "a": Stage(dependencies={output: "2"}, outputs={"other": "1"}),
        "b": Stage(parameters={name: "native", "two.arithmetic": "portable"}, outputs={output: "2"}),
        "c": Stage(dependencies={dependency: "2"}, outputs={"last": "3"}),
        "d": Stage(dependencies={"models2": "4"}, outputs={"apart": "5"}),
    }
    assert promise(stages) == Promise("One CPU", f"{name} is native", frozenset({output, "other", "last"}))


def test_a_report_shows_names_as_a_terminal_may_have_them(on: Callable[[str, bool], None]) -> None:
    on("One CPU", True)
    name = "a\x1b[31m\n\u202eb"
    result = Result(name, (Difference(f"tensor {name}"),))
    shown = "a\\x1b[31m\\n\\u202eb"
    lines = report(Verdict((result,), (name,), promise(recorded()))).splitlines()
    assert lines[0].split() == [shown, "DIFFERENT"] and lines[1] == f"{shown}: tensor {shown}"
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("name", ["tmp", "config.local", ".gitignore"])
@pytest.mark.parametrize("committed", [True, False])
def test_nothing_is_written_through_a_link_before_anything_is_run(
    tmp_path: Path, name: str, committed: bool
) -> None:
    repository = hostile.recorded(tmp_path / "r")
    outside = hostile.outside(tmp_path / "outside")
    link = repository / ".dvc" / name
    link.unlink(missing_ok=True)
    link.symlink_to(outside / "123" if name == "tmp" else outside / "123" / "mine")
    if committed:
        hostile.git(repository, "add", "-f", f".dvc/{name}")
        hostile.commit(repository)
        link.unlink()
    before = hostile.seen(outside)
    with pytest.raises(PathError, match=f"{name}: expected .*, found a symbolic link; remove it"):
        run_again(repository)
    assert hostile.seen(outside) == before
