from pathlib import Path

import pytest

from fashionboard.base import processor

HASWELL = "fpu sse4_2 fma movbe xsave avx f16c abm bmi1 avx2 bmi2"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return monkeypatch


def on(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    def read(path: Path, **_: str) -> str:
        if text is None:
            raise FileNotFoundError(path)
        return text

    monkeypatch.setattr(Path, "read_text", read)


def test_the_first_core_tells(machine: pytest.MonkeyPatch) -> None:
    on(machine, f"processor\t: 0\nmodel name\t: One CPU @ 2 GHz\nflags\t\t: {HASWELL}\n\nmodel name\t: Two\n")
    assert processor.name() == "One CPU @ 2 GHz"
    assert processor.has_avx2()


@pytest.mark.parametrize("flag", ["avx2", "fma", "movbe", "abm"])
def test_each_part_is_needed(machine: pytest.MonkeyPatch, flag: str) -> None:
    on(machine, f"flags\t\t: {HASWELL.replace(flag, '')}\n")
    assert not processor.has_avx2()


@pytest.mark.parametrize(("system", "kind"), [("darwin", "x86_64"), ("win32", "AMD64"), ("linux", "aarch64")])
def test_another_system_or_kind_has_none(machine: pytest.MonkeyPatch, system: str, kind: str) -> None:
    on(machine, f"flags\t\t: {HASWELL}\n")
    machine.setattr("sys.platform", system)
    machine.setattr("platform.machine", lambda: kind)
    assert not processor.has_avx2()


def test_without_a_file_it_has_a_name_all_the_same(machine: pytest.MonkeyPatch) -> None:
    on(machine, None)
    machine.setattr("platform.processor", lambda: "")
    assert processor.name() == "x86_64"
    assert not processor.has_avx2()
