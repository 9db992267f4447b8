"""A digest of everything that a stage's outputs depend on."""

import hashlib
import re
from pathlib import Path, PurePath

from pydantic import BaseModel

from fashionboard.base import clock, yamltext
from fashionboard.base.errors import DataError


@clock.part("reading")
def key(stage: str, settings: BaseModel, root: Path = Path()) -> str:
    """Return a digest of the stage's code, data and parameters: 16 hexadecimal digits.

    stage: a name in `root`/dvc.yaml, whose `deps` are read. settings: its section of params.yaml, which tells
    what a dep such as `${train.start}` stands for.

    Raises:
        DataError: one of them is not there, or is told by a template.
    """
    try:
        declared = yamltext.load((root / "dvc.yaml").read_bytes())["stages"][stage]["deps"]
    except DataError as error:
        raise DataError(f"dvc.yaml: {error}") from None
    digest = hashlib.sha256(f"{stage} {settings.model_dump_json()}".encode())
    for name in map(PurePath, sorted(declared)):
        path = root / _written_out(name, stage, settings)
        for file in _files(path):
            with file.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
            # under its name in dvc.yaml: where the repository lies does not matter
            digest.update(f"\n{(name / file.relative_to(path)).as_posix()} {found}".encode())
    return digest.hexdigest()[:16]


def _written_out(name: PurePath, stage: str, settings: BaseModel) -> str:
    """Return a dep's path, where dvc.yaml may take it from the stage's own section of params.yaml."""
    told = re.fullmatch(rf"\$\{{{stage}\.(\w+)\}}", str(name))
    return str(getattr(settings, told[1])) if told and hasattr(settings, told[1]) else str(name)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(f"dvc.yaml: expected a path in deps, found {path}, which is none; write it out")
    if not path.is_dir():
        return [path]
    # .dvcignore leaves out what Python writes beside a module
    return sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
