"""Which experiment a worker is given."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from fashionboard.sweep.cluster import Worker
from fashionboard.sweep.driver import Driver
from fashionboard.sweep.job import Host, Job

NAMES = ("a", "b", "c")


def worker(name: str, *begun: str) -> Worker:
    """A worker on a host of that name, on which experiments have begun."""
    return Worker(name, name, Host(name, "/store", "cpu", avx2=True, begun=frozenset(begun)), ready=True)


def following(to: str, workers: list[Worker], unfit: dict[str, set[str]]) -> str:
    """Return the name of the experiment that the worker `to` is given, "" if none."""
    # what runs elsewhere has no part in it
    cluster = SimpleNamespace(workers={each.address: each for each in workers})
    driver = Driver(*cast(Any, (cluster, None, None, None, None, None)))
    driver._waiting.extend(Job(name, "0" * 40, (), "", ("", "")) for name in NAMES)
    driver._unfit.update(unfit)
    found = driver._next(cluster.workers[to])
    return found.name if found else ""


@pytest.mark.parametrize(
    ("to", "workers", "unfit", "expected"),
    [
        ("one", [worker("one")], {}, "a"),
        ("one", [worker("one", "c"), worker("two")], {}, "c"),
        ("two", [worker("one", "a"), worker("two")], {}, "b"),
        ("two", [worker("one", *NAMES), worker("two")], {}, "a"),
        ("one", [worker("one"), worker("two")], {"a": {"one /store"}}, "b"),
        ("one", [worker("one")], {name: {"one /store"} for name in NAMES}, "a"),
        ("one", [worker("one"), worker("two")], {name: {"one /store"} for name in NAMES}, ""),
    ],
)
def test_it_goes_on_where_it_began_and_not_where_it_cannot_run(
    to: str, workers: list[Worker], unfit: dict[str, set[str]], expected: str
) -> None:
    assert following(to, workers, unfit) == expected
