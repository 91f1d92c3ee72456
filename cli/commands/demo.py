"""`yin demo`: three nodes, real data, an agent that travels, an answer that is checked.

Is:     a script of the whole system on this machine, every number measured while it runs.
Is not: a benchmark (`bench/`), nor a shortcut: it uses the parts behind `yin up`, `yin token`, `yin spawn`.
Fits:   `make demo`; exits non-zero when the agent's answer differs from a direct computation.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.inspect import inspect
from capabilities.keys import PrivateKey
from capabilities.revocation import Revocation
from capabilities.tokens import Token, mint
from cli.cluster import Cluster, add_node, create
from cli.commands.agents import await_agent, spawn_agent
from cli.commands.stream import list_streams, send_batches
from cli.connect import connected
from cli.demonstration.stdlib import (
    SCHEMA,
    Module,
    entities,
    import_graph,
    imports_of_facts,
    read_modules,
    shortest_chains,
)
from cli.errors import CliError
from cli.fleet import running
from cli.output import Column, count, size, table
from cli.sources import read_source
from datomstore import edn
from datomstore.value import Keyword, Map

NODES = ("alpha", "beta", "gamma")
GOAL = "socket"
PROGRAM = Path(__file__).parents[2] / "examples" / "reach.clj"
ASLEEP = "(sleep 600000)"
ALL_FACTS = "[:find ?e ?a ?v :where [?e ?a ?v]]"
ALL_IMPORTS = "[:find ?from ?to :where [?i :import/module ?m] [?m :module/name ?from] [?i :import/target ?to]]"


@click.command()
@click.option("--keep", is_flag=True, help="Do not remove the cluster's folder afterwards.")
def demo(keep: bool) -> None:
    """Start three nodes, load the Python standard library as facts, and let an agent travel."""
    with _folder(keep) as folder:
        cluster = create(Path(folder), name="demo", now_s=_now_s())
        for name in NODES:
            add_node(cluster, name, listen="127.0.0.1:0")
        with running(cluster, list(NODES)):
            _say(f"three nodes in {folder}: {', '.join(NODES)}")
            modules = _load(cluster)
            token = _issue(cluster)
            chains, travel_s, moved = _travel(cluster, token)
            _compare(modules, chains)
            _fetch(cluster, travel_s, moved)
            _refuse(cluster)


def _folder(keep: bool) -> contextlib.AbstractContextManager[str]:
    if keep:
        return contextlib.nullcontext(tempfile.mkdtemp(prefix="yin-demo-"))
    return tempfile.TemporaryDirectory(prefix="yin-demo-")


def _now_s() -> int:
    return time.time_ns() // 10**9


def _say(text: str) -> None:
    click.echo(text)


def _title(text: str) -> None:
    click.echo("\n" + click.style(text, bold=True))


def _load(cluster: Cluster) -> list[Module]:
    """Put a third of the standard library's modules on each node."""
    _title("1. Real data: the Python standard library, a third of its modules on each node")
    modules = read_modules()
    known = frozenset(module.name for module in modules)
    started = time.perf_counter()
    datoms = 0
    for index, node in enumerate(NODES):
        share = modules[index * len(modules) // 3 : (index + 1) * len(modules) // 3]
        items = [entity for module in share for entity in entities(module, known)]
        with connected(cluster, node) as client:
            client.request("stream.transact", Map({"stream": "stdlib", "data": SCHEMA}))
            datoms += send_batches(client, "stdlib", items, label=node, total=len(items))
        _say(f"   {node}: {share[0].name} .. {share[-1].name}")
    elapsed_s = time.perf_counter() - started
    _say(f"   {count(datoms)} datoms of {len(modules)} modules, durable, in {elapsed_s:.1f} s")
    return modules


def _issue(cluster: Cluster) -> Token:
    """Mint a token and narrow it to what the agent needs."""
    _title("2. Authority: a token, narrowed to reading */stdlib, 20 hops, 10 minutes")
    first, second = PrivateKey.generate(), PrivateKey.generate()
    everything = (Rights(Verb.READ | Verb.APPEND | Verb.MIGRATE, "**"),)
    broad = mint(cluster.root_key, first.public, Caveats(exp=_now_s() + 3600, rights=everything))
    narrow = Caveats(
        exp=_now_s() + 600,
        rights=(Rights(Verb.READ, "*/stdlib"), Rights(Verb.MIGRATE, "*")),
        hops=20,
    )
    token = broad.append(first, second.public, narrow).with_secret(second)
    for index, block in enumerate(inspect(token, roots={cluster.root}, names={})):
        facts = ", ".join(
            f"{key} {value}" for key, value in block.items() if key not in ("id", "key")
        )
        _say(f"   block {index}: {facts}")
    return token


def _travel(cluster: Cluster, token: Token) -> tuple[list[list[str]], float, int]:
    """Send the agent; print a table of its hops; return the chains, the time and the bytes moved."""
    _title(
        f"3. An agent asks: which modules reach {GOAL} through imports, by which shortest chain?"
    )
    text = read_source(PROGRAM)
    arguments = Map({Keyword("goal"): GOAL})
    agent = spawn_agent(
        cluster, NODES[0], text, PROGRAM.name, tokens=[token], arguments=arguments, name="reach"
    )
    started = time.perf_counter()
    node, row = await_agent(cluster, NODES[0], agent, follow=False)
    elapsed_s = time.perf_counter() - started
    if row["state"] != "done":
        raise CliError(
            f"the agent is {row['state']} on {node}: {row['reason']}\n{row['fault'] or ''}"
        )
    hops = _hops(cluster, agent)
    table(
        hops,
        [
            Column("epoch", "HOP", right=True),
            Column("from", "FROM"),
            Column("to", "TO"),
            Column("image_bytes", "CONTINUATION", right=True, form=size),
            Column("token_bytes", "TOKEN", right=True, form=size),
            Column("code", "CODE", right=True),
            Column("stayed", "DATA THAT STAYED", right=True, form=size),
            Column("ms", "MS", right=True),
        ],
    )
    moved = sum(
        int(str(hop[key])) for hop in hops for key in ("image_bytes", "token_bytes", "code_bytes")
    )
    _say(
        f"   {len(hops)} hops moved {size(moved)}; the agent took {elapsed_s * 1000:.0f} ms in all"
    )
    answer = edn.read(row["result"])
    assert isinstance(answer, tuple), answer
    return [list(chain) for chain in answer], elapsed_s, moved


def _hops(cluster: Cluster, agent: bytes) -> list[dict[str, object]]:
    hops: list[dict[str, object]] = []
    stayed: dict[str, object] = {}
    for node in NODES:
        with connected(cluster, node) as client:
            found = client.request("agent.hops", Map({"id": agent.hex()}))["value"]
        hops += [dict(hop.items()) for hop in found]
        stayed[node] = sum(
            row["bytes"] for row in list_streams(cluster, node) if row["name"].endswith("/stdlib")
        )
    for hop in hops:
        hop["stayed"] = stayed[str(hop["to"])]
        hop["code"] = size(hop["code_bytes"]) if hop["code_bytes"] else "known"
        hop["ms"] = f"{int(str(hop['elapsed_us'])) / 1000:.1f}"
    return sorted(hops, key=lambda hop: int(str(hop["epoch"])))


def _compare(modules: list[Module], chains: list[list[str]]) -> None:
    """Print the answer and compare it with a breadth-first search over the same sources."""
    expected = shortest_chains(import_graph(modules), GOAL)
    longest = max(chains, key=len)
    _say(f"   {len(chains)} modules reach {GOAL}. The longest of the shortest chains:")
    _say("   " + " -> ".join(longest))
    if chains != expected:
        missing = len({c[0] for c in expected} - {c[0] for c in chains})
        raise CliError(
            f"the agent's answer differs from the direct computation: {len(chains)} chains against "
            f"{len(expected)}, {missing} modules missing"
        )
    _say(
        click.style("   checked", fg="green")
        + ": a breadth-first search over the sources says the same"
    )


def _fetch(cluster: Cluster, travel_s: float, moved: int) -> None:
    """Answer the same question by fetching data, in two ways, and print all costs."""
    _title("4. The same question by fetching the data")
    edges, edges_bytes, edges_s = _fetched(cluster, ALL_IMPORTS, list)
    facts, facts_bytes, facts_s = _fetched(cluster, ALL_FACTS, imports_of_facts)
    if edges != facts:
        raise CliError("the imports found by a query are not those in the facts")
    rows = [
        {"way": "send the agent", "bytes": moved, "ms": travel_s},
        {"way": "fetch the imports by a query to each node", "bytes": edges_bytes, "ms": edges_s},
        {"way": "fetch every fact and look here", "bytes": facts_bytes, "ms": facts_s},
    ]
    table(
        rows,
        [
            Column("way", "WAY"),
            Column("bytes", "BYTES MOVED", right=True, form=size),
            Column("ms", "MS", right=True, form=lambda value: f"{float(str(value)) * 1000:.0f}"),
        ],
    )
    _say(
        "   an agent wins when what it learns is small beside what it looks at, or may not be fetched"
    )


def _fetched(
    cluster: Cluster, query: str, imports: Callable[[Any], Iterable[tuple[str, str]]]
) -> tuple[list[list[str]], int, float]:
    """Return the shortest chains from what a query to each node brings, the bytes it took and the seconds."""
    started = time.perf_counter()
    graph: dict[str, set[str]] = {}
    moved = 0
    for node in NODES:
        with connected(cluster, node) as client:
            before = client.bytes_received
            answer = client.request("query", Map({"query": query, "stream": "stdlib"}))["value"]
            moved += client.bytes_received - before
        for module, target in imports(answer):
            graph.setdefault(module, set()).add(target)
    return shortest_chains(graph, GOAL), moved, time.perf_counter() - started


def _refuse(cluster: Cluster) -> None:
    """Show the agent without a token, and what a revocation stops: who has the token, and who would."""
    _title("5. Authority at work")
    bare = _start(cluster, read_source(PROGRAM), [], name="no-token")
    _expect_paused(cluster, bare, "without a token")
    secret = PrivateKey.generate()
    rights = (Rights(Verb.READ, "*/stdlib"), Rights(Verb.MIGRATE, "*"))
    token = mint(cluster.root_key, secret.public, Caveats(exp=_now_s() + 600, rights=rights))
    token = token.with_secret(secret)
    asleep = _start(cluster, ASLEEP, [token], name="revoked")
    revocation = Revocation.sign(cluster.root_key, token, 0)
    with connected(cluster, NODES[-1]) as client:
        client.request(
            "token.revoke",
            Map({"revocation": revocation.to_bytes(), "token": token.to_bytes()}),
        )
    _expect_paused(cluster, asleep, f"whose token is revoked on {NODES[-1]}")
    try:
        _start(cluster, ASLEEP, [token], name="too-late")
    except CliError as error:
        _say(f"   a new one with that token: refused, because {error}")
    else:
        raise CliError("an agent was started with a revoked token; that must be refused")


def _start(cluster: Cluster, text: str, tokens: list[Token], *, name: str) -> bytes:
    arguments = Map({Keyword("goal"): GOAL})
    return spawn_agent(
        cluster, NODES[0], text, PROGRAM.name, tokens=tokens, arguments=arguments, name=name
    )


def _expect_paused(cluster: Cluster, agent: bytes, label: str) -> None:
    _, row = await_agent(cluster, NODES[0], agent, follow=False)
    if row["state"] != "paused":
        raise CliError(f"the agent {label} is {row['state']}; it must be paused")
    with connected(cluster, NODES[0]) as client:
        rows = client.request("agent.list")["value"]
    listed = next(item for item in rows if item["id"] == agent)
    _say(f"   {label}: {listed['state']}, because {listed['reason']}")
