"""Make 20 faults in the code, one at a time, in a copy of it, and see that a test finds each.

    make mutants                                     # a few minutes; exits with 1 if a fault is not found

A fault is one line that a person could have written wrong. The copy is temporary and holds what git tracks
or would add. A line whose text was changed since makes the list stale, which is an error, too.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 300  # seconds that the tests of a fault may take
# of pytest
PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Fault:
    """A fault: in `file`, `new` instead of `old`, which `tests` find; told as what was done wrong."""

    told: str
    file: str
    old: str
    new: str
    tests: str


FAULTS = (
    Fault(
        "line ends that a library chooses",
        "src/fashionboard/base/outputs.py",
        'csv.writer(text, lineterminator="\\n")',
        "csv.writer(text)",
        "tests/base/test_outputs.py",
    ),
    Fault(
        "the count of classes taken for a class",
        "src/fashionboard/data/dataset.py",
        "labels.max() >= classes",
        "labels.max() > classes",
        "tests/data/test_dataset.py::test_a_label_must_be_a_class",
    ),
    Fault(
        "probabilities over the images, not the classes",
        "src/fashionboard/network/inference.py",
        "log_softmax(logits.double(), dim=1)",
        "log_softmax(logits.double(), dim=0)",
        "tests/network/test_inference.py::test_every_image_gets_its_own_probabilities",
    ),
    Fault(
        "labels and predictions swapped",
        "src/fashionboard/evaluation/scores.py",
        "np.add.at(counts, (labels, predicted), 1)",
        "np.add.at(counts, (predicted, labels), 1)",
        "tests/evaluation/test_scores.py::test_confusion_has_labels_in_rows_and_a_place_for_absent_classes",
    ),
    Fault(
        "nothing flushed",
        "src/fashionboard/events/writer.py",
        "self._records.flush()",
        "pass",
        "tests/events/test_writer.py::test_what_is_flushed_can_be_read_while_the_file_is_open",
    ),
    Fault(
        "a digest of files in the order in which a disk lists them",
        "src/fashionboard/events/inputs.py",
        "return sorted(",
        "return list(",
        "tests/events/test_inputs.py::test_no_order_of_deps_or_of_files_in_a_folder_matters",
    ),
    Fault(
        "a link taken for what it leads to",
        "src/fashionboard/repository/no_links.py",
        "path.lstat()",
        "path.stat()",
        "tests/repository/test_no_links.py",
    ),
    Fault(
        "a link out of the cache followed",
        "src/fashionboard/repository/cache.py",
        "stat.S_ISLNK(kind) and self.holds(real)",
        "stat.S_ISLNK(kind)",
        "tests/repository/test_cache.py::test_an_object_is_a_regular_file_or_a_link_to_another_object",
    ),
    Fault(
        "a kept archive known by its size alone",
        "src/fashionboard/sources/downloaded.py",
        "hashlib.sha256(content).hexdigest() != archive.sha256",
        "len(content) != archive.size",
        "tests/sources/test_downloaded.py::test_what_is_kept_is_verified_each_time",
    ),
    Fault(
        "train and test images drawn from one seed",
        "src/fashionboard/sources/drawn.py",
        "default_rng([seed, _SPLIT_CODE[split]])",
        "default_rng(seed)",
        "tests/sources/test_drawn.py::test_train_and_test_share_no_image",
    ),
    Fault(
        "every epoch in the same order",
        "src/fashionboard/training/loop.py",
        "default_rng([seed, epoch])",
        "default_rng(seed)",
        "tests/training/test_loop.py::test_a_seed_of_its_own_orders_each_epoch",
    ),
    Fault(
        "a step trained twice by who goes on",
        "src/fashionboard/training/loop.py",
        "max(epoch * steps, after + 1)",
        "max(epoch * steps, after)",
        "tests/training/test_resume.py::test_a_training_that_was_killed_ends_in_the_same_bits",
    ),
    Fault(
        "shares of the columns in the place of those of the rows",
        "src/fashionboard/figures/diagrams.py",
        "counts.sum(axis=1, keepdims=True)",
        "counts.sum(axis=0, keepdims=True)",
        "tests/figures/test_examples.py"
        "::test_a_cell_of_a_confusion_has_its_number_and_the_shade_of_its_share_of_the_row",
    ),
    Fault(
        "a picture not turned as its camera was",
        "src/fashionboard/pictures/decode.py",
        "ImageOps.exif_transpose(picture, in_place=True)",
        "ImageOps.exif_transpose(picture)",
        "tests/pictures/test_decode.py::test_a_picture_is_turned_as_its_camera_was",
    ),
    Fault(
        "changed inputs excused",
        "src/fashionboard/verify/session.py",
        "not (self.changed or self.contradicted or",
        "not (self.contradicted or",
        "tests/verify/test_session.py::test_the_promise_is_kept_where_nothing_differs_but_what_may",
    ),
    Fault(
        "a file moved that an object of the cache shares",
        "src/fashionboard/restore/kept.py",
        "st_nlink > 1",
        "st_nlink > 2",
        "tests/restore/test_anywhere.py::test_a_kept_file_shares_nothing_with_the_cache",
    ),
    Fault(
        "a copy written through a link",
        "src/fashionboard/board/view.py",
        'link.open("xb")',
        'link.open("wb")',
        "tests/board/test_view.py::test_a_copy_is_never_written_through_a_link_that_lies_there",
    ),
    Fault(
        "a copied mark taken for a board's own, whose folder may be removed",
        "src/fashionboard/board/marks.py",
        ' and mark.partition(" ")[2] == str(folder.lstat().st_ino)',
        "",
        "tests/board/test_hostile.py::test_a_folder_without_a_mark_of_its_own_is_not_taken_for_a_view",
    ),
    Fault(
        "success and failure swapped in an exit code",
        "src/fashionboard/cli.py",
        "arguments.json)\n    if not session.run(options):",
        "arguments.json)\n    if session.run(options):",
        "tests/predict/test_session.py::test_what_cannot_be_read_is_a_line_each_and_the_others_are_done",
    ),
    Fault(
        "a check left out",
        "stages/embed.py",
        '    dataset.check_enough(train, settings.points, "embed.points")\n',
        "",
        "tests/test_stages.py::test_too_few_images_for_a_parameter_are_said_with_its_name_and_value",
    ),
)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="fashionboard-mutants-") as folder:
        copy = Path(folder)
        copy_to(copy)
        stale = [fault for fault in FAULTS if count(copy / fault.file, fault.old) != 1]
        for fault in stale:
            print(f"{fault.file}: expected {fault.old!r} once; the list in scripts/mutants.py is stale")
        if stale:
            sys.exit(1)
        print("Running their tests without a fault.", flush=True)
        code, said = run(copy, sorted({fault.tests for fault in FAULTS}))
        if code != PASSED:
            sys.exit(f"{said}error: expected the tests to pass without a fault, found the above; mend them")
        missed = sum(not is_caught(copy, fault) for fault in FAULTS)
    print(f"{len(FAULTS) - missed} of {len(FAULTS)} faults are caught.")
    sys.exit(missed > 0)


def copy_to(folder: Path) -> None:
    """Copy the files that git tracks or would add, as they are now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout  # noqa: S603
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def count(path: Path, text: str) -> int:
    """Return how often a text is in a file, which may be gone."""
    return path.read_text(encoding="utf-8").count(text) if path.is_file() else 0


def is_caught(copy: Path, fault: Fault) -> bool:
    """Make one fault, run its tests, take it back, and print what was found."""
    path, start = copy / fault.file, time.monotonic()
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(fault.old, fault.new), encoding="utf-8")
    code, said = run(copy, [fault.tests])
    path.write_text(whole, encoding="utf-8")
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    found = f"caught by {failed[1]}" if code == FAILED and failed else f"NOT CAUGHT, pytest ended with {code}"
    print(f"{fault.file}: {fault.told}: {found} ({time.monotonic() - start:.1f} s)", flush=True)
    return code == FAILED


def run(copy: Path, tests: list[str]) -> tuple[int, str]:
    """Run tests on the copy's code, and return pytest's exit code and what it printed."""
    environment = {
        **os.environ,
        # not an installed package
        "PYTHONPATH": str(copy / "src"),
        # a file that was changed twice in a second would be taken for what it was
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=short", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return -1, f"expected an end within {LONGEST} s, found none\n"
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    main()
