"""Many files read by one process and by several, whole and damaged, and workers that are killed."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from fashionboard.base import errors
from fashionboard.base.errors import DataError
from fashionboard.base.kind import Kind
from fashionboard.pictures import decode, many
from fashionboard.pictures.fit import fit
from tests.support import shapes

KIND = Kind(16, "rgb", "crop")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """130 files: pictures, among them some that are none, and some with names that are hard to pass on."""
    folder = tmp_path_factory.mktemp("many")
    shapes.write(folder, ["circle", "square"], 62)
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("hello")
    os.mkfifo(folder / "pipe.png")
    for name in (b"two\nlines.png", b"\xff\xfe.png", b"a" * 250 + b".png"):
        Image.new("RGB", (20, 30), "red").save(folder / os.fsdecode(name))
    found = sorted(path for path in folder.rglob("*") if not path.is_dir())
    assert len(found) == 130
    return found


def expected(path: Path) -> tuple[bytes, tuple[int, int]] | str:
    try:
        picture = decode.read(path)
    except Exception as error:
        return str(error)
    return fit(picture, KIND).tobytes(), picture.size


def plain(found: many.Fitted | str) -> tuple[bytes, tuple[int, int]] | str:
    if isinstance(found, str):
        return found
    assert found.pixels.dtype == np.uint8 and found.pixels.shape == KIND.shape
    return found.pixels.tobytes(), found.size


@pytest.mark.parametrize("processes", [0, 1, 2, 3])
def test_the_result_does_not_depend_on_the_number_of_processes(
    paths: list[Path], processes: int, capfd: pytest.CaptureFixture[str]
) -> None:
    found = [plain(each) for each in many.read(paths, KIND, processes)]
    assert found == [expected(path) for path in paths]
    refused = [each for each in found if isinstance(each, str)]
    assert len(refused) == 3 and not any("\n" in each for each in refused)
    assert capfd.readouterr() == ("", "")


def test_grey_images_of_several_processes(paths: list[Path]) -> None:
    kind = Kind(9, "grey", "pad")
    for path, found in zip(paths, many.read(paths, kind, 2), strict=True):
        if not isinstance(found, str):
            assert np.array_equal(found.pixels, fit(decode.read(path), kind))


def workers(process: psutil.Process | None = None) -> list[psutil.Process]:
    children = (process or psutil.Process()).children(recursive=True)
    return [each for each in children if "fashionboard.pictures.many" in " ".join(each.cmdline())]


@pytest.mark.parametrize(
    ("files", "processors", "started"), [(31, 8, 0), (130, 1, 1), (130, 3, 3), (70, 8, 2)]
)
def test_as_many_processes_as_are_worth_it(
    paths: list[Path], files: int, processors: int, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "_processors", lambda: processors)
    with contextlib.closing(many.read(paths[:files], KIND)) as found:
        next(found)
        running = workers()
        assert len(running) == started
    assert not any(each.is_running() for each in running)


@pytest.mark.skipif(sys.platform != "linux", reason="the only system that tells")
def test_the_processors_are_those_that_this_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert many._processors() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_no_paths_give_nothing() -> None:
    assert list(many.read([], KIND)) == []


def test_a_worker_that_is_killed_is_told_of_and_not_waited_for(paths: list[Path]) -> None:
    with contextlib.closing(many.read(paths, KIND, 2)) as found:
        next(found)
        running = workers()
        running[0].kill()
        with pytest.raises(DataError) as caught:
            list(found)
    text = str(caught.value)
    assert "expected a process to decode it, found that ended (SIGKILL)" in text and "\n" not in text
    assert text.split(": ")[0] in map(str, paths[2::2])
    assert not any(each.is_running() for each in running)


SCRIPT = """
import sys, time
from pathlib import Path
import stages
from fashionboard.base.kind import Kind
from fashionboard.pictures import many
found = many.read([Path(path) for path in sys.argv[1:]], Kind(16, "rgb", "crop"), 2)
next(found)
print("reading", flush=True)
time.sleep(60)
"""


@pytest.fixture
def stage(paths: list[Path], root: Path) -> Iterator["subprocess.Popen[str]"]:
    """What signals meet as they would in a stage, with two workers, half-way through."""
    names = [str(path) for path in paths]
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *names],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("number", "group"),
    [
        (signal.SIGTERM, False),
        (signal.SIGINT, False),
        (signal.SIGINT, True),
        (signal.SIGHUP, True),
        (signal.SIGKILL, False),
        (signal.SIGKILL, True),
    ],
)
def test_a_stage_that_is_killed_leaves_no_worker_and_prints_no_traceback(
    stage: "subprocess.Popen[str]", number: signal.Signals, group: bool
) -> None:
    assert stage.stdout and stage.stdout.readline() == "reading\n"
    running = workers(psutil.Process(stage.pid))
    assert len(running) == 2
    (os.killpg if group else os.kill)(stage.pid, number)
    _, printed = stage.communicate(timeout=20)
    if number == signal.SIGKILL:
        assert stage.returncode == -number and printed == ""
    else:
        assert stage.returncode == 128 + number
        assert printed.startswith(f"stopped by {number.name}; ") and printed.count("\n") == 1
    _, alive = psutil.wait_procs(running, timeout=20)
    assert alive == []


MEMORY = """
import resource, sys
from pathlib import Path
from fashionboard.base.errors import DataError
from fashionboard.base.kind import Kind
from fashionboard.pictures import many
resource.setrlimit(resource.RLIMIT_AS, (1_200_000_000, 1_200_000_000))
try:
    print(list(many.read([Path("small.png"), Path("large.png")], Kind(16, "rgb", "crop"), int(sys.argv[1]))))
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the only system that keeps to such a limit")
@pytest.mark.parametrize("processes", ["0", "1"])
def test_a_whole_picture_for_which_there_is_no_memory_is_not_called_damaged(
    tmp_path: Path, processes: str
) -> None:
    Image.new("RGB", (20, 30), "red").save(tmp_path / "small.png")
    # 0.3 GB, and as much again for each step to white
    Image.new("RGBA", (9400, 9400), "red").save(tmp_path / "large.png", compress_level=1)
    command = [sys.executable, "-c", MEMORY, processes]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"large.png: {errors.NO_ROOM}\n" and done.stderr == ""


QUIET = """
import time
import stages
from fashionboard.pictures import decode
with decode._quiet_libraries():
    print("reading", flush=True)
    time.sleep(60)
"""


def test_a_stage_that_is_stopped_while_it_decodes_says_so(root: Path) -> None:
    command = [sys.executable, "-c", QUIET]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "reading\n"
        process.terminate()
        _, printed = process.communicate(timeout=20)
    assert printed.startswith("stopped by SIGTERM; ") and printed.count("\n") == 1
