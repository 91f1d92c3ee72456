"""`yin verify`, `rebuild`, `compact`, `backup`, `restore` and `excise`: looking after stored data.

Is:     the tools of a data folder; excision, which a running node does.
Is not: the daemon: where a node runs, its folder is its own, and only a backup can be made of it.
Fits:   on `cli.offline`; what is done is `datomstore`'s.
"""

from __future__ import annotations

from pathlib import Path

import click

from cli.connect import cluster_of, connected
from cli.errors import CliError, Exit
from cli.offline import chosen, folder_of, opened, place_options, translated
from cli.output import Column, count, note, output_option, show_document, show_rows, size
from cli.progress import progress


@click.command()
@click.argument("streams", metavar="[STREAM]...", nargs=-1)
@place_options
@output_option
@click.pass_context
def verify(
    ctx: click.Context,
    streams: tuple[str, ...],
    node: str | None,
    data: Path | None,
    output: str,
    as_json: bool,
) -> None:
    """Check stored streams: checksums, roots, the rules of facts, the indexes.

    Ends with 1 if something is wrong, and changes nothing.
    """
    from datomstore.check import check

    rows: list[dict[str, object]] = []
    faults: list[dict[str, object]] = []
    with opened(folder_of(ctx, node, data)) as found:
        for name in streams or found.names():
            with progress(f"verify {name}") as update:
                wrong = check(found, name, progress=lambda done, total: update(done))
            faults += [{"stream": name, **fault._asdict()} for fault in wrong]
            rows.append({"name": name, "faults": len(wrong), "ok": not wrong})
    form = "json" if as_json else output
    if form == "json":
        document = {"ok": not faults, "streams": rows, "faults": faults}
        show_document("store.verify", document, "", output=form)
    else:
        columns = [Column("name", "STREAM"), Column("faults", "FAULTS", right=True, form=count)]
        show_rows("store.verify", rows, columns, output=form, identity="name")
        for fault in faults:
            note(f"{fault['stream']} {fault['rule']} at {fault['t']}: {fault['message']}")
    if faults:
        raise CliError(
            f"{len(faults)} faults: the data is not what it should be",
            hint="yin rebuild, if only indexes are at fault; else yin restore from a backup",
        )


@click.command()
@click.argument("streams", metavar="[STREAM]...", nargs=-1)
@place_options
@output_option
@click.pass_context
def rebuild(
    ctx: click.Context,
    streams: tuple[str, ...],
    node: str | None,
    data: Path | None,
    output: str,
    as_json: bool,
) -> None:
    """Make the indexes of stored streams anew from their logs."""
    rows: list[dict[str, object]] = []
    with opened(folder_of(ctx, node, data)) as found:
        for name in streams or found.names():
            found.rebuild(name)
            stream = found.get(name)
            rows.append({"name": name, "t": stream.t, "datoms": stream.stats().datoms})
            note(f"{name}: rebuilt")
    columns = [
        Column("name", "STREAM"),
        Column("t", "T", right=True, form=count),
        Column("datoms", "DATOMS", right=True, form=count),
    ]
    show_rows("store.rebuild", rows, columns, output="json" if as_json else output, identity="name")


@click.command()
@place_options
@output_option
@click.pass_context
def compact(
    ctx: click.Context, node: str | None, data: Path | None, output: str, as_json: bool
) -> None:
    """Merge the indexes of all streams, and rewrite the data file without what is free in it."""
    folder = folder_of(ctx, node, data)
    with opened(folder) as found:
        before = folder_bytes(folder)
        for stream in chosen(found, ()):
            found.merge(stream, whole=True)
        if not found.purge():
            raise CliError(f"{folder}: somebody reads it", exit_code=Exit.CONFLICT)
    after = folder_bytes(folder)
    document = {"folder": str(folder), "before": before, "after": after}
    text = f"{size(before)} before, {size(after)} now"
    show_document("store.compact", document, text, output="json" if as_json else output)


def folder_bytes(folder: Path) -> int:
    """Return the bytes on disk of all files of a folder."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


@click.command()
@click.argument("target", metavar="TO", type=click.Path(path_type=Path))
@place_options
@output_option
@click.pass_context
def backup(
    ctx: click.Context,
    target: Path,
    node: str | None,
    data: Path | None,
    output: str,
    as_json: bool,
) -> None:
    """Copy all streams and tables of a node on this machine into the new folder TO.

    The node may run, or have crashed: the copy is of one moment. `yin verify --data TO` checks it.
    """
    from datomstore.storage.copying import copy

    folder = folder_of(ctx, node, data, stopped=False)
    with translated():
        copy(folder, target)
    _copied("store.backup", folder, target, "json" if as_json else output)


@click.command()
@click.argument("source", metavar="FROM", type=click.Path(path_type=Path, exists=True))
@place_options
@output_option
@click.pass_context
def restore(
    ctx: click.Context,
    source: Path,
    node: str | None,
    data: Path | None,
    output: str,
    as_json: bool,
) -> None:
    """Make the backup FROM the data of a node that has none and does not run."""
    from datomstore.storage.copying import copy

    folder = folder_of(ctx, node, data)
    if folder.exists() and any(folder.iterdir()):
        raise CliError(
            f"{folder} has data already",
            exit_code=Exit.CONFLICT,
            hint=f"mv {folder} {folder}.before",
        )
    with translated():
        copy(source, folder)
    _copied("store.restore", source, folder, "json" if as_json else output)


def _copied(kind: str, source: Path, target: Path, output: str) -> None:
    taken = folder_bytes(target)
    document = {"from": str(source), "to": str(target), "bytes": taken}
    show_document(kind, document, f"{target} {size(taken)}", output=output)


@click.command()
@click.argument("target", metavar="NODE:STREAM")
@click.argument("entities", metavar="ENTITY...", nargs=-1, required=True)
@click.option(
    "--attribute", "attributes", multiple=True, metavar="A", help="Only these attributes."
)
@click.option("--before-t", type=int, metavar="T", help="Only what was said before transaction T.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option
@click.pass_context
def excise(
    ctx: click.Context,
    target: str,
    entities: tuple[str, ...],
    attributes: tuple[str, ...],
    before_t: int | None,
    yes: bool,
    output: str,
    as_json: bool,
) -> None:
    """Remove all that was ever said of ENTITY (an id, an ident, a lookup ref as EDN) from stream and log, for good.

    That it happened stays: who asked, when, how many facts, and the root before.
    """
    from cli.commands.stream import place_of
    from datomstore import edn
    from datomstore.value import Keyword, Map

    node, name = place_of(target)
    request: dict[Keyword, object] = {}
    if attributes:
        request[Keyword("db.excise/attrs")] = tuple(
            Keyword(text.removeprefix(":")) for text in attributes
        )
    if before_t is not None:
        request[Keyword("db.excise/beforeT")] = before_t
    try:
        found = [edn.read(text, source="ENTITY") for text in entities]
    except edn.EdnError as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from error
    if not yes:
        click.confirm(
            f"Remove {', '.join(entities)} from {target} and its history? It cannot be undone",
            abort=True,
            err=True,
        )
    data = tuple(Map({Keyword("db/excise"): entity, **request}) for entity in found)
    with connected(cluster_of(ctx), node) as client:
        reply = client.request("stream.transact", Map({"stream": name, "data": data}))
    document = {"id": target, "t": reply["t"]}
    text = f"{target} excised at {reply['t']}"
    show_document("stream.excise", document, text, output="json" if as_json else output)
