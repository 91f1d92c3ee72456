"""The data folder of a node that does not run, or any other one.

Is:     `--on NODE` or `--data DIR`, and opening what they mean; nobody else has it open meanwhile.
Is not: a way around a running node: that is asked over the protocol (`cli.connect`).
Fits:   the commands that look after stored data (`cli.commands.store`), and `yin q` and `yin stream` with `--data`.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.connect import cluster_of
from cli.errors import CliError, Exit
from cli.fleet import running_pid

if TYPE_CHECKING:
    from datomstore.streams import Stream, Streams


def place_options(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command `--on NODE` and `--data DIR`, of which one is given."""
    command = click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="A data folder, of a node or a backup.",
    )(command)
    return click.option("--on", "node", metavar="NODE", help="A node that does not run.")(command)


def folder_of(
    ctx: click.Context, node: str | None, data: Path | None, *, stopped: bool = True
) -> Path:
    """Return the data folder that is meant. Raises CliError, also if its node runs and must not."""
    if (node is None) == (data is None):
        raise CliError("either --on NODE or --data DIR is needed", exit_code=Exit.USAGE)
    if data is not None:
        return data
    assert node is not None
    cluster = cluster_of(ctx)
    cluster.node(node)
    folder = cluster.node_folder(node)
    if stopped and running_pid(folder.resolve()) is not None:
        raise CliError(
            f"node {node} runs: its data is its own meanwhile",
            exit_code=Exit.CONFLICT,
            hint="yin down, or `yin backup` and then --data on the backup",
        )
    settings = tomllib.loads((folder / "yind.toml").read_text())
    return folder / str(settings.get("data", "data"))


@contextmanager
def opened(folder: Path, *, create: bool = False) -> Iterator[Streams]:
    """Yield the streams of a data folder. Raises CliError."""
    from datomstore.storage.lmdb import LmdbStorage
    from datomstore.streams import Streams

    if not create and not (folder / "data.mdb").exists():
        raise CliError(f"{folder} holds no data", exit_code=Exit.NOT_FOUND)
    with translated():
        storage = LmdbStorage(folder)
        try:
            streams = Streams(storage, now_ms=lambda: time.time_ns() // 1_000_000)
        except BaseException:
            storage.close()
            raise
        try:
            yield streams
        finally:
            streams.close()


@contextmanager
def translated() -> Iterator[None]:
    """Turn the store's errors into CliError."""
    from datomstore.errors import DatomstoreError
    from datomstore.storage.locks import StorageInUse
    from datomstore.streams import StreamExists, StreamUnknown

    try:
        yield
    except StorageInUse as error:
        raise CliError(str(error), exit_code=Exit.CONFLICT, hint="yin down") from error
    except StreamUnknown as error:
        raise CliError(str(error), exit_code=Exit.NOT_FOUND) from error
    except StreamExists as error:
        raise CliError(str(error), exit_code=Exit.CONFLICT) from error
    except (DatomstoreError, OSError) as error:
        raise CliError(str(error)) from error


def chosen(streams: Streams, names: tuple[str, ...]) -> list[Stream]:
    """Return the streams that are named, or all. Raises StreamUnknown."""
    return [streams.get(name) for name in names or streams.names()]
