"""What was made once of this package's own files, kept in the user's cache folder by the hash of what it was made of.

Is:     reading and writing whole files there: one writer or many, none ever sees a part of one.
Is not: a boundary that others may write to: what others can change is not read; nothing is executed, formats are the callers'.
Fits:   the core library (`yang.core`) and the reader's tables (`yang.reader.tables`). Losing a file loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from yang.limits import KEPT_FILES_MAX

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_DIGEST_SIZE = hashlib.sha256().digest_size


def find(name: str) -> bytes | None:
    """Return the content of a file that this user keeps here, None if there is no such file or it is not whole."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        with os.fdopen(os.open(_folder() / name, flags), "rb") as file:
            if not _is_own(os.fstat(file.fileno())):
                return None
            data = file.read()
    except OSError:
        return None
    digest, content = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
    return content if hashlib.sha256(content).digest() == digest else None


def keep(name: str, content: bytes) -> None:
    """Write a file for this user alone; where there is no room or no right to, nothing is kept."""
    with contextlib.suppress(OSError):
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_whole(folder / name, hashlib.sha256(content).digest() + content)
        _forget_old(folder, Path(name).suffix)


def _forget_old(folder: Path, suffix: str) -> None:
    """Remove all but the newest files of one kind: those of other versions are of no use to this one."""
    files = [(path.stat().st_mtime_ns, path) for path in folder.iterdir() if path.suffix == suffix]
    for _, path in sorted(files)[:-KEPT_FILES_MAX]:
        path.unlink(missing_ok=True)


def _folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "yin"


def _is_own(found: os.stat_result) -> bool:
    mode = found.st_mode
    return stat.S_ISREG(mode) and found.st_uid == os.getuid() and not mode & _OTHERS_MAY_WRITE


def _write_whole(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent)  # readable by this user only
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
