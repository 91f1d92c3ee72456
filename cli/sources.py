"""Program text from files and flags, compiled with errors that people can read.

Is:     reading source and calling `yang`.
Is not: sending the program anywhere.
Fits:   `yin run`, `yin spawn`, `yin compile`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import CliError, Exit

PROGRAM_SUFFIX = ".yin"  # after the hash of a program: its bytes, as nodes keep and ship them
SUFFIXES = (".clj", ".cljc")  # of files that may be required

if TYPE_CHECKING:
    from yang.host import Host
    from yang.program import Program


def read_source(file: Path) -> str:
    """Return a source file's text. Raises CliError."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", exit_code=Exit.NOT_FOUND) from error
    except UnicodeDecodeError as error:
        raise CliError(f"{file}: not UTF-8 at byte {error.start}") from error


class SourceTexts(Mapping[str, str]):
    """The text of a program and, read when they are asked for, of the files in its folder that it may have required."""

    def __init__(self, name: str, text: str, file: Path | None) -> None:
        self._texts = {name: text}
        self._folder = None if file is None else file.parent.resolve()

    def __getitem__(self, name: str) -> str:
        if name not in self._texts:
            path = Path(name)
            inside = self._folder is not None and path.resolve().is_relative_to(self._folder)
            if not inside or path.suffix not in SUFFIXES or not path.is_file():
                raise KeyError(name)
            self._texts[name] = read_source(path)
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def host_of(file: Path | None) -> Host:
    """Return what the compiler may ask: macros run on the machine, namespaces come from the program's folder."""
    from yang.host import Host
    from yang.program import Program
    from yind.cesk.evaluate import evaluate

    folder = None if file is None else file.parent

    def load(namespace: str) -> tuple[str, str] | None:
        parts = namespace.replace("-", "_").split(".")
        if folder is None or not all(part.replace("_", "a").isalnum() for part in parts):
            return None
        for suffix in SUFFIXES:
            path = folder.joinpath(*parts).with_suffix(suffix)
            if path.is_file():
                return str(path), read_source(path)
        return None

    def program(program_hash: bytes) -> Program | None:
        path = None if folder is None else folder / f"{program_hash.hex()}{PROGRAM_SUFFIX}"
        return (
            Program.from_bytes(path.read_bytes()) if path is not None and path.is_file() else None
        )

    return Host(evaluate, load, program)


def compile_or_fail(text: str, name: str, file: Path | None = None) -> Program:
    """Return the program of a source text. Raises CliError with file, line, column and caret."""
    from yang.compile import compile_source
    from yang.errors import SourceError, SourceErrors

    try:
        return compile_source(text, name, host=host_of(file)).program
    except (SourceError, SourceErrors) as error:
        raise CliError(str(error)) from error
