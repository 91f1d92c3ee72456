"""The daemons of a development fleet: started, awaited, stopped.

Is:     child processes of `yind`, one a node, found again by their pid files.
Is not: a supervisor: a node that dies stays dead until `yin up`.
Fits:   `yin up`, `yin down`, `yin run` and `yin demo`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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
            [
                *daemon_command(),
                "--config",
                str(folder / "yind.toml"),
                "--ready-fd",
                str(write_end),
                *extra,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(write_end,),
            start_new_session=True,
        )
    os.close(write_end)
    with os.fdopen(read_end, "rb") as ready:
        readable, _, _ = select.select([ready], [], [], READY_TIMEOUT_S)
        if not readable or ready.read(1) != b"\n":
            process.kill()
            process.wait()
            tail = (folder / "yind.log").read_text(errors="replace").splitlines()[-5:]
            raise CliError(
                f"node {name} did not start: {' / '.join(tail) or 'no output'}",
                exit_code=Exit.UNREACHABLE,
                hint=f"less {folder / 'yind.log'}",
            )
    (folder / "yind.pid").write_text(f"{process.pid}\n")
    _children[process.pid] = process
    return process.pid


def stop_node(folder: Path, *, signal_number: int = signal.SIGTERM) -> bool:
    """Stop a node's daemon and return whether there was one; returns when it is gone."""
    folder = folder.resolve()
    pid = running_pid(folder)
    if pid is None:
        return False
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal_number)
        readable, _, _ = select.select([descriptor], [], [], STOP_TIMEOUT_S)
        if not readable:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [])
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
