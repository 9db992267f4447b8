"""What a host needs before an experiment runs there: the baseline's commits, and what stages read."""

import os
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from fashionboard.base.errors import DataError
from fashionboard.repository import names, untrusted
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from fashionboard.repository.tree import Trees
from fashionboard.sweep import bundle, service
from fashionboard.sweep.cluster import Cluster, Worker
from fashionboard.sweep.job import Host


@dataclass
class Parcel:
    """What all hosts of a sweep need.

    objects: files of DVC's cache, by md5. missing: outputs that stages read, and that are not in the cache.
    sent: bytes that went to each host so far, by the store there.
    """

    root: Path
    baseline: str
    objects: dict[str, Path]
    missing: tuple[str, ...]
    sent: dict[str, int] = field(default_factory=dict)
    _locks: "defaultdict[str, Lock]" = field(default_factory=lambda: defaultdict(Lock))

    def send(self, cluster: Cluster, worker: Worker, host: Host) -> None:
        """Send what the host of `worker` lacks; of several workers of a host, the first one takes it all.

        Raises:
            SweepError: the worker is gone, or its disk cannot be written.
        """
        with self._locks[host.key]:
            self._send_all(cluster, worker, host.store)

    def _send_all(self, cluster: Cluster, worker: Worker, store: str) -> None:
        sizes = {md5: path.stat().st_size for md5, path in self.objects.items()}
        commits, lacking = cluster.ask(worker, service.needs, store, self.baseline, sizes)
        self.sent.setdefault(store, 0)
        if commits is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "bundle")
                # this repository may know only some of what the host has
                bundle.pack(path, self.root, self.baseline, [each for each in commits if self._has(each)])
                self._send(cluster, worker, store, self.baseline, path)
        for md5 in lacking:
            self._send(cluster, worker, store, md5, self.objects[md5])

    def _send(self, cluster: Cluster, worker: Worker, store: str, name: str, path: Path) -> None:
        offset = 0
        with path.open("rb") as file:
            # a file without bytes is one, too
            while (content := file.read(service.PART)) or not offset:
                cluster.ask(worker, service.take, store, name, offset, content)
                offset += len(content)
                self.sent[store] += len(content)
                if len(content) < service.PART:
                    break
        cluster.ask(worker, service.end, store, name, name != self.baseline)

    def _has(self, commit: str) -> bool:
        command = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
        return subprocess.run(command, cwd=self.root, capture_output=True, check=False).returncode == 0


def of(root: Path, git: Git, cache: Cache, baseline: str) -> Parcel:
    """Return what hosts need to run stages from the commit `baseline`."""
    tree = Trees(git, lambda path: False).read([baseline])[baseline]
    read = {each.root(path) for each in tree.stages for path in each.stage.dependencies}
    read |= set(_declared(root))
    objects: dict[str, Path] = {}
    missing = []
    for each in tree.stages:
        for output, md5 in each.stage.outputs.items():
            path = each.root(output)
            if any(names.overlap(path, other) for other in read):
                found = dict(_files(cache, output, md5))
                if found and all(found.values()):
                    objects |= {name: file for name, file in found.items() if file}
                else:
                    missing.append(path)
    return Parcel(root, baseline, objects, tuple(missing))


def _declared(root: Path) -> Iterator[str]:
    """Yield what the stages of a repository with nothing to commit read: dvc.lock has what they once read."""
    with untrusted.repository(root) as repo:
        for stage in repo.index.stages:
            for each in stage.deps:
                yield Path(os.path.relpath(str(each.fs_path), root)).as_posix()


def _files(cache: Cache, output: str, md5: str) -> Iterator[tuple[str, Path | None]]:
    """Yield the objects of an output, its list of files among them."""
    yield md5, cache.find(md5)
    try:
        entries = cache.entries(output, md5)
    except DataError:
        entries = None
    for digest in (entries or {}).values():
        yield digest, cache.find(digest)
