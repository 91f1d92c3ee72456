"""`yin spawn ps show result pause resume kill migrate`: the daily ten, as far as they are here.

Is:     starting agents and looking after them, wherever in the cluster they are now.
Is not: the agents' life itself (the daemon's).
Fits:   on `cli.connect`; an agent that moved on is followed to its new node.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from capabilities.caveats import Caveats
from capabilities.tokens import Token, agent_id
from cli.agent_rows import ENDED, STATES, out_of_reach, rows_of
from cli.caveats import BUDGET, parse_budget
from cli.cluster import Cluster
from cli.connect import (
    cluster_of,
    connected,
    each_node,
    find_agent,
    known_node,
    missed_facts,
    none_reached,
    told_missed,
)
from cli.ended_tokens import shortage_of
from cli.errors import CliError, Exit, exit_of
from cli.faults import fault_text
from cli.holding import delegate, read_token
from cli.output import (
    Column,
    as_message,
    count,
    note,
    one_line,
    output_option,
    show_document,
    show_rows,
    size,
    tell_error,
)
from cli.sources import SourceTexts, compile_or_fail, read_source
from cli.waiting import timeout_option, waiting
from datomstore import edn
from datomstore.value import Keyword, Map, Symbol

if TYPE_CHECKING:
    from yang.program import Program

STOP_S = 30.0  # a slice ends within milliseconds; what is not there then waits for a disk or a node
MOVE_S = 60.0
GIVEN_AWAY = "(token/epoch)"
ACCEPTED_TOKEN = "a token that is accepted here"  # without which an agent cannot be restored
FUEL_LIMIT = "fuel limit of "  # as `yind.scheduler` begins to say that an agent has reached its own


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("-e", "expression", metavar="EXPR", help="The program itself instead of a file.")
@click.option("--on", "node", required=True, metavar="NODE", help="Where it starts.")
@click.option(
    "--token",
    "tokens",
    multiple=True,
    metavar="@FILE|-",
    help="What it may do; may be given again.",
)
@click.option(
    "--arg",
    "arguments",
    multiple=True,
    metavar="K=V",
    help="An entry of *args*; V is EDN, a bare word is a string.",
)
@click.option("--name", help="A name for people. [default: the file's]")
@BUDGET
@click.option(
    "--fuel",
    type=click.IntRange(1),
    help="How much it may compute in all; then it is paused, and goes on with `yin resume AGENT --fuel N`.",
)
@click.option(
    "--mem",
    type=click.IntRange(1),
    metavar="MB",
    help="How large its heap may grow; more makes it fail.",
)
@click.option("--paused", is_flag=True, help="Do not start it yet.")
@click.option("--wait", is_flag=True, help="Wait for its result and print it.")
@click.option("--follow", is_flag=True, help="Print its log while it runs, then its result.")
@output_option
@click.pass_context
def spawn(
    ctx: click.Context,
    file: Path | None,
    expression: str | None,
    node: str,
    tokens: tuple[str, ...],
    arguments: tuple[str, ...],
    name: str | None,
    budget: tuple[str, ...],
    fuel: int | None,
    mem: int | None,
    paused: bool,
    wait: bool,
    follow: bool,
    output: str,
    as_json: bool,
) -> None:
    """Start an agent from FILE (or -e EXPR) on a node and print its id."""
    cluster = cluster_of(ctx)
    output = "json" if as_json else output
    if (file is None) == (expression is None):
        raise CliError("give a FILE or -e EXPR", exit_code=Exit.USAGE)
    text = expression if expression is not None else read_source(file)  # type: ignore[arg-type]
    source_name = str(file) if file is not None else "<expr>"
    agent = spawn_agent(
        cluster,
        node,
        text,
        source_name,
        tokens=[read_token(token) for token in tokens],
        arguments=parse_arguments(arguments),
        name=name or (file.stem if file is not None else "expr"),
        share=Caveats(budget=parse_budget(budget) or None),
        fuel=fuel,
        memory=None if mem is None else mem << 20,
        paused=paused,
        file=file,
    )
    if not (wait or follow):
        show_document(
            "agent.spawned", {"id": agent.hex(), "node": node}, agent.hex()[:12], output=output
        )
        return
    note(f"agent {agent.hex()[:12]} on {node}")
    place, row = await_agent(cluster, node, agent, follow=follow)
    finish(
        place,
        row,
        output=output,
        sources=SourceTexts(source_name, text, file),
    )


def spawn_agent(
    cluster: Cluster,
    node: str,
    text: str,
    source_name: str,
    *,
    tokens: list[Token],
    arguments: Map,
    name: str,
    share: Caveats | None = None,
    fuel: int | None = None,
    memory: int | None = None,
    paused: bool = False,
    file: Path | None = None,
    program: Program | None = None,
) -> bytes:
    """Compile (unless that is done), send the program if the node lacks it, delegate the tokens to the node, start; return the agent's id."""
    program = program or compile_or_fail(text, source_name, file)
    target = known_node(cluster, node).key
    nonce = os.urandom(16)
    agent = agent_id(cluster.operator_key.public, program.hash, nonce, cluster.home(node))
    body: dict[str, object] = {
        "program": program.hash,
        "nonce": nonce,
        "tokens": tuple(delegate(cluster, token, target, agent, share) for token in tokens),
        "arguments": arguments,
        "name": name,
        "paused": paused,
    }
    if fuel is not None:
        body["fuel_max"] = fuel
    if memory is not None:
        body["memory_max"] = memory
    with connected(cluster, node) as client:
        if not client.request("code.have", Map({"hash": program.hash}))["value"]:
            client.request("code.put", Map({"program": program.to_bytes()}))
        identity: bytes = client.request("agent.spawn", Map(body))["id"]
    return identity


def parse_arguments(pairs: tuple[str, ...]) -> Map:
    """Return *args* of K=V pairs. Raises CliError."""
    entries: dict[Keyword, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise CliError(f"{pair!r} is not K=V", exit_code=Exit.USAGE)
        try:
            value = edn.read(text, source=f"--arg {key}")
        except edn.EdnError:
            value = text
        entries[Keyword(key)] = text if isinstance(value, Symbol) else value
    return Map(entries)


def await_agent(cluster: Cluster, node: str, agent: bytes, *, follow: bool) -> tuple[str, Map]:
    """Wait until the agent ends or pauses, wherever it goes; return the node and its summary there."""
    seen = 0
    while True:
        with connected(cluster, node) as client:
            body: dict[str, object] = {"id": agent.hex(), "seen": seen}
            if follow:
                for item in (stream := client.stream("agent.follow", Map(body))):
                    if item["kind"] == "log":
                        note(item["line"])
                row = stream.result
            else:
                row = client.request("agent.wait", Map(body), timeout_s=None)
        if row["state"] != "moved":
            return node, row
        seen = row["log_lines"]
        if follow:
            note(f"-> {row['moved_to']}")
        node = row["moved_to"]


def finish(node: str, row: Map, *, output: str, sources: Mapping[str, str] | None = None) -> None:
    """Print how an agent ended; raise CliError for everything but a result.

    Args:
        node: where it ended.
        row: its summary there.
        output: a format.
        sources: texts that a trace may show lines of.
    """
    fields = {**dict(row.items()), "node": node, "id": row["id"].hex()}
    match row["state"]:
        case "done":
            show_document("agent.result", fields, row["result"], output=output)
        case "failed":
            show_document("agent.result", fields, "", output=output if output != "text" else "none")
            raise CliError(
                f"the agent failed on {node}\n{fault_text(row, sources or {})}",
                exit_code=Exit.AGENT_FAILED,
            )
        case "paused":
            show_document("agent.result", fields, "", output=output if output != "text" else "none")
            raise CliError(
                f"the agent is paused on {node}: {row['reason']}",
                exit_code=_exit_of_pause(row),
                hint=_help(row),
            )
        case state:
            raise CliError(
                f"the agent is {state} on {node}: {row['reason']}", exit_code=Exit.AGENT_FAILED
            )


def _exit_of_pause(row: Map) -> Exit:
    """Return the exit code for what an agent is paused for; a node that refused it has said its error code last."""
    if row["denied_right"]:
        return Exit.DENIED
    if row["reason"].startswith(FUEL_LIMIT):
        return Exit.LIMIT
    code = re.search(r"\(([a-z]+/[a-z-]+)\)$", row["reason"])
    return exit_of(code[1]) if code else Exit.FAILURE


@click.command()
@click.option("--on", "node", metavar="NODE", help="Only this node. [default: all]")
@click.option("--state", type=click.Choice(STATES), help="Only agents in this state.")
@click.option("--all", "everything", is_flag=True, help="Tombstones of agents that moved on too.")
@output_option
@click.pass_context
def ps(
    ctx: click.Context,
    node: str | None,
    state: str | None,
    everything: bool,
    output: str,
    as_json: bool,
) -> int:
    """List agents, newest first.

    An agent that went to a node which does not answer is listed as unreachable there; the exit code is 7 then.
    """
    cluster = cluster_of(ctx)
    answers, missed = each_node(
        cluster, lambda client: client.request("agent.list")["value"], [node] if node else None
    )
    if missed and not answers:
        raise none_reached(missed)
    rows = rows_of(answers)
    rows += out_of_reach(rows, missed)
    rows = [
        row
        for row in rows
        if state in (None, row["state"]) and (everything or state or row["state"] != "moved")
    ]
    rows.sort(key=lambda row: -int(str(row["created_ms"])))
    columns = [
        Column("id", "ID", form=lambda value: str(value)[:12]),
        Column("name", "NAME"),
        Column("node", "NODE"),
        Column("state", "STATE"),
        Column("hops", "HOPS", right=True),
        Column("fuel_used", "FUEL", right=True, form=count),
        Column("image_bytes", "IMAGE", right=True, form=size),
        Column("since_ms", "SINCE", right=True, form=ago),
        Column("reason", "REASON"),
    ]
    form = "json" if as_json else output
    show_rows("agent.list", rows, columns, output=form, more=missed_facts(missed))
    return told_missed(missed)


def ago(value: object) -> str:
    """Return how long ago a time in milliseconds was."""
    seconds = max(0.0, time.time_ns() / 1e9 - int(str(value)) / 1000)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"


@click.command()
@click.argument("agent")
@output_option
@click.pass_context
def show(ctx: click.Context, agent: str, output: str, as_json: bool) -> None:
    """Show one agent: state, frames with their locals, log.

    The frames say where it stands, the innermost first: where it was paused, what it waits for, or where it computes just now.
    """
    cluster = cluster_of(ctx)
    node, row = find_agent(cluster, agent)
    with connected(cluster, node) as client:
        details = client.request("agent.show", Map({"id": row["id"].hex()}))
    fields = {**dict(details.items()), "node": node, "id": row["id"].hex()}
    show_document("agent", fields, _details_text(fields), output="json" if as_json else output)


def _details_text(fields: dict[str, object]) -> str:
    lines = [
        f"{fields['id']}  {one_line(str(fields['name']))}",
        f"  state    {fields['state']}  {as_message(str(fields['reason'] or ''))}".rstrip(),
        f"  node     {fields['node']} (home {fields['home']}, {fields['hops']} hops)",
        f"  fuel     {count(fields['fuel_used'])}",
        f"  image    {size(fields['image_bytes'])}, heap {size(fields['memory_used'])}",
        f"  tokens   {len(fields['tokens'])}",  # type: ignore[arg-type]
    ]
    if fields["result"] is not None:
        lines.append(f"  result   {as_message(str(fields['result']))}")
    if fields["fault"] is not None:
        lines += ["  fault", *(f"    {line}" for line in fault_text(fields, {}).splitlines())]
    frames: list[Map] = list(fields["frames"])  # type: ignore[call-overload]
    if frames:
        lines.append("  frames")
    for frame in frames:
        place = f"line {frame['line']}:{frame['column']}"
        lines.append(f"    {one_line(frame['function'])}  {place}")
        lines += [one_line(f"      {name} = {text}") for name, text in frame["locals"]]
    log: list[str] = list(fields["log"])  # type: ignore[call-overload]
    if log:
        lines += ["  log", *(one_line(f"    {line}") for line in log[-20:])]
    return "\n".join(lines)


def _help(row: Map) -> str:
    """Return what lets a paused agent go on."""
    agent, reason = row["id"].hex()[:12], str(row["reason"])
    shortage = shortage_of(row)
    if shortage is not None:
        return f"yin token renew {agent} --budget {shortage.resource.name.lower()}=N"
    renewed = any(word in reason for word in ("revoked", "expired", "yin token renew"))
    if renewed or row["denied_right"] == ACCEPTED_TOKEN:
        return f"yin token renew {agent}"
    if reason.startswith(FUEL_LIMIT):
        return f"yin resume {agent} --fuel N"
    if reason.startswith("asks for"):
        return "yin token requests"
    return f"yin resume {agent}" + (" --token @FILE" if row["denied_right"] else "")


@click.command()
@click.argument("agent")
@click.option(
    "--timeout",
    "timeout_s",
    type=float,
    help="Give up after so many seconds. [default: wait for ever]",
)
@output_option
@click.pass_context
def result(
    ctx: click.Context, agent: str, timeout_s: float | None, output: str, as_json: bool
) -> None:
    """Wait for an agent and print its result."""
    cluster = cluster_of(ctx)
    node, row = find_agent(cluster, agent)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while row["state"] not in (*ENDED, "paused"):
        body: dict[str, object] = {"id": row["id"].hex()}
        if deadline is not None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise CliError(
                    f"agent {agent} is still {row['state']} on {node}", exit_code=Exit.UNREACHABLE
                )
            body["timeout_ms"] = int(left_s * 1000) + 1
        if row["state"] == "moved":
            node = row["moved_to"]
        with connected(cluster, node) as client:
            row = client.request("agent.wait", Map(body), timeout_s=None)
    finish(node, row, output="json" if as_json else output)


def _each(agents: tuple[str, ...]) -> list[str]:
    """Return the agents named; `-` reads ids from standard input."""
    names: list[str] = []
    for agent in agents:
        names += sys.stdin.read().split() if agent == "-" else [agent]
    if not names:
        raise CliError("name at least one agent", exit_code=Exit.USAGE)
    return names


def _each_done(agents: tuple[str, ...], do: Callable[[str], Map], output: str) -> int:
    """Do something with each agent that is named, and print what became of it: in text at once.

    One with which it cannot be done does not keep the others from it; the exit code is what went wrong with all such, or 1.
    """
    names = _each(agents)
    done: list[dict[str, object]] = []
    refused: dict[str, CliError] = {}
    for name in names:
        try:
            row = do(name)
        except CliError as error:
            if len(names) == 1:
                raise
            refused[name] = error
            tell_error(error, name)
        else:
            done.append({**dict(row.items()), "id": row["id"].hex()})
            if output == "text":
                click.echo(f"{row['id'].hex()[:12]} {row['state']}")
    if output != "text":
        failed = {name: str(error) for name, error in refused.items()}
        show_rows("agent.list", done, [], output=output, more={"failed": failed})
    codes = {error.exit_code for error in refused.values()}
    if len(codes) > 1:
        return Exit.FAILURE
    return codes.pop() if codes else Exit.OK


def _stopped(cluster: Cluster, agent: str, verb: str, reason: str, timeout_s: float) -> Map:
    """Have an agent stop, and return its summary when it has. Raises CliError."""
    node, row = find_agent(cluster, agent)
    if row["state"] == "moved":
        raise CliError(
            f"agent {agent} went to {row['moved_to']}, which does not answer for it",
            exit_code=Exit.UNREACHABLE,
        )
    body = Map({"id": row["id"].hex(), "reason": reason})
    with (
        hinted(row),
        connected(cluster, node) as client,
        waiting(f"{agent} to stop on {node}"),
    ):
        after: Map = client.request(verb, body, timeout_s=timeout_s)
        return after


@contextmanager
def hinted(row: Map) -> Iterator[None]:
    """Say what can be done about an agent that nothing can be done with as it is."""
    agent, target = row["id"].hex()[:12], row["travelling_to"]
    try:
        yield
    except CliError as error:
        if error.exit_code is Exit.CONFLICT and target is not None and not error.hint:
            error.hint = f"yin migrate {agent} --force, if {target} is gone for good"
        if GIVEN_AWAY in str(error):  # as the tokens say of one that was taken back
            error.hint = f"yin token renew --all {agent}"
        raise


@click.command()
@click.argument("agents", nargs=-1, metavar="AGENT...|-")
@click.option("--reason", default="paused by a person", show_default=True)
@timeout_option(STOP_S)
@output_option
@click.pass_context
def pause(
    ctx: click.Context,
    agents: tuple[str, ...],
    reason: str,
    timeout_s: float,
    output: str,
    as_json: bool,
) -> int:
    """Stop agents where they are; nothing is lost."""
    cluster = cluster_of(ctx)
    return _each_done(
        agents,
        lambda agent: _stopped(cluster, agent, "agent.pause", reason, timeout_s),
        "json" if as_json else output,
    )


@click.command()
@click.argument("agents", nargs=-1, metavar="AGENT...|-")
@click.option(
    "--token", "tokens", multiple=True, metavar="@FILE|-", help="A further token for the agent."
)
@click.option(
    "--fuel",
    type=click.IntRange(1),
    help="How much it may compute from here on; who has reached a limit (`yin spawn --fuel`) needs that.",
)
@output_option
@click.pass_context
def resume(
    ctx: click.Context,
    agents: tuple[str, ...],
    tokens: tuple[str, ...],
    fuel: int | None,
    output: str,
    as_json: bool,
) -> int:
    """Let paused agents go on at the same step."""
    cluster = cluster_of(ctx)
    opened = [read_token(token) for token in tokens]

    def resumed(agent: str) -> Map:
        node, row = find_agent(cluster, agent)
        target = cluster.node(node).key
        delegated = tuple(delegate(cluster, token, target, row["id"]) for token in opened)
        body = {"id": row["id"].hex(), "tokens": delegated}
        more = {} if fuel is None else {"fuel": fuel}
        try:
            with hinted(row), connected(cluster, node) as client:
                after: Map = client.request("agent.resume", Map({**body, **more}))
                return after
        except CliError as error:
            if fuel is None and str(row["reason"]).startswith(FUEL_LIMIT):
                error.hint = f"yin resume {agent} --fuel N"
            raise

    return _each_done(agents, resumed, "json" if as_json else output)


@click.command()
@click.argument("agents", nargs=-1, metavar="AGENT...|-")
@click.option("--reason", default="killed by a person", show_default=True)
@timeout_option(STOP_S)
@output_option
@click.pass_context
def kill(
    ctx: click.Context,
    agents: tuple[str, ...],
    reason: str,
    timeout_s: float,
    output: str,
    as_json: bool,
) -> int:
    """End agents for good."""
    cluster = cluster_of(ctx)
    return _each_done(
        agents,
        lambda agent: _stopped(cluster, agent, "agent.kill", reason, timeout_s),
        "json" if as_json else output,
    )


@click.command()
@click.argument("agent")
@click.argument("node", required=False)
@click.option(
    "--force",
    is_flag=True,
    help="First take it back from a node that was offered it and is gone for good. If that node has taken it, there "
    "are two of it; the audit stream says so.",
)
@click.option(
    "--token",
    "tokens",
    multiple=True,
    metavar="@FILE|-",
    help="With --force: a token for the agent in place of its own, with which it cannot travel any more.",
)
@timeout_option(MOVE_S)
@output_option
@click.pass_context
def migrate(
    ctx: click.Context,
    agent: str,
    node: str | None,
    force: bool,
    tokens: tuple[str, ...],
    timeout_s: float,
    output: str,
    as_json: bool,
) -> None:
    """Move an agent to another node, where it goes on at the same step.

    With --force it may stay where it is: then NODE is left out.
    """
    cluster = cluster_of(ctx)
    if node is None and not force:
        raise click.UsageError("NODE is missing; only with --force may an agent stay where it is")
    if tokens and not force:
        raise click.UsageError("only with --force does an agent get other tokens")
    opened = [read_token(token) for token in tokens]
    if node is not None:
        known_node(cluster, node)
    place, row = find_agent(cluster, agent)
    body = {"id": row["id"].hex()}
    with (
        hinted(row),
        connected(cluster, place) as client,
        waiting(f"{agent} to arrive at {node or place}"),
    ):
        if force:
            from_whom = row["travelling_to"] or "the node it came from"
            key = cluster.node(place).key
            given = tuple(delegate(cluster, token, key, row["id"]) for token in opened)
            row = client.request("agent.reclaim", Map({**body, "tokens": given}))
            note(f"taken back: {from_whom} may be running it, too; see yin audit --agent {agent}")
            if row["hops"] and not given:
                note(f"  next, before it travels: yin token renew --all {row['id'].hex()[:12]}")
        if node == place:
            note(f"agent {agent} is on {place} already")
        elif node is not None:
            row = client.request("agent.migrate", Map({**body, "node": node}), timeout_s=timeout_s)
    fields = {**dict(row.items()), "id": row["id"].hex(), "node": row["moved_to"] or place}
    line = f"{row['id'].hex()[:12]} {row['state']} {fields['node']}"
    show_document("agent.migrated", fields, line, output="json" if as_json else output)
