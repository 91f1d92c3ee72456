"""Which build of the machine is tested: the one in the checkout, or the one in the folder that YIN_MACHINE names."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

MODULE = "yind.cesk._core"


class _Elsewhere(MetaPathFinder):
    """Finds the machine in another folder, and nothing else."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_file_location(MODULE, self._file) if fullname == MODULE else None


def choose() -> None:
    """Make later imports of the machine find the build that YIN_MACHINE names, if it names one."""
    folder = os.environ.get("YIN_MACHINE")
    if folder is None or any(isinstance(finder, _Elsewhere) for finder in sys.meta_path):
        return
    assert MODULE not in sys.modules, "the machine is imported already"
    (file,) = Path(folder).glob("yind/cesk/_core*.so")
    sys.meta_path.insert(0, _Elsewhere(file.absolute()))
