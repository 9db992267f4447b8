import hashlib

from fashionboard import lockfile
from tests.repository import Repository


def test_the_lock_names_every_output_and_the_cache_holds_their_bytes(finished: Repository) -> None:
    """Fails when another DVC writes its files in another way."""
    outputs = lockfile.outputs((finished.path / "dvc.lock").read_text())
    assert len(outputs) == 10
    for path, md5 in outputs.items():
        files = lockfile.files(finished.path, path, md5)
        assert files
        for name, cached in files.items():
            assert cached.read_bytes() == (finished.path / name).read_bytes()
    model = (finished.path / "models" / "net.safetensors").read_bytes()
    assert outputs["models/net.safetensors"] == hashlib.md5(model).hexdigest()


def test_what_is_not_in_the_cache_is_not_found(finished: Repository) -> None:
    assert lockfile.files(finished.path, "x", "0" * 32) is None
    assert lockfile.files(finished.path, "x", "0" * 32 + ".dir") is None
