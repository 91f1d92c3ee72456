"""Files with secrets in them: only their owner reads them, whatever was there before.

Is:     writing one, from the first byte on with mode 0600.
Is not: reading keys (`capabilities.keys`) and tokens (`cli.holding`).
Fits:   every command that writes a token or key where a person says.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cli.errors import CliError


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, also in the place of one that others could. Raises CliError.

    Whoever has the old file open does not see the new one, for that is another file. What is no file, such as a pipe, is
    written to as it is.
    """
    target = Path(os.path.realpath(path))  # a link goes on pointing to it
    try:
        if target.exists() and not target.is_file():
            target.write_text(text)
            return
        _replace(target, text)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}") from error


def _replace(target: Path, text: str) -> None:
    descriptor, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:  # of mode 0600, as it was made
            file.write(text)
        os.replace(beside, target)
    except BaseException:
        os.unlink(beside)
        raise
