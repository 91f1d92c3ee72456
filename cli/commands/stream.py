"""`yin stream ls|create|import|export|stats|tail`.

Is:     streams of nodes listed, made, read and written; files of EDN, CSV, JSON lines and msgpack in and out.
Is not: the transactor: the node checks and commits each batch. The formats are `datomstore.exchange`'s.
Fits:   on `cli.connect`, with --data on a folder (`cli.offline`). An import that stops half way says how much is durable.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, TextIO

import click

from cli.cluster import Cluster
from cli.connect import (
    Missed,
    cluster_of,
    connected,
    each_node,
    missed_facts,
    none_reached,
    told_missed,
)
from cli.errors import CliError, Exit
from cli.output import Column, count, note, output_option, show_document, show_rows, size
from cli.progress import progress
from datomstore import edn
from datomstore.value import Keyword, Map
from protocol.client import Client

BATCH_ENTITIES = 2_000
BATCH_TRANSACTIONS = 200
BATCH_DATOMS = 20_000  # of transactions that are sent together
FORMATS = {".edn": "edn", ".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".msgpack": "msgpack"}
COLUMNS = [
    Column("name", "STREAM"),
    Column("t", "T", right=True, form=count),
    Column("datoms", "DATOMS", right=True, form=count),
    Column("bytes", "SIZE", right=True, form=size),
]


@click.group()
def stream() -> None:
    """List, make, import, export and watch streams."""


def place_of(target: str) -> tuple[str, str]:
    """Return node and stream of NODE:STREAM. Raises CliError."""
    node, colon, name = target.partition(":")
    if not colon or not name or not node:
        raise CliError(f"{target!r} is not NODE:STREAM", exit_code=Exit.USAGE)
    return node, name


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="A data folder of no running node, instead of a node.",
)


@stream.command("ls")
@click.option("--on", "node", metavar="NODE", help="Only this node. [default: all]")
@data_option
@output_option
@click.pass_context
def stream_ls(
    ctx: click.Context, node: str | None, data: Path | None, output: str, as_json: bool
) -> int:
    """List the streams of the cluster that you may read."""
    rows: list[dict[str, object]] = [] if data is None else _stored(data)
    missed: Missed = {}
    if data is None:
        cluster = cluster_of(ctx)
        names = [node] if node else [member.name for member in cluster.nodes()]
        answers, missed = each_node(cluster, streams_at, names)
        if missed and not answers:
            raise none_reached(missed)
        rows = [dict(row.items()) for found in answers.values() for row in found]
    form = "json" if as_json else output
    more = missed_facts(missed)
    show_rows("stream.list", rows, COLUMNS, output=form, identity="name", more=more)
    return told_missed(missed)


def list_streams(cluster: Cluster, node: str) -> tuple[Map, ...]:
    """Return the rows of one node's streams."""
    with connected(cluster, node) as client:
        return streams_at(client)


def streams_at(client: Client) -> tuple[Map, ...]:
    """Return the rows of the streams of the node at the other end."""
    rows: tuple[Map, ...] = client.request("stream.list")["value"]
    return rows


def _stored(folder: Path) -> list[dict[str, object]]:
    from cli.offline import chosen, opened

    with opened(folder) as streams:
        return [
            {"name": found.name, "t": found.t, **found.stats()._asdict()}
            for found in chosen(streams, ())
        ]


@stream.command("create")
@click.argument("target", metavar="NODE:STREAM")
@click.option(
    "--schema",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="EDN of its first transaction.",
)
@output_option
@click.pass_context
def stream_create(
    ctx: click.Context, target: str, schema: Path | None, output: str, as_json: bool
) -> None:
    """Make a stream; with --schema its attributes as well, as entity maps with :db/ident."""
    node, name = place_of(target)
    with connected(cluster_of(ctx), node) as client:
        known = {row["name"] for row in client.request("stream.list")["value"]}
        if f"{node}/{name}" in known:
            raise CliError(f"{node} has a stream {name!r} already", exit_code=Exit.CONFLICT)
        items: tuple[object, ...] = ()
        if schema is not None:
            with schema.open(encoding="utf-8") as text:
                items = tuple(_edn_items(schema, text))
        reply = client.request("stream.transact", Map({"stream": name, "data": items}))
    document = {"id": f"{node}/{name}", "t": reply["t"], "datoms": reply["datoms"]}
    show_document("stream", document, f"{node}/{name}", output="json" if as_json else output)


@stream.command("import")
@click.argument("target", metavar="NODE:STREAM")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--namespace",
    help="Namespace of the attributes of CSV and JSON fields. [default: the stream's name]",
)
@click.option(
    "--log",
    is_flag=True,
    help="FILE is from `yin stream export`: the same transactions, numbers, instants and root.",
)
@data_option
@click.pass_context
def stream_import(
    ctx: click.Context,
    target: str,
    file: Path,
    namespace: str | None,
    log: bool,
    data: Path | None,
) -> None:
    """Import FILE (.edn, .csv, .jsonl; with --log .msgpack as well) into a stream; makes the stream if there is none.

    EDN: entity maps and :db/add vectors, one after the other, or one vector of them. CSV and JSON lines: one
    entity a row, a field NAME becomes the attribute :NAMESPACE/NAME.
    With --data DIR the target is the stream's name alone.
    """
    if data is not None:
        total = _import_stored(data, target, file, namespace or target, log=log)
        click.echo(f"{target} {total}")
        return
    node, name = place_of(target)
    with connected(cluster_of(ctx), node) as client:
        if log:
            total = _send_log(client, name, file)
        else:
            with file.open(encoding="utf-8", newline="") as text:
                items = read_items(file, text, namespace or name)
                total = send_batches(client, name, items, label=file.name)
    click.echo(f"{node}/{name} {total}")


def _import_stored(folder: Path, name: str, file: Path, namespace: str, *, log: bool) -> int:
    from cli.offline import opened
    from datomstore import exchange

    with opened(folder, create=True) as streams, progress(file.name) as update:
        found = streams.open(name)
        total = 0

        def told(done: int, datoms: int) -> None:
            nonlocal total
            total = datoms
            update(datoms)

        if log:
            with file.open("rb") as source:
                exchange.restore(streams, found, source, form_of(file, None), progress=told)
        else:
            with file.open(encoding="utf-8", newline="") as text:
                items = read_items(file, text, namespace)
                exchange.load(found, items, page=BATCH_ENTITIES, progress=told)
        return total


def _send_log(client: Client, name: str, file: Path) -> int:
    """Send the transactions of an exported file; return how many datoms they have."""
    from datomstore import exchange

    form = form_of(file, None)
    sent = datoms = 0
    with file.open("rb") as source, progress(file.name) as update:
        try:
            for page in _pages(exchange.transactions(source, form)):
                body = {"stream": name, "transactions": tuple(page)}
                datoms += client.request("stream.restore", Map(body))["datoms"]
                sent += len(page)
                update(sent)
        except exchange.ExchangeError as error:
            raise CliError(f"{file}: {error}") from error
        finally:
            note(f"{file.name}: {sent} transactions are durable")
    return datoms


def _pages(transactions: Iterable[tuple[int, int, list[Any]]]) -> Iterator[list[object]]:
    page: list[object] = []
    datoms = 0
    for t, instant, rows in transactions:
        if page and (len(page) == BATCH_TRANSACTIONS or datoms + len(rows) > BATCH_DATOMS):
            yield page
            page, datoms = [], 0
        page.append((t, instant, tuple(rows)))
        datoms += len(rows)
    if page:
        yield page


def form_of(file: Path | None, form: str | None) -> str:
    """Return the format of a file, by its name if it is not given. Raises CliError."""
    found = form or (FORMATS.get(file.suffix.lower()) if file is not None else "edn")
    if found is None:
        known = ", ".join(FORMATS)
        raise CliError(f"{file}: no format; there are {known}", exit_code=Exit.USAGE)
    return found


@contextmanager
def standard_output() -> Iterator[IO[bytes]]:
    """Yield standard output for bytes; they are out when the block ends."""
    out: IO[bytes] = sys.stdout.buffer
    yield out
    out.flush()


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["edn", "json", "csv", "msgpack"]),
    help="[default: by the file's name, else edn]",
)


@stream.command("export")
@click.argument("target", metavar="NODE:STREAM")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@format_option
@click.option("--from", "after", type=click.IntRange(0), default=0, metavar="T", help="After T.")
@data_option
@click.pass_context
def stream_export(
    ctx: click.Context,
    target: str,
    file: Path | None,
    form: str | None,
    after: int,
    data: Path | None,
) -> None:
    """Write a stream's transactions to FILE, or to standard output; `yin stream import --log` reads them back.

    One transaction a line in EDN and JSON, one datom a line in CSV; msgpack has the log's own bytes.
    With --data DIR the target is the stream's name alone.
    """
    form = form_of(file, form)
    with standard_output() if file is None else file.open("wb") as out:
        if data is not None:
            total = _export_stored(data, target, out, form, after)
        else:
            node, name = place_of(target)
            with connected(cluster_of(ctx), node) as client, progress(target) as update:
                total = _write_log(client, name, out, form, after, update=update)
    note(f"{target}: {total} transactions")


def _export_stored(folder: Path, name: str, out: IO[bytes], form: str, after: int) -> int:
    from cli.offline import opened
    from datomstore import exchange

    with opened(folder) as streams, progress(name) as update:
        found = streams.get(name)
        return exchange.export(
            found, out, form, from_t=after, progress=lambda done, datoms: update(done)
        )


def _write_log(
    client: Client,
    name: str,
    out: IO[bytes],
    form: str,
    after: int,
    *,
    update: Callable[[int], None] = lambda done: None,
    follow: bool = False,
) -> int:
    """Write a stream's transactions as they come; return how many."""
    from datomstore import exchange

    total = 0
    out.write(exchange.header(form))
    body = {"stream": name, "from": after, "follow": follow}
    for t, record in records(client, body):
        out.write(exchange.written(form, name, t, record)[0])
        if follow:
            out.flush()
        total += 1
        update(total)
    return total


def records(client: Client, body: dict[str, object]) -> Iterator[tuple[int, bytes]]:
    """Yield number and record of the transactions a node sends."""
    parts: list[bytes] = []
    for item in client.stream("stream.log", Map(body)):
        parts.append(item["record"])
        if item["whole"]:
            yield item["t"], b"".join(parts)
            parts.clear()


@stream.command("tail")
@click.argument("target", metavar="NODE:STREAM")
@click.option("-n", "last", type=click.IntRange(0), default=10, help="So many transactions first.")
@click.option("-f", "--follow", is_flag=True, help="Go on as transactions are committed.")
@format_option
@click.pass_context
def stream_tail(ctx: click.Context, target: str, last: int, follow: bool, form: str | None) -> None:
    """Print the last transactions of a stream, in a format of `yin stream export`."""
    node, name = place_of(target)
    with connected(cluster_of(ctx), node) as client:
        known = {row["name"]: row["t"] for row in client.request("stream.list")["value"]}
        after = max(0, known.get(f"{node}/{name}", 0) - last)
        with standard_output() as out:
            _write_log(client, name, out, form_of(None, form), after, follow=follow)


@stream.command("stats")
@click.argument("target", metavar="NODE:STREAM")
@output_option
@click.pass_context
def stream_stats(ctx: click.Context, target: str, output: str, as_json: bool) -> None:
    """Show how large a stream is, and how many facts each attribute has now."""
    node, name = place_of(target)
    with connected(cluster_of(ctx), node) as client:
        rows = [
            row for row in client.request("stream.list")["value"] if row["name"] == f"{node}/{name}"
        ]
        if not rows:
            raise CliError(f"no stream {target}", exit_code=Exit.NOT_FOUND, hint="yin stream ls")
        query = "[:find ?a (count ?e) :with ?v :where [?e ?a ?v]]"
        found = client.request("query", Map({"stream": name, "query": query}))["value"]
    attributes: list[dict[str, Any]] = [{"attribute": edn.write(a), "facts": n} for a, n in found]
    attributes.sort(key=lambda row: (-row["facts"], row["attribute"]))
    document = {**dict(rows[0].items()), "attributes": attributes}
    form = "json" if as_json else output
    if form == "text":
        show_rows("stream.list", rows, COLUMNS, output=form)
        click.echo()
        columns = [Column("attribute", "ATTRIBUTE"), Column("facts", "NOW", right=True, form=count)]
        show_rows("", attributes, columns, output=form)
    else:
        show_document("stream.stats", document, "", output=form)


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
    datoms = sent = 0
    with progress(label, total) as update:
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
            update(sent)
    return datoms
