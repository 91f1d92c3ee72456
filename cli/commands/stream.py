"""`yin stream ls` and `yin stream import`.

Is:     listing streams; reading EDN, CSV and JSON lines and sending them as transactions, in batches.
Is not: the transactor: the node checks and commits each batch.
Fits:   on `cli.connect`. An import that stops half way says how many batches are durable.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

import click

from cli.cluster import Cluster
from cli.connect import cluster_of, connected
from cli.errors import CliError, Exit
from cli.output import Column, count, interactive, note, output_option, show_rows, size
from datomstore import edn
from datomstore.value import Keyword, Map
from protocol.client import Client

BATCH_ENTITIES = 2_000


@click.group()
def stream() -> None:
    """List streams and import data."""


@stream.command("ls")
@click.option("--on", "node", metavar="NODE", help="Only this node. [default: all]")
@output_option
@click.pass_context
def stream_ls(ctx: click.Context, node: str | None, output: str, as_json: bool) -> None:
    """List the streams of the cluster that you may read."""
    cluster = cluster_of(ctx)
    names = [node] if node else [member.name for member in cluster.nodes()]
    rows = [dict(row.items()) for name in names for row in list_streams(cluster, name)]
    columns = [
        Column("name", "STREAM"),
        Column("t", "T", right=True, form=count),
        Column("datoms", "DATOMS", right=True, form=count),
        Column("bytes", "SIZE", right=True, form=size),
    ]
    show_rows("stream.list", rows, columns, output="json" if as_json else output, identity="name")


def list_streams(cluster: Cluster, node: str) -> tuple[Map, ...]:
    """Return the rows of one node's streams."""
    with connected(cluster, node) as client:
        rows: tuple[Map, ...] = client.request("stream.list")["value"]
        return rows


@stream.command("import")
@click.argument("target", metavar="NODE:STREAM")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--namespace",
    help="Namespace of the attributes of CSV and JSON fields. [default: the stream's name]",
)
@click.pass_context
def stream_import(ctx: click.Context, target: str, file: Path, namespace: str | None) -> None:
    """Import FILE (.edn, .csv or .jsonl) into a stream; makes the stream if there is none.

    EDN: entity maps and :db/add vectors, one after the other, or one vector of them. CSV and JSON lines: one
    entity a row, a field NAME becomes the attribute :NAMESPACE/NAME.
    """
    node, colon, name = target.partition(":")
    if not colon or not name:
        raise CliError(f"{target!r} is not NODE:STREAM", exit_code=Exit.USAGE)
    with (
        file.open(encoding="utf-8", newline="") as text,
        connected(cluster_of(ctx), node) as client,
    ):
        items = read_items(file, text, namespace or name)
        total = send_batches(client, name, items, label=file.name)
    click.echo(f"{node}/{name} {total}")


def read_items(file: Path, text: TextIO, namespace: str) -> Iterator[object]:
    """Yield transaction items of a file by its suffix. Raises CliError with the line."""
    match file.suffix.lower():
        case ".edn":
            return _edn_items(file, text)
        case ".csv":
            return _csv_items(file, text, namespace)
        case ".jsonl" | ".ndjson":
            return _json_items(file, text, namespace)
    raise CliError(f"{file}: can import .edn, .csv and .jsonl", exit_code=Exit.USAGE)


def _edn_items(file: Path, text: TextIO) -> Iterator[object]:
    try:
        values = edn.read_all(text.read(), source=str(file))
    except edn.EdnError as error:
        raise CliError(str(error)) from error
    first = values[0] if len(values) == 1 else None
    if isinstance(first, tuple) and not (first and isinstance(first[0], Keyword)):
        yield from first
    else:
        yield from values


def _csv_items(file: Path, text: TextIO, namespace: str) -> Iterator[object]:
    reader = csv.DictReader(text)
    for row in reader:
        if None in row or None in row.values():
            raise CliError(
                f"{file}:{reader.line_num}: the row has not as many fields as the header"
            )
        yield Map(
            {
                Keyword(f"{namespace}/{key}"): _scalar(value)
                for key, value in row.items()
                if value != ""
            }
        )


def _scalar(text: str) -> object:
    """Return a CSV field as a number if it is one, else as text."""
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


def _json_items(file: Path, text: TextIO, namespace: str) -> Iterator[object]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise CliError(f"{file}:{number}:{error.colno}: {error.msg}") from error
        if not isinstance(value, dict):
            raise CliError(f"{file}:{number}: a line is one JSON object")
        yield _entity(value, namespace)


def _entity(value: dict[str, object], namespace: str) -> Map:
    return Map(
        {
            Keyword(f"{namespace}/{key}"): _json_value(item, namespace)
            for key, item in value.items()
            if item is not None
        }
    )


def _json_value(value: object, namespace: str) -> object:
    if isinstance(value, dict):
        return _entity(value, namespace)
    if isinstance(value, list):
        return tuple(_json_value(item, namespace) for item in value)
    return value


def batched(items: Iterable[object], size_max: int) -> Iterator[tuple[object, ...]]:
    """Yield tuples of at most `size_max` items."""
    iterator = iter(items)
    while batch := tuple(islice(iterator, size_max)):
        yield batch


def send_batches(
    client: Client,
    stream_name: str,
    items: Iterable[object],
    *,
    label: str,
    total: int | None = None,
) -> int:
    """Send items as transactions and return how many datoms they made; draws progress on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    datoms = sent = 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not interactive()) as progress:
        task = progress.add_task(label, total=total)
        for batch in batched(items, BATCH_ENTITIES):
            try:
                reply = client.request(
                    "stream.transact", Map({"stream": stream_name, "data": batch})
                )
            except Exception:
                note(f"{label}: {sent} items are durable, the rest was not imported")
                raise
            sent += len(batch)
            datoms += reply["datoms"]
            progress.update(task, advance=len(batch))
    return datoms
