"""The daemons of a development fleet: started, awaited, stopped.

Is:     child processes of `yind`, one a node, found again by their pid files; or one that lives as long as a block.
Is not: a supervisor: a node that dies stays dead until `yin up`.
Fits:   `yin up`, `yin down`, `yin run` and `yin demo`.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from cli.cluster import Cluster
from cli.errors import CliError, Exit

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0

_children: dict[int, subprocess.Popen[bytes]] = {}  # daemons that this process started


def daemon_command() -> list[str]:
    """Return how to start the daemon that belongs to this installation."""
    beside = Path(sys.executable).parent / "yind"
    return [str(beside)] if beside.exists() else ["yind"]


def running_pid(folder: Path) -> int | None:
    """Return the process id of a node's daemon if it is alive."""
    try:
        pid = int((folder / "yind.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if str(folder / "yind.toml").encode() in command else None


def start_node(cluster: Cluster, name: str, *, extra: tuple[str, ...] = ()) -> int:
    """Start one node's daemon and return its pid when it accepts connections. Raises CliError."""
    folder = cluster.node_folder(name).resolve()
    if (pid := running_pid(folder)) is not None:
        return pid
    read_end, write_end = os.pipe()
    with (folder / "yind.log").open("ab") as log:
        process = subprocess.Popen(
            [*daemon_command(), *_arguments(folder, write_end, extra)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(write_end,),
            start_new_session=True,
        )
    os.close(write_end)
    if not _is_ready(read_end):
        process.kill()
        process.wait()
        raise _did_not_start(folder)
    (folder / "yind.pid").write_text(f"{process.pid}\n")
    _children[process.pid] = process
    return process.pid


def _arguments(folder: Path, ready: int, extra: tuple[str, ...]) -> list[str]:
    return ["--config", str(folder / "yind.toml"), "--ready-fd", str(ready), *extra]


def _is_ready(read_end: int) -> bool:
    """Return whether a daemon says that it accepts connections, in time."""
    with os.fdopen(read_end, "rb") as ready:
        return is_readable(read_end, READY_TIMEOUT_S) and ready.read(1) == b"\n"


def is_readable(descriptor: int, seconds: float | None = None) -> bool:
    """Wait until there is something to read, or a process has ended, or time is over; return whether it was not.

    Unlike `select` it has no greatest descriptor.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


def _did_not_start(folder: Path) -> CliError:
    tail = (folder / "yind.log").read_text(errors="replace").splitlines()[-5:]
    return CliError(
        f"node {folder.name} did not start: {' / '.join(tail) or 'no output'}",
        exit_code=Exit.UNREACHABLE,
        hint=f"less {folder / 'yind.log'}",
    )


def stop_node(folder: Path, *, signal_number: int = signal.SIGTERM) -> bool:
    """Stop a node's daemon and return whether there was one; returns when it is gone."""
    folder = folder.resolve()
    pid = running_pid(folder)
    if pid is None:
        return False
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal_number)
        if not is_readable(descriptor, STOP_TIMEOUT_S):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            is_readable(descriptor)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)
    child = _children.pop(pid, None)
    if child is not None:
        child.wait()
    (folder / "yind.pid").unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def running(cluster: Cluster, names: list[str], *, extra: tuple[str, ...] = ()) -> Iterator[None]:
    """Run the named nodes for the time of a block."""
    try:
        for name in names:
            start_node(cluster, name, extra=extra)
        yield
    finally:
        for name in names:
            stop_node(cluster.node_folder(name))


@contextlib.contextmanager
def forked(cluster: Cluster, name: str, *, extra: tuple[str, ...] = ()) -> Iterator[None]:
    """Run a node that keeps nothing for the time of a block, in a fork of this process.

    What this process has imported, compiled and planned the daemon need not do again, which is most of its start.
    A fork has one thread: where there are several, or the daemon is no Python script, it is started as any other.
    """
    script = daemon_command()[0]
    if threading.active_count() > 1 or not Path(script).is_file():
        with running(cluster, [name], extra=extra):
            yield
        return
    folder = cluster.node_folder(name).resolve()
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        _become([script, *_arguments(folder, write_end, extra)], folder / "yind.log")
    os.close(write_end)
    try:
        if not _is_ready(read_end):
            raise _did_not_start(folder)
        yield
    finally:
        os.kill(pid, signal.SIGKILL)  # it holds nothing that a graceful stop could save
        os.waitpid(pid, 0)


def _become(command: list[str], log: Path) -> NoReturn:
    """Run a script as this process's program, its output in a file; never returns."""
    status = 1
    try:
        os.setsid()
        with open(os.devnull, "rb") as nothing, log.open("ab") as output:
            os.dup2(nothing.fileno(), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()  # into the log
    finally:
        os._exit(status)
