"""Program text from files and flags, compiled with errors that people can read.

Is:     reading source and calling `yang`.
Is not: sending the program anywhere.
Fits:   `yin run`, `yin spawn`, `yin compile`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import CliError, Exit

if TYPE_CHECKING:
    from yang.program import Program


def read_source(file: Path) -> str:
    """Return a source file's text. Raises CliError."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}", exit_code=Exit.NOT_FOUND) from error
    except UnicodeDecodeError as error:
        raise CliError(f"{file}: not UTF-8 at byte {error.start}") from error


def compile_or_fail(text: str, name: str) -> Program:
    """Return the program of a source text. Raises CliError with file, line, column and caret."""
    from yang.compile import compile_source
    from yang.errors import SourceError, SourceErrors

    try:
        return compile_source(text, name).program
    except (SourceError, SourceErrors) as error:
        raise CliError(str(error)) from error
