"""`yin q`: a Datalog query over one stream of one node, or of a data folder.

Is:     the query as text, answered by the node, printed as a table; its plan; or its answers as they change.
Is not: an evaluator: the node parses and runs the query under its own limits.
Fits:   on `cli.connect`; errors name the clause, as the node found it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.connect import cluster_of, connected
from cli.errors import CliError, Exit
from cli.output import Column, count, echo_json, note, one_line, show_rows
from datomstore import edn
from datomstore.value import Keyword, List, Map, Set, Symbol


@click.command()
@click.argument("query")
@click.option("--on", "node", metavar="NODE", help="The node to ask.")
@click.option("--stream", help="The stream that is `$` in the query.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NODE:STREAM",
    help="A stream of any node, brought here; several are the sources of the query in their order.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="A data folder of no running node, instead of a node.",
)
@click.option(
    "--in", "inputs", multiple=True, metavar="EDN", help="A further input, in the order of :in."
)
@click.option("--as-of", type=int, metavar="T", help="The stream as it was after transaction T.")
@click.option("--since", type=int, metavar="T", help="Only what was added after transaction T.")
@click.option("--history", is_flag=True, help="All that was ever added or retracted.")
@click.option("--explain", is_flag=True, help="Show what each clause did instead of the answer.")
@click.option("--follow", is_flag=True, help="Print the answers, then what changes (JSON lines).")
@click.option("--limit", type=click.IntRange(1), help="Print at most so many rows (text only).")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "jsonl", "edn", "none"]),
    default="text",
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="Same as -o json.")
@click.pass_context
def q(
    ctx: click.Context,
    query: str,
    node: str | None,
    stream: str | None,
    sources: tuple[str, ...],
    data: Path | None,
    inputs: tuple[str, ...],
    as_of: int | None,
    since: int | None,
    history: bool,
    explain: bool,
    follow: bool,
    limit: int | None,
    output: str,
    as_json: bool,
) -> None:
    """Ask QUERY, as in `yin q '[:find ?m :where [?e :module/name ?m]]' --on alpha --stream stdlib`.

    QUERY is EDN text, or @FILE.
    """
    text = read_argument(query)
    if sources:
        if node or stream or data or as_of or since or history or explain or follow:
            raise CliError("--source goes with --in, --limit and -o alone", exit_code=Exit.USAGE)
        answer = _asked_here(ctx, text, sources, inputs)
        show_answer(text, answer, "json" if as_json else output, limit)
        return
    if (node is None) == (data is None) or stream is None:
        raise CliError(
            "--stream with --on NODE or --data DIR is needed, or --source", exit_code=Exit.USAGE
        )
    body: dict[str, object] = {
        "query": text,
        "stream": stream,
        "inputs": tuple(_read_input(value) for value in inputs),
    }
    if as_of is not None:
        body["as_of"] = as_of
    if since is not None:
        body["since"] = since
    if history:
        body["history"] = True
    output = "json" if as_json else output
    if follow:
        if data is not None or explain or as_of is not None or since is not None or history:
            raise CliError("--follow is of a node's stream as it goes on", exit_code=Exit.USAGE)
        assert node is not None
        _follow(ctx, node, body, output)
        return
    if explain:
        body["explain"] = True
    if data is not None:
        answer = _answered(data, body)
    else:
        assert node is not None
        with connected(cluster_of(ctx), node) as client:
            answer = client.request("query", Map(body))["value"]
    if explain:
        _show_steps(answer, output)
    else:
        show_answer(text, answer, output, limit)


def _asked_here(
    ctx: click.Context, text: str, sources: tuple[str, ...], inputs: tuple[str, ...]
) -> object:
    """Return the answer of a query over streams of several nodes."""
    from cli.commands.stream import place_of
    from cli.gather import database_of
    from datomstore.datalog import QueryError
    from datomstore.datalog import q as ask

    cluster = cluster_of(ctx)
    databases = [database_of(cluster, *place_of(source)) for source in sources]
    try:
        return ask(text, *databases, *(_read_input(value) for value in inputs))
    except QueryError as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from error


def _answered(folder: Path, body: dict[str, Any]) -> object:
    """Return the answer of a data folder's stream."""
    from cli.offline import opened
    from datomstore import datalog

    with opened(folder) as streams:
        database = streams.get(body["stream"]).db()
        if "as_of" in body:
            database = database.as_of(body["as_of"])
        if "since" in body:
            database = database.since(body["since"])
        if "history" in body:
            database = database.history()
        if "explain" in body:
            steps = datalog.explain(body["query"], database, *body["inputs"])
            return tuple(step._asdict() for step in steps)
        return datalog.q(body["query"], database, *body["inputs"])


def _follow(ctx: click.Context, node: str, body: dict[str, object], output: str) -> None:
    """Print a query's answers and then each change of them, until interrupted."""
    with connected(cluster_of(ctx), node) as client:
        for item in client.stream("query.follow", Map(body)):
            added = sorted(item["added"], key=_sort_key)
            removed = sorted(item.get("removed", ()), key=_sort_key)
            if output in ("json", "jsonl"):
                row = {"$type": "query.change", "t": item["t"], "added": added, "removed": removed}
                echo_json(row)
            elif output != "none":
                for sign, rows in (("-", removed), ("+", added)):
                    for found in rows:
                        click.echo(one_line(f"{item['t']} {sign} {edn.write(found)}"))
                if "how" in item:
                    note(f"following at {item['t']}: {item['how']}")


def _show_steps(steps: Any, output: str) -> None:
    rows = [dict(step) for step in steps]
    columns = [
        Column("clause", "CLAUSE"),
        Column("estimated", "EXPECTED", right=True, form=_counted),
        Column("rows", "ROWS", right=True, form=count),
        Column("milliseconds", "MS", right=True, form=lambda ms: f"{ms:.2f}"),
    ]
    if output == "edn":
        click.echo(edn.write(tuple(map(Map, rows))))
    else:
        show_rows("query.plan", rows, columns, output=output)


def _counted(value: object) -> str:
    return "" if value is None else count(value)


def _read_input(text: str) -> object:
    try:
        return edn.read(text, source="--in")
    except edn.EdnError as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from error


def read_argument(text: str) -> str:
    """Return the text itself, or a file's for @FILE. Raises CliError."""
    if not text.startswith("@"):
        return text
    try:
        with open(text[1:], encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise CliError(f"{text[1:]}: {error.strerror}", exit_code=Exit.NOT_FOUND) from error


def show_answer(text: str, answer: object, output: str, limit: int | None) -> None:
    """Print what a query found."""
    rows: list[Any] | None = sorted(answer, key=_sort_key) if isinstance(answer, Set) else None
    match output:
        case "none":
            return
        case "edn":
            click.echo(edn.write(answer))
        case "json":
            echo_json({"$type": "query.result", "value": rows if rows is not None else answer})
        case "jsonl":
            for row in rows if rows is not None else [answer]:
                echo_json(row)
        case _ if rows is None:
            click.echo(edn.write(answer))
        case _:
            _table(find_names(text), rows, limit)


def _table(names: list[str], rows: list[Any], limit: int | None) -> None:
    shown = rows if limit is None else rows[:limit]
    cells = [[one_line(edn.write(value)) for value in row] for row in shown]
    titles = (
        names if cells and len(names) == len(cells[0]) else [""] * (len(cells[0]) if cells else 0)
    )
    widths = [max(len(titles[i]), *(len(line[i]) for line in cells)) for i in range(len(titles))]
    if any(titles):
        header = "  ".join(title.ljust(width) for title, width in zip(titles, widths, strict=True))
        click.echo(click.style(header.rstrip(), bold=True))
    for line in cells:
        click.echo("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())
    more = len(rows) - len(shown)
    note(f"{len(rows)} rows" + (f", {more} not shown" if more else ""))


def find_names(text: str) -> list[str]:
    """Return the names of a query's find elements, for the heads of a table."""
    query = edn.read(text)
    if isinstance(query, Map):
        elements: tuple[object, ...] = query.get(Keyword("find"), ())
    else:
        elements = ()
        for item in query[1:] if isinstance(query, tuple) else ():
            if isinstance(item, Keyword):
                break
            elements = (*elements, item)
    return [
        item.name if isinstance(item, Symbol) else edn.write(item)
        for item in elements
        if isinstance(item, (Symbol, List))
    ]


def _sort_key(row: Any) -> list[tuple[str, object]]:
    """Order rows for people: numbers as numbers, everything else by its text."""
    return [
        ("", value)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else ("~", edn.write(value))
        for value in row
    ]
