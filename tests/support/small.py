"""A git and DVC repository with one quick stage, where this project's own stages do not matter."""

from pathlib import Path

from tests.support.repository import Repository

_STAGE = """
stages:
  one:
    cmd:
      - echo '{}' > numbers.json
      - mkdir -p out models
      - cp source out/a
      - cp source out/b
      - cp params.yaml models/net
    deps: [source]
    params: [s]
    outs: [out, models/net]
    metrics: [numbers.json: {cache: false}]
"""


def create(folder: Path) -> Repository:
    """Make the repository, run its stage, and commit."""
    folder.mkdir()
    repository = Repository(folder)
    repository.git("init", "-q", "-b", "main")
    repository.git("config", "user.name", "Test")
    repository.git("config", "user.email", "test@localhost")
    repository.dvc("init", "-q")
    for name, content in {
        "dvc.yaml": _STAGE,
        "params.yaml": "s: 0\n",
        "source": "src\n",
        "notes": "n\n",
    }.items():
        (folder / name).write_text(content)
    repository.dvc("repro", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "run")
    return repository
