"""Real daemons that are started, killed and started again in tenths of a second, on disks that lose what was not flushed.

Is:     processes of `yind`, forked by one that has imported it, with `powerloss.c` between them and the system if asked.
Is not: a double of anything: sockets, TLS, storage and tokens are the real ones, and so is kill -9.
Fits:   tests of whole nodes; `python -m daemons` is the process that forks.

A daemon may have a mistake in it (`mistakes`, or a storage that does not flush): then a test has to find that.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from cli.cluster import Cluster
from cli.fleet import is_readable

READY_S = 60.0
LIBRARY_SOURCE = Path(__file__).with_name("powerloss.c")
NO_FLUSH = "the storage does not flush"
STORED = ("data.mdb", "redo.0", "redo.1", "redo.new", "purged.mdb")  # as in `powerloss.c`


class Daemons:
    """The daemons of a cluster."""

    def __init__(self, cluster: Cluster, folder: Path, *, power: bool) -> None:
        self.cluster = cluster
        self.flaw = ""  # the mistake that daemons have which are started from now on
        self._folder = folder
        self.pids: dict[str, int] = {}  # of those that were started
        environment = dict(os.environ)
        if power:
            environment["LD_PRELOAD"] = str(built_library(folder))
        self._forker = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def start(self, name: str) -> None:
        """Start a node and return when it accepts connections."""
        assert name not in self.pids, name
        folder = self.cluster.node_folder(name).resolve()
        order = {
            "config": str(folder / "yind.toml"),
            "log": str(folder / "yind.log"),
            "cut": str(self._cut(name)),
            "flaw": self.flaw,
        }
        assert self._forker.stdin is not None
        assert self._forker.stdout is not None
        self._forker.stdin.write(json.dumps(order).encode() + b"\n")
        self._forker.stdin.flush()
        pid, ready = json.loads(self._forker.stdout.readline())
        self.pids[name] = pid
        if not ready:
            log = (folder / "yind.log").read_text(errors="replace")
            raise RuntimeError(f"node {name} did not start: {log[-2_000:]}")

    def kill(self, name: str) -> None:
        """Kill a node with -9 and wait until it is gone; what it wrote is there."""
        pid = self.pids.pop(name)
        with contextlib.suppress(ProcessLookupError):
            gone = os.pidfd_open(pid)
            try:
                signal.pidfd_send_signal(gone, signal.SIGKILL)
                is_readable(gone)
            finally:
                os.close(gone)

    def lose_power(self, name: str) -> None:
        """Kill a node, and leave of its data what was flushed."""
        self.kill(name)
        folder = self.cluster.node_folder(name) / "data"
        for file in STORED:
            left = folder / f"{file}.left"
            left.with_suffix(".unnamed").unlink(missing_ok=True)
            if left.exists():
                shutil.copyfile(left, folder / file)
            elif left.with_name("data.mdb.left").exists():
                (folder / file).unlink(missing_ok=True)

    def cut_power_after(self, name: str, moments: int) -> None:
        """Kill a node at a moment that many flushes and messages from now; `powerloss.c` says which."""
        cut = self._cut(name)
        cut.with_suffix(".new").write_text(str(moments))
        cut.with_suffix(".new").replace(cut)

    def cut_at(self, name: str) -> str:
        """Return at which moment a node's power was cut, or "" if it was not, and leave it its power from now on."""
        cut = self._cut(name)
        text = cut.read_text().strip() if cut.exists() else ""
        cut.unlink(missing_ok=True)
        return "" if text.isdigit() else text

    def is_dead(self, name: str) -> bool:
        """Return whether a node that was started is gone."""
        try:
            state = Path(f"/proc/{self.pids[name]}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        return state == "Z"

    def close(self) -> None:
        """Kill all nodes."""
        for name in list(self.pids):
            self.kill(name)
        assert self._forker.stdin is not None
        self._forker.stdin.close()
        self._forker.wait()
        assert self._forker.stdout is not None
        self._forker.stdout.close()

    def _cut(self, name: str) -> Path:
        return self._folder / f"{name}.cut"


@contextlib.contextmanager
def daemons(cluster: Cluster, *, power: bool = False) -> Iterator[Daemons]:
    """Yield a way to start a cluster's nodes; with `power`, their disks lose what was not flushed."""
    with tempfile.TemporaryDirectory() as folder:
        made = Daemons(cluster, Path(folder), power=power)
        try:
            yield made
        finally:
            made.close()


def built_library(folder: Path) -> Path:
    """Return the library of `powerloss.c`, built."""
    library = folder / "powerloss.so"
    command = ["gcc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([*command, str(LIBRARY_SOURCE), "-ldl", "-lpthread"], check=True)
    return library


# -- the process that forks: one thread, everything imported --


def serve() -> None:
    """Fork a daemon for each line of standard input, and answer with its process id and whether it is ready.

    Whoever asked may end without a word: then all daemons do.
    """
    import yind.main  # noqa: F401  # so that no fork has to

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    forked: list[int] = []
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _become_daemon(order, writing)
        os.close(writing)
        with contextlib.suppress(ProcessLookupError):
            forked.append(os.pidfd_open(pid))
        ready = is_readable(reading, READY_S) and os.read(reading, 1) == b"\n"
        os.close(reading)
        sys.stdout.write(json.dumps([pid, ready]) + "\n")
        sys.stdout.flush()
    for process in forked:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)


def _become_daemon(order: dict[str, str], ready: int) -> NoReturn:
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        with open(os.devnull, "rb") as nothing, open(order["log"], "ab") as log:
            os.dup2(nothing.fileno(), 0)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.environ["YIN_POWER_CUT"] = order["cut"]
        if order["flaw"]:
            flaws()[order["flaw"]]()
        from yind.main import main

        main(["--config", order["config"], "--ready-fd", str(ready)])
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()  # into the log
    finally:
        os._exit(status)


def flaws() -> dict[str, Callable[[], None]]:
    """Return the mistakes that can be put into this process, by name."""
    from mistakes import MISTAKES

    def put_in(name: str) -> None:
        from protocol.handoff import Source, Target

        rules = MISTAKES[name].rules
        Source.begin = staticmethod(rules.begin)  # type: ignore[method-assign]
        Source.step = rules.source  # type: ignore[assignment, method-assign]
        Target.step = rules.target  # type: ignore[assignment, method-assign]

    return {
        NO_FLUSH: _storage_without_flushes,
        **{name: lambda name=name: put_in(name) for name in MISTAKES},  # type: ignore[misc]
    }


def _storage_without_flushes() -> None:
    from datomstore.storage import redolog

    def careless(log: redolog.RedoLog, record: bytes) -> None:
        number, at = log.place
        log.place = redolog.Place(number + 1, at + len(record))
        file = os.open(os.readlink(f"/proc/self/fd/{log._file}"), os.O_RDWR)
        os.pwrite(file, record, at)
        os.close(file)

    redolog.RedoLog.append = careless  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    serve()
