"""A disk under the storage of one process, and what a loss of power leaves of it.

Is:     a stand-in for `datomstore.storage.flushing` that knows what has been flushed, and makes a folder of what may be left:
        of each sector any version since the last flush, of each name the old or the new file.
Is not: a double of LMDB or of the files: these are real, and written as ever.
Fits:   tests of recovery; `powerloss.c` is the same for whole daemons, without the mixtures.

Before a write that waits, between its writing and its flush, and after it is a *moment* at which the power may go. What is
left then is made at once; what the process does afterwards is of no concern.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import lmdb

SECTOR = 512


class Disk:
    """The files of one folder."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.left: Path | None = None  # where what was left is, once the power has gone
        self.failing = 0  # writes that fail, from now on
        self.interrupts = False  # somebody presses a key at the next moment
        self.moments = 0
        self._chance = chance
        self._cut: tuple[int, Path] | None = None
        self._names: dict[str, int] = {}  # flushed
        self._open: dict[
            int, int
        ] = {}  # a descriptor of each file: its number is not another one's, then
        self._versions: dict[int, list[bytes]] = {}  # by file; the first is what was flushed last
        self._note()
        self._names = dict(self._found())
        for number in self._versions:
            del self._versions[number][:-1]

    def cut_after(self, moments: int, left: Path) -> None:
        """Have the power go at a moment, counted from now; what is left will be in a new folder."""
        self._cut = (self.moments + moments, left)

    def cut_now(self, left: Path) -> None:
        """Have the power go."""
        self._note()
        self._leave(left)

    def close(self) -> None:
        """Let go of the files."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _moment(self) -> None:
        if self.interrupts:
            raise KeyboardInterrupt
        self.moments += 1
        self._note()
        if self._cut is not None and self.left is None and self.moments >= self._cut[0]:
            self._leave(self._cut[1])

    # -- what is there, and what is left of it --

    def _found(self) -> Iterator[tuple[str, int]]:
        for path in self.folder.iterdir():
            yield path.name, path.stat().st_ino

    def _note(self) -> None:
        """Note what the files have now."""
        if self.left is not None:
            return
        for name, number in self._found():
            if number not in self._open:
                self._open[number] = os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC)
            now = os.pread(self._open[number], os.fstat(self._open[number]).st_size, 0)
            versions = self._versions.setdefault(number, [b""])
            if versions[-1] != now:
                versions.append(now)

    def _flushed(self, number: int) -> None:
        if self.left is None:
            self._note()
            del self._versions[number][:-1]

    def _leave(self, left: Path) -> None:
        left.mkdir()
        now = dict(self._found())
        for name in sorted({*now, *self._names}):
            number = self._chance.choice((now.get(name), self._names.get(name)))
            if number is not None:
                (left / name).write_bytes(self._mixed(self._versions[number]))
        self.left = left

    def _mixed(self, versions: list[bytes]) -> bytes:
        if len(versions) == 1:
            return versions[0]
        few = self._chance.choice((0.02, 0.5, 0.98))  # how likely a sector is of another version
        made = bytearray(self._chance.choice(versions[1:]))
        if len(made) < len(versions[0]):
            made += bytes(len(versions[0]) - len(made))
        shared = self._chance.choice(versions)
        for at in range(0, len(made), SECTOR):
            if self._chance.random() < few:
                version = self._chance.choice((shared, versions[0], *versions))
                sector = version[at : at + SECTOR]
                made[at : at + len(sector)] = sector
        return bytes(made)

    # -- in the place of `datomstore.storage.flushing` --

    def opened_through(self, path: Path, *, create: bool = False, direct: bool = False) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC
        return os.open(path, flags | (os.O_CREAT | os.O_TRUNC if create else 0), 0o600)

    def write_through(self, file: int, data: bytes, at: int) -> None:
        self._moment()
        os.pwrite(file, data, at)
        self._moment()
        if self.failing:
            self.failing -= 1
            raise OSError(errno.EIO, "the disk has failed")
        self._flushed(os.fstat(file).st_ino)
        self._moment()

    def flush_file(self, file: int) -> None:
        self._moment()
        self._flushed(os.fstat(file).st_ino)
        self._moment()

    def flush_folder(self, path: Path) -> None:
        self._moment()
        if path == self.folder:
            self._names = dict(self._found())
        self._moment()

    def flush_environment(self, environment: lmdb.Environment) -> None:
        self._moment()
        if self.failing:
            self.failing -= 1
            raise lmdb.Error("the disk has failed")
        self._flushed((self.folder / "data.mdb").stat().st_ino)
        self._moment()


NAMES = ("opened_through", "write_through", "flush_file", "flush_folder", "flush_environment")


@contextmanager
def on(disk: object, flushing: ModuleType) -> Iterator[None]:
    """Have all that waits for a disk wait for this one."""
    real = {name: getattr(flushing, name) for name in NAMES}
    for name in NAMES:
        setattr(flushing, name, getattr(disk, name))
    try:
        yield
    finally:
        for name in NAMES:
            setattr(flushing, name, real[name])
