"""What the driver asks of a worker, and what it gets back."""

from dataclasses import dataclass, field

from fashionboard.base.errors import FashionboardError


class SweepError(FashionboardError):
    """A sweep cannot start, or one of its experiments has failed."""


class TakenBackError(Exception):
    """A worker has ended an experiment that was not to go on there."""


class HostError(FashionboardError):
    """An experiment has failed for what its host lacks, such as room on the disk; another may run it."""


def counted(number: int) -> str:
    """Return `1 experiment`, `2 experiments` and so on."""
    return f"{number} experiment{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class Job:
    """An experiment to run: its name, the commit from which it starts, and what `dvc exp run -S` is given.

    prefix: the folder of the DVC repository, from the top of git's; "" where they are the same. author: the
    name and the address that git records. pull: whether DVC brings data that the host lacks from its remote.
    sweep: the name of the sweep, which no other has.
    """

    name: str
    baseline: str
    overrides: tuple[str, ...]
    prefix: str
    author: tuple[str, str]
    pull: bool = False
    sweep: str = ""


@dataclass(frozen=True)
class Outcome:
    """How an experiment ended on a worker.

    commit: that of the experiment, "" if it failed. bundle: it as git packs it. objects: the md5s of its
    outputs, and of the files in them, as far as the host has them. problem: the end of what DVC printed, ""
    if all went well. worker: the address of the worker that ran it. seconds: how long DVC took. times: of its
    stages, see `repository.times`.
    """

    worker: str
    seconds: float
    commit: str = ""
    bundle: bytes = b""
    objects: tuple[str, ...] = ()
    problem: str = ""
    times: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Grown:
    """What an event file has more than the driver knows, or all of it if it is another file by now.

    offset: where `content` begins.
    """

    offset: int
    content: bytes


@dataclass(frozen=True)
class Seen:
    """How much of an event file the driver has, in bytes, and the last of them: they tell two files apart."""

    size: int = 0
    tail: bytes = b""


@dataclass(frozen=True)
class Host:
    """What a worker tells of itself.

    name: of the machine. store: the folder in which it keeps what the driver sends. kind: of its processor.
    versions: of Python and of what has a say in the results, by name. begun: names of experiments that did
    not end there.
    """

    name: str
    store: str
    kind: str
    avx2: bool
    versions: dict[str, str] = field(default_factory=dict)
    begun: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """What two workers have in common that share a store."""
        return f"{self.name} {self.store}"
