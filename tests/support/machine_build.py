"""Which build of the extension modules is tested: the one in the checkout, or the one in the folder that YIN_MACHINE names."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType


class _Elsewhere(MetaPathFinder):
    """Finds extension modules in another folder, and nothing else."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self.files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


def choose() -> None:
    """Make later imports of extension modules find the build that YIN_MACHINE names, if it names one."""
    folder = os.environ.get("YIN_MACHINE")
    if folder is None or any(isinstance(finder, _Elsewhere) for finder in sys.meta_path):
        return
    built = Path(folder).absolute()
    files = {
        ".".join([*file.relative_to(built).parts[:-1], file.name.partition(".")[0]]): file
        for package in ("datomstore", "yind")
        for file in built.glob(f"{package}/**/*.so")
    }
    assert files, f"nothing is built in {folder}"
    assert files.keys().isdisjoint(sys.modules), "a module is imported already"
    sys.meta_path.insert(0, _Elsewhere(files))
