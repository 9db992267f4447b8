"""`fashionboard verify` on real repositories."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fashionboard.base import processor
from fashionboard.base.errors import PathError
from fashionboard.repository import lockfile
from fashionboard.repository.lockfile import Stage
from fashionboard.verify.compare import Difference
from fashionboard.verify.session import Promise, Result, Verdict, promise, report
from fashionboard.verify.session import verify as run_again
from tests.base.test_arithmetic import HOSTILE, NO_FMA
from tests.support import hostile, rights
from tests.support.plain import fixed, plain
from tests.support.repository import Repository
from tests.support.servers import eventually


def verify(repository: Repository, check: bool = True, **environment: str) -> tuple[int, str]:
    done = repository.run("fashionboard", "verify", check=check, **environment)
    return done.returncode, done.stdout


@pytest.mark.slow
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


@pytest.mark.slow
def test_in_a_hook_of_gits_the_index_is_left_alone(finished: Repository, tmp_path: Path) -> None:
    clone = finished.clone(tmp_path / "clone ")  # a name that ends with a space, too
    hook = clone.path / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\nfashionboard verify\n")
    hook.chmod(0o755)
    with (clone.path / "README.md").open("w") as file:
        file.write("new")
    clone.git("add", "README.md")
    with (clone.path / ".gitignore").open("a") as file:
        file.write("# more\n")
    assert "byte for byte" in clone.git("commit", "-a", "-m", "in a hook")
    assert clone.git("show", "--name-only", "--format=", "HEAD").split() == [".gitignore", "README.md"]
    assert clone.git("status", "--porcelain") == ""


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def differing(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose code writes something else than its dvc.lock records; to be copied."""
    repository = fixed(tmp_path_factory.mktemp("differing") / "repository")
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    code = repository.path / "train.py"
    code.write_text(code.read_text().replace("GAIN = 1", "GAIN = 2"))
    repository.git("commit", "-qam", "another gain")
    return repository


@pytest.fixture
def apart(differing: Repository, tmp_path: Path) -> Repository:
    return Repository(shutil.copytree(differing.path, tmp_path / "repository"))


def recorded_object(repository: Repository, path: str) -> Path:
    """Where the cache keeps what dvc.lock records of an output."""
    stages = lockfile.stages((repository.path / "dvc.lock").read_text())
    return hostile.object_path(repository.path, stages["train"].outputs[path])


def cut_off(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-7])


def to_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_nonsense(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"[" * 100_000)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["curve.tfevents", "metrics.json"])
@pytest.mark.parametrize("damage", [cut_off, to_a_folder, to_nonsense])
def test_a_damaged_object_of_the_recorded_run_has_a_verdict_that_dvc_fetch_mends(
    apart: Repository, tmp_path: Path, path: str, damage: Callable[[Path], None]
) -> None:
    apart.dvc("remote", "add", "-d", "-q", "storage", str(tmp_path / "storage"))
    apart.git("commit", "-qam", "a remote")
    apart.dvc("push", "-q")
    place = recorded_object(apart, path)
    damage(place)
    code, printed = verify(apart, check=False)
    assert code == 1 and "Traceback" not in printed
    (line,) = [line for line in printed.splitlines() if str(place) in line]
    assert line.startswith(f"{path}: the recorded one is ")
    assert f"remove {place}, and bring it back with `dvc fetch`" in line
    assert "curve.tfevents  DIFFERENT" in printed and "metrics.json    DIFFERENT" in printed
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    apart.dvc("fetch", "-q")
    _, printed = verify(apart, check=False)
    assert "the recorded one" not in printed
    assert "metrics.json: metric accuracy by 1" in printed


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv, of util-linux")
@pytest.mark.parametrize("whole_folder", [False, True])
def test_an_object_without_permission_cannot_be_read(apart: Repository, whole_folder: bool) -> None:
    place = recorded_object(apart, "metrics.json")
    closed = place.parent if whole_folder else place
    closed.chmod(0)
    done = apart.run(*rights.without("fashionboard", "verify"), check=False)
    closed.chmod(0o755)
    assert done.returncode == 1
    expected = f"metrics.json: the recorded one cannot be read ({place}: Permission denied); give access"
    assert expected in done.stdout.splitlines()


def edited(repository: Repository, old: str, new: str) -> None:
    """Edit dvc.lock by hand, and commit it."""
    lock = repository.path / "dvc.lock"
    assert old in lock.read_text()
    lock.write_text(lock.read_text().replace(old, new, 1))
    repository.git("commit", "-qam", "edited")


OTHER = "f" * 32


@pytest.fixture(scope="module")
def two_stages(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with two quick stages and a run of them; to be copied."""
    stages = {
        "first": {"cmd": "echo 1 > a", "deps": ["train.py"], "outs": ["a"]},
        "second": {"cmd": "cat a a > b", "deps": ["a"], "outs": ["b"]},
    }
    files = {"dvc.yaml": json.dumps({"stages": stages}), ".gitignore": "/a\n/b\n"}
    repository = plain(tmp_path_factory.mktemp("two") / "repository", files)
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    return repository


@pytest.fixture
def quick(two_stages: Repository, tmp_path: Path) -> Repository:
    return Repository(shutil.copytree(two_stages.path, tmp_path / "repository"))


def md5s(repository: Repository, stage: str) -> Stage:
    return lockfile.stages((repository.path / "dvc.lock").read_text())[stage]


@pytest.mark.slow
def test_an_output_edited_in_dvc_lock_is_not_blamed_on_the_processor(quick: Repository) -> None:
    edited(quick, md5s(quick, "second").outputs["b"], OTHER)
    code, printed = verify(quick, check=False)
    assert code == 1
    assert printed.splitlines()[-1] == (
        "The processor here is no reason for that, and nothing that dvc.lock names has changed. DVC's cache "
        "holds what this run wrote of b, and not what dvc.lock records: dvc.lock was edited by hand or "
        "merged (`dvc repro` and a commit of dvc.lock put it right), or recorded elsewhere (`dvc pull` "
        "brings it)."
    )
    # without a cache it may be that, too
    shutil.rmtree(quick.path / ".dvc" / "cache")
    _, printed = verify(quick, check=False)
    assert "dvc.lock may have been edited by hand or merged: `dvc repro`" in printed.splitlines()[-1]
    # and the way that is named helps
    quick.dvc("repro", "-q", "--force")
    quick.git("commit", "-qam", "run again")
    assert verify(quick)[0] == 0


@pytest.mark.slow
def test_a_dvc_lock_that_contradicts_itself_is_named(quick: Repository) -> None:
    edited(quick, f"md5: {md5s(quick, 'first').outputs['a']}", f"md5: {OTHER}")
    assert md5s(quick, "first").outputs["a"] != md5s(quick, "second").dependencies["a"]
    code, printed = verify(quick, check=False)
    assert code == 1
    assert printed.splitlines()[-1] == (
        "dvc.lock contradicts itself on a: it was edited by hand, or merged; `dvc repro` and a commit of "
        "dvc.lock put it right."
    )
    quick.dvc("repro", "-q")
    quick.git("commit", "-qam", "run again")
    assert verify(quick)[0] == 0


def test_a_dependency_edited_in_dvc_lock_is_told_though_nothing_differs(quick: Repository) -> None:
    edited(quick, md5s(quick, "first").dependencies["train.py"], OTHER)
    code, printed = verify(quick)
    assert code == 0
    assert printed.splitlines()[-3:] == [
        "Not what dvc.lock was recorded with: train.py",
        "It changes no output, or dvc.lock was edited by hand or merged; `dvc repro` and a commit of "
        "dvc.lock put it right.",
        "All 2 outputs are, byte for byte, those that HEAD's dvc.lock records.",
    ]


def test_what_contradicts_itself_is_not_excused_by_the_processor(on: Callable[[str, bool], None]) -> None:
    on("Apple M2", False)
    results = Result("net", (Difference("tensor 'x'", 1e-8),)), Result("runs/embed", ())
    contradicting = Verdict(results, (), promise(recorded()), contradicted=("net",))
    assert not contradicting.kept
    assert "Only what may differ" not in report(contradicting)


def test_stages_without_outputs_have_an_empty_table(on: Callable[[str, bool], None]) -> None:
    on("One CPU", True)
    assert report(Verdict((), (), promise({}))).startswith("Run on One CPU.")


@pytest.mark.slow
def test_killed_it_takes_dvc_and_the_stage_with_it_and_the_next_one_removes_its_clone(
    finished: Repository, quick: Repository, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = finished.begin("fashionboard", "verify", TMPDIR=str(temporary))
    # DVC names a stage's command before it starts it
    eventually(lambda: len(psutil.Process(command.pid).children(recursive=True)) > 1, True)
    family = psutil.Process(command.pid).children(recursive=True)
    command.kill()
    command.communicate()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    (clone,) = temporary.iterdir()
    assert (clone / "clone" / "dvc.yaml").exists()
    verify(quick, TMPDIR=str(temporary))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("kilobytes", [40, 400])
def test_a_full_disk_is_one_line(apart: Repository, tmp_path: Path, kilobytes: int) -> None:
    """On a disk of its own, which only this process sees: too small for git, or for what it checks out."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    (apart.path / "large").write_bytes(bytes(range(256)) * 4000)
    apart.git("add", "-A")
    apart.git("commit", "-qm", "a large file")
    (tmp_path / "disk").mkdir()
    script = f"""
mount -t tmpfs -o size={kilobytes}k none {tmp_path}/disk
TMPDIR={tmp_path}/disk fashionboard verify
echo ended with $?
ls -A {tmp_path}/disk
"""
    printed = apart.run("unshare", "-m", "bash", "-c", script).stdout.splitlines()
    assert len(printed) == 3
    assert re.fullmatch(
        rf"error: {tmp_path}/disk: expected room for about 3 MB, found 0 MB free; make room there, or name "
        "another folder: TMPDIR=FOLDER",
        printed[1],
    )
    assert printed[2] == "ended with 1"


@pytest.mark.slow
def test_temporary_files_may_lie_in_a_folder_with_korean_letters(quick: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "임시 폴더"
    folder.mkdir()
    assert verify(quick, TMPDIR=str(folder), LC_ALL="C")[0] == 0
    assert list(folder.iterdir()) == []
