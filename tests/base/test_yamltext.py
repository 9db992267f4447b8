import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial

import pytest
from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fashionboard.base import yamltext
from fashionboard.base.errors import DataError

# in a process of its own, which libyaml may end
_READ = """
import sys
from ruamel.yaml import YAML
from fashionboard.base import yamltext
from fashionboard.base.errors import DataError

text = sys.stdin.buffer.read().decode()
try:
    yamltext.check(text)
except DataError as error:
    sys.exit(str(error))
try:
    YAML(typ="safe").load(text)
except Exception as error:
    print(type(error).__name__)
"""
_DEEP = "- " * 100_000


def read(text: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-c", _READ]
    return subprocess.run(command, input=text.encode(), capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "text",
    [
        _DEEP,
        "[" * 100_000,
        "{a: " * 100_000,
        # libyaml's ends of a line, and what may stand before one
        *(f"# a line{end}{_DEEP}" for end in ("\n", "\r", "\x85", "\u2028", "\u2029")),
        f"\ufeff{_DEEP}",
        f"a: !!seq\n{_DEEP}",
        "".join(f"\u2028{' ' * level}a:" for level in range(1000)),
    ],
    ids=range(11),
)
def test_what_would_end_the_process_is_refused(text: str) -> None:
    ended = read(text)
    assert (ended.returncode, ended.stderr) == (
        1,
        b"expected at most 200 levels and 1,000,000 values, found more; write it plainer\n",
    )


@pytest.mark.parametrize(
    "text",
    [
        # some that are no YAML
        f"[x:1]{' ' * 200}",
        f"a: [\n{_DEEP}",
        f"a: 1\n--- {_DEEP}",
        "-\t" * 100_000,
        "a: " + "[" * 150 + "]" * 150,
        "a: &x [*x, *x, *x, *x, *x, *x, *x, *x, *x, *x]",
    ],
    ids=range(6),
)
def test_what_passes_ends_no_process(text: str) -> None:
    assert read(text).returncode == 0


def test_aliases_that_stand_for_too_much_are_refused() -> None:
    lists = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    yamltext.check("\n".join(lists[:10]))
    for read in (yamltext.check, yamltext.load):
        with pytest.raises(DataError, match=r"1,000,000 values, found more; write it plainer$"):
            read("\n".join(lists))


VALUES = """
yes no on off y Yes TRUE False true null ~ 1:30 010 0o10 0x1F 1_000 +12 -0 1e-05 1E5 -.5 5. .inf -.INF
1e e5 12e 0b11 2020-01-02 'yes' '1e5' [1,on] {a:1} 1.2.3 <<x
"""


def value_or_refusal(parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(text)
    except (DataError, YAMLFileCorruptedError, YAMLError):
        return "refused"


@pytest.mark.parametrize("value", ["", "a b", "\tx", "x\t# y", "x\x85y", *VALUES.split()])
def test_values_are_those_that_dvc_reads(value: str) -> None:
    text = f"a: {value}\n"
    on_libyaml = value_or_refusal(partial(parse_yaml, path="x"), text)
    in_python = value_or_refusal(YAML(typ="safe", pure=True).load, text)
    expected = in_python if on_libyaml == "refused" else on_libyaml
    assert value_or_refusal(yamltext.load, text) == expected
    assert value_or_refusal(partial(yamltext.load, fall_back=False), text) == on_libyaml


def test_both_of_dvcs_readers_read_most_values_alike() -> None:
    texts = [f"a: {value}\n" for value in VALUES.split()]
    read = [value_or_refusal(partial(parse_yaml, path="x"), text) for text in texts]
    in_python = [value_or_refusal(YAML(typ="safe", pure=True).load, text) for text in texts]
    differ = [text for text, one, other in zip(texts, read, in_python, strict=True) if one != other]
    assert differ == ["a: {a:1}\n"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("deps: [s3://b/x, a:1]", {"deps": ["s3://b/x", "a:1"]}),
        ("m: {a: 1, b:2: 3}", {"m": {"a": 1, "b:2": 3}}),
        ("when: [2020-01-02T03:04:05]", {"when": [datetime(2020, 1, 2, 3, 4, 5)]}),
    ],
)
def test_what_libyaml_refuses_is_read_in_python(text: str, found: object) -> None:
    assert yamltext.load(text) == found


def test_what_is_read_in_python_is_held_to_the_same_bounds() -> None:
    lists = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    for text in ("\n".join(["b: [x:1]", *lists]), f"b: [x:1]\nc: {'[' * 250}"):
        with pytest.raises(DataError, match=r"(found more; write it plainer|not valid YAML: .*)$"):
            yamltext.load(text)


def test_halves_of_characters_are_no_yaml() -> None:
    with pytest.raises(DataError, match="not valid YAML"):
        yamltext.load("a: \udc80" + " *x" * 20)
