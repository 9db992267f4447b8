"""What a file of this project imports, of it and of others, read from the code without running it."""

import ast
import sys
from collections.abc import Iterable
from pathlib import Path


def project_files(root: Path, script: Path) -> set[str]:
    """Return all the files under `root` that `script` needs, itself included, as posix paths."""
    pending, found = [script], set()
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found.add(path)
        pending.extend(files(root, path))
        # a module is imported with the packages that it is in
        inner = [each / "__init__.py" for each in path.relative_to(root).parents]
        pending.extend(root / each for each in inner if (root / each).exists())
    return {path.relative_to(root).as_posix() for path in found}


def files(root: Path, path: Path) -> list[Path]:
    """Return the files under `root` that `path` itself imports."""
    return [found for module in _imported(path) for found in _files(root, module)]


def others(root: Path, scripts: Iterable[Path]) -> set[str]:
    """Name the modules, without their inner ones, that `scripts` need of other projects."""
    needed = {root / name for script in scripts for name in project_files(root, script)}
    modules = {module.partition(".")[0] for path in needed for module in _imported(path)}
    return modules - sys.stdlib_module_names - {"fashionboard", "stages"}


def _imported(path: Path) -> set[str]:
    """Name what `path` imports, also inside functions; the b of `from a import b` may be a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = _package(path.parents[node.level - 1]) if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def _package(folder: Path) -> list[str]:
    """Name the package that `folder` is, from the outermost in."""
    return [*_package(folder.parent), folder.name] if (folder / "__init__.py").exists() else []


def _files(root: Path, module: str) -> list[Path]:
    relative = Path(*module.split("."))
    candidates = [
        base / tail
        for base in (root / "src", root)
        for tail in (relative.with_suffix(".py"), relative / "__init__.py")
    ]
    return [path for path in candidates if path.is_file()]
