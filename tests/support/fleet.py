"""A cluster in a folder whose nodes run inside the test: started, asked, stopped, restarted, killed.

Is:     what the tests of the daemon share.
Is not: a double of anything: sockets, TLS, storage and tokens are the real ones.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import trio
import trio.testing

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.keys import PrivateKey
from capabilities.tokens import Token, agent_id, mint
from cli.cluster import ALL_VERBS, Cluster, add_node, create
from datomstore.storage import StorageError
from datomstore.value import Map
from protocol.messages import HandOff
from protocol.transport import Channel, SendItem, client_context, connect
from yang.compile import compile_source
from yang.program import Program
from yind import config as configuration
from yind.clock import Clock, System
from yind.node import Node, run_node


class _Silent:
    """The operator's side of a connection, who is asked nothing."""

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        raise AssertionError(verb)

    def message(self, channel: Channel, message: object) -> None:
        raise AssertionError(message)


class Fleet:
    """Nodes of one cluster inside one nursery; they listen on free ports, or on the first of some and those after it."""

    def __init__(
        self,
        folder: Path,
        nursery: trio.Nursery,
        names: tuple[str, ...],
        *,
        clock: Clock | None = None,
        port: int | None = None,
    ) -> None:
        self.clock = clock or System()
        self.cluster: Cluster = create(folder, name="test", now_s=self.now_s())
        self.nursery = nursery
        self.nodes: dict[str, Node] = {}
        self._scopes: dict[str, trio.CancelScope] = {}
        self._cut_off: set[str] = set()
        for number, name in enumerate(names):
            add_node(self.cluster, name, listen=f"127.0.0.1:{port + number if port else 0}")

    def now_s(self) -> int:
        """Return seconds since 1970 by the clock of the nodes."""
        return self.clock.now_ms() // 1000

    async def start(self, name: str, **changes: object) -> Node:
        """Start a node; `changes` are settings of its configuration."""
        config = configuration.load(self.cluster.node_folder(name) / "yind.toml")
        for key, value in changes.items():
            config = configuration.Config(**{**_fields(config), key: value})
        node: Node = await self.nursery.start(self._run, name, config)
        self.nodes[name] = node
        return node

    async def _run(
        self,
        name: str,
        config: configuration.Config,
        *,
        task_status: trio.TaskStatus[Node],
    ) -> None:
        with trio.CancelScope() as scope:
            self._scopes[name] = scope
            try:
                await run_node(config, self.clock, task_status=task_status)
            except* StorageError:
                if name not in self._cut_off:
                    raise

    async def stop(self, name: str) -> None:
        """Stop a node as SIGTERM does."""
        await self.nodes.pop(name).stop()

    def cut_off(self, name: str) -> None:
        """Begin a crash: from now on a node says nothing, and writes nothing but what it is writing just now."""
        node = self.nodes[name]
        self._cut_off.add(name)
        node.storage.transaction = _refuse  # type: ignore[method-assign]
        node.peers.open_channel = lambda name: None  # type: ignore[method-assign,assignment]
        node.migration._arrivals._answer = lambda channel, message: None  # type: ignore[method-assign]
        self._scopes[name].cancel()

    async def crash(self, name: str) -> None:
        """Cut a node off in the middle of whatever it does; what is not on the disk is lost."""
        node = self.nodes.pop(name)
        self._scopes[name].cancel()
        await node._stopped.wait()
        self._cut_off.discard(name)

    def expect_end(self, name: str) -> None:
        """Take it that a node ends by itself, as a write that fails ends it."""
        self._cut_off.add(name)

    async def ended(self, name: str) -> None:
        """Return when a node has ended by itself."""
        await self.nodes[name]._stopped.wait()
        del self.nodes[name]
        self._cut_off.discard(name)

    @asynccontextmanager
    async def connected(self, name: str, *tokens: Token) -> AsyncIterator[Channel]:
        """Yield a connection to a node; the operator's token is presented unless others are given."""
        member = self.cluster.node(name)
        key = self.cluster.operator_key
        async with connect(
            member.addresses[0],
            context=client_context(key, self.cluster.operator_certificate, [member.certificate]),
            server=member.key,
            name="operator",
            nonce=secrets.token_bytes(16),
            handler=_Silent(),
        ) as channel:
            presented = tokens or (self.cluster.operator_token,)
            await channel.request(
                "session.present", Map({"tokens": tuple(t.to_bytes() for t in presented)})
            )
            yield channel

    async def ask(self, name: str, verb: str, /, **fields: object) -> Any:
        """Return the answer to one request of the operator."""
        async with self.connected(name) as channel:
            return await channel.request(verb, Map(fields))

    def token(self, *rights: tuple[Verb, str], ttl_s: int = 3600, **caveats: Any) -> Token:
        """Return a token for the operator's key; without rights, one that allows everything."""
        granted = tuple(Rights(verb, place) for verb, place in rights) or (Rights(ALL_VERBS, "**"),)
        key: PrivateKey = self.cluster.operator_key
        return mint(
            self.cluster.root_key,
            key.public,
            Caveats(exp=self.now_s() + ttl_s, rights=granted, **caveats),
        )

    async def spawn(
        self, name: str, source: str, *tokens: Token, arguments: Map | None = None, **fields: Any
    ) -> bytes:
        """Start an agent and return its id; it gets the tokens given, or none."""
        program = compile_source(source, "test.clj").program
        return await self.spawn_program(name, program, *tokens, arguments=arguments, **fields)

    async def spawn_program(
        self,
        name: str,
        program: Program,
        *tokens: Token,
        arguments: Map | None = None,
        nonce: bytes | None = None,
        **fields: object,
    ) -> bytes:
        """Start an agent of a program, as `spawn` does; with the same nonce it is the same request."""
        nonce = os.urandom(16) if nonce is None else nonce
        operator = self.cluster.operator_key.public
        agent = agent_id(operator, program.hash, nonce, self.cluster.home(name))
        delegated = tuple(self.delegate(token, name, agent) for token in tokens)
        async with self.connected(name) as channel:
            if not (await channel.request("code.have", Map({"hash": program.hash})))["value"]:
                await channel.request("code.put", Map({"program": program.to_bytes()}))
            body = {
                "program": program.hash,
                "nonce": nonce,
                "tokens": delegated,
                "arguments": Map() if arguments is None else arguments,
                "name": "test",
                **fields,
            }
            assert (await channel.request("agent.spawn", Map(body)))["id"] == agent
        return agent

    def delegate(self, token: Token, name: str, agent: bytes, **caveats: Any) -> bytes:
        """Return a token of the operator for one agent on a node."""
        key, narrower = self.cluster.node(name).key, Caveats(agent=agent, **caveats)
        return token.append(self.cluster.operator_key, key, narrower).to_bytes()

    async def settled(self, name: str, agent: bytes) -> tuple[str, Map]:
        """Return where an agent ended or was paused, followed from node to node, and its summary."""
        while True:
            row = await self.ask(name, "agent.wait", id=agent.hex())
            if row["state"] != "moved":
                return name, row
            name = row["moved_to"]

    async def until(self, name: str, agent: bytes, state: str) -> None:
        """Return when an agent of a running node is in a state."""
        found = self.nodes[name].agents.get(agent)
        assert found is not None, agent
        reached = trio.Event()

        def watch(event: dict[str, object]) -> None:
            if found.record.state == state:
                reached.set()

        found.watchers.add(watch)
        watch({})
        await reached.wait()
        found.watchers.discard(watch)

    async def result(self, name: str, source: str, *tokens: Token, **fields: Any) -> str:
        """Return the printed result of a program that must succeed."""
        agent = await self.spawn(name, source, *tokens, **fields)
        place, row = await self.settled(name, agent)
        assert row["state"] == "done", (place, row["state"], row["reason"], row["fault"])
        return str(row["result"])


def deaf(node: Node, *kinds: type) -> list[Callable[[], None]]:
    """Let a node lose every message of some kinds, as a network may; return what lets it have them after all."""
    real, lost = node.peers.message, list[Callable[[], None]]()

    def message(channel: Channel, message: HandOff) -> None:
        if isinstance(message, kinds):
            lost.append(partial(real, channel, message))
        else:
            real(channel, message)

    node.peers.message = message
    return lost


async def until(what: Callable[[], object]) -> None:
    with trio.fail_after(30):
        while not what():
            await trio.testing.wait_all_tasks_blocked()


def _refuse(*, write: bool) -> NoReturn:
    raise StorageError("cut off")


def _fields(config: configuration.Config) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__struct_fields__}


@asynccontextmanager
async def fleet(folder: Path, *names: str) -> AsyncIterator[Fleet]:
    """Yield a running cluster; every node is stopped at the end."""
    async with trio.open_nursery() as nursery:
        made = Fleet(folder / "cluster", nursery, names)
        for name in names:
            await made.start(name)
        yield made
        for name in list(made.nodes):
            await made.stop(name)
        nursery.cancel_scope.cancel()
