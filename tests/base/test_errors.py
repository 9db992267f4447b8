import errno
import os

import pytest

from fashionboard.base import errors


def raiser(error: Exception):  # type: ignore[no-untyped-def]
    def main() -> None:
        raise error

    return main


def test_an_expected_error_is_one_line_and_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        errors.run(raiser(errors.DataError("nothing here")))
    # Python prints a SystemExit's text to stderr and exits with 1
    assert caught.value.code == "error: nothing here"


def test_an_error_with_line_ends_is_still_one_line() -> None:
    with pytest.raises(SystemExit) as caught:
        errors.run(raiser(errors.DataError("a\n  b")))
    assert caught.value.code == "error: a b"


def test_a_full_disk_is_one_line() -> None:
    with pytest.raises(SystemExit) as caught:
        errors.run(raiser(OSError(errno.ENOSPC, "No space left on device", "runs/x")))
    assert caught.value.code == (
        "error: runs/x cannot be written (No space left on device); make room or give access"
    )


def test_a_file_without_permission_is_one_line_that_says_nothing_of_writing() -> None:
    with pytest.raises(SystemExit) as caught:
        errors.run(raiser(PermissionError(errno.EACCES, "Permission denied", "cache/x")))
    assert caught.value.code == "error: cache/x cannot be opened (Permission denied); give access"


@pytest.mark.parametrize("number", [errno.EFBIG, errno.EIO, errno.ENOTDIR, errno.EEXIST, errno.EISDIR])
def test_what_a_disk_refuses_is_one_line(number: int) -> None:
    with pytest.raises(SystemExit) as caught:
        errors.run(raiser(OSError(number, os.strerror(number), "plots/x")))
    assert str(caught.value).startswith("error: plots/x")
    assert os.strerror(number) in str(caught.value)


def test_a_reason_is_a_line_that_is_not_too_long() -> None:
    assert errors.reason(ValueError("a\n  b")) == "a b"
    assert errors.reason(KeyError()) == "KeyError"
    assert (
        errors.reason(OSError(errno.ENOSPC, "No space left on device", "x")) == "x: No space left on device"
    )
    assert errors.reason(ValueError("word " * 200)).endswith(" ...")
    assert len(errors.reason(ValueError("word " * 200))) <= 300


@pytest.mark.parametrize("bug", [ZeroDivisionError(), OSError(errno.EBADF, "Bad file descriptor")])
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)):
        errors.run(raiser(bug))


@pytest.mark.parametrize(
    "child",
    [
        errors.ParameterError,
        errors.DataError,
        errors.DownloadError,
        errors.ModelError,
        errors.PictureError,
        errors.TrainingError,
    ],
)
def test_every_error_belongs_to_the_family(child: type[Exception]) -> None:
    assert issubclass(child, errors.FashionboardError)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\x7f\x9b", "a\\nb\\x7f\\x9b"),
        ("\u202ea\u2069\ufeff\u2028", "\\u202ea\\u2069\\ufeff\\u2028"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_may_act_on_is_shown_as_its_code(text: str, shown: str) -> None:
    assert errors.visible(text) == shown
    with pytest.raises(SystemExit) as caught:
        errors.run(raiser(errors.DataError(f"found{text.replace(chr(10), '')}")))
    assert str(caught.value).isprintable()


def test_what_scripts_are_written_with_stays() -> None:
    text = "größe 训练 नम\u200dस्ते می\u200cخواهم 1\u00a0000\u202f000 \u3000 👩\u200d🔬"
    assert errors.visible(text) == text
