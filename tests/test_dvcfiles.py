import hashlib

import pytest

from fashionboard import dvcfiles
from fashionboard.errors import DataError
from tests.repository import Repository


def test_the_lock_names_every_output_and_the_cache_holds_their_bytes(finished: Repository) -> None:
    """Fails when another DVC writes its files in another way."""
    stages = dvcfiles.stages((finished.path / "dvc.lock").read_text())
    assert list(stages) == ["download", "visualize", "embed", "train", "evaluate"]
    assert stages["train"].inputs["train.lr"] == 0.001
    assert stages["train"].inputs["cmd"] == "python -m stages.train"
    outputs = {path: md5 for stage in stages.values() for path, md5 in stage.outputs.items()}
    assert len(outputs) == 10
    for path, md5 in outputs.items():
        files = dvcfiles.Cache(finished.path / ".dvc" / "cache").files(path, md5)
        assert files
        for name, cached in files.items():
            assert cached.read_bytes() == (finished.path / name).read_bytes()
    model = (finished.path / "models" / "net.safetensors").read_bytes()
    assert outputs["models/net.safetensors"] == hashlib.md5(model).hexdigest()


@pytest.mark.parametrize(
    "lock", ["", "stages: [", "[]", "stages: {a: {}}", "stages: {a: {cmd: x, outs: [1]}}"]
)
def test_what_is_no_lock_is_refused(lock: str) -> None:
    with pytest.raises(DataError, match=r"^dvc\.lock: expected stages"):
        dvcfiles.stages(lock)


def test_what_is_not_in_the_cache_is_not_found(finished: Repository) -> None:
    assert dvcfiles.Cache(finished.path).files("x", "0" * 32) is None
    assert dvcfiles.Cache(finished.path).files("x", "0" * 32 + ".dir") is None
