import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fashionboard.base import clock
from fashionboard.base.clock import Clock, Loop


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Report:
    step: int


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def own(time: Time) -> Clock:
    return Clock(before=0.5, now=time)


def test_a_part_within_another_is_charged_to_itself_alone(own: Clock, time: Time) -> None:
    time.passes(1)
    with own.part("reading"):
        time.passes(2)
    time.passes(4)
    with own.part("events"):
        time.passes(8)
        with own.part("figures"):
            time.passes(16)
        time.passes(32)
    with own.part("imports"):
        time.passes(64)
    time.passes(128)
    own.charge()
    assert own.seconds == {
        "imports": 0.5 + 1 + 64,
        "reading": 2,
        "computing": 4 + 128,
        "figures": 16,
        "events": 8 + 32,
        "outputs": 0,
    }
    assert sum(own.seconds.values()) == 0.5 + time.now - 100


def test_a_marked_function_is_charged_each_time_also_where_it_fails(own: Clock, time: Time) -> None:
    @own.part("outputs")
    def write(seconds: float) -> float:
        time.passes(seconds)
        return 1 / seconds

    assert write(2) == 0.5 and write.__name__ == "write"
    with pytest.raises(ZeroDivisionError):
        write(0)
    write(4)
    time.passes(8)
    own.charge()
    assert (own.seconds["outputs"], own.seconds["computing"]) == (6, 8)


def test_a_loop_counts_its_steps_and_all_that_its_reports_are_used_for(own: Clock, time: Time) -> None:
    def train() -> "list[Report]":
        return [Report(29), Report(59), Report(69)]

    time.passes(1000)
    for report in own.trained(iter(train()), after=9):
        time.passes(report.step)
    time.passes(1000)
    assert own.loop == Loop(first_step=10, steps=60, seconds=29 + 59 + 69)


def test_a_loop_without_a_step_left(own: Clock) -> None:
    assert list(own.trained(iter(list[Report]()), after=99)) == []
    assert own.loop == Loop(100, 0, 0)


def test_a_process_measures_itself_from_its_start() -> None:
    assert clock.own.seconds["imports"] > 0


_HOLDS = """
import json, subprocess, sys
import psutil
from fashionboard.base import clock
before = clock.peak_memory()
held = bytearray(b"x") * 300_000_000
now = psutil.Process().memory_info().rss
del held
after = clock.peak_memory()
child = "from fashionboard.base import clock; print(clock.peak_memory())"
held = bytearray(b"x") * 300_000_000
started = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
print(json.dumps([before, now, after, int(started.stdout)]))
"""


def test_peak_memory_is_what_this_program_has_held_and_not_the_one_that_started_it(root: Path) -> None:
    environment = {"PYTHONPATH": str(root / "src"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", _HOLDS], env=environment, capture_output=True, text=True, check=True
    )
    before, now, after, child = json.loads(done.stdout)
    assert before < 100_000_000
    # the system counts pages a few at a time
    assert after == pytest.approx(now, rel=0.02)
    assert child < 100_000_000
