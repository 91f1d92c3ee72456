"""A node of the cluster that speaks the production protocol and lies.

Is:     key, certificate and door of a member, behind which nobody runs an agent: what it is given it keeps, and what it says is
        up to the test.
Is not: a stranger (they get no further than TLS), nor a double of an honest node: those run as they are.
Fits:   tests/yind/test_dishonest_host.py.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio
from fleet import Fleet
from msgspec.structs import replace

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.keys import PrivateKey, PublicKey, load_private
from capabilities.tokens import Token, agent_id, mint
from datomstore.value import Map
from protocol import continuation
from protocol.errors import RemoteError
from protocol.handoff import CHANCE_BYTES, attempt_bytes, new_attempt
from protocol.messages import Go, HandOff, Offer, Own, Refuse
from protocol.tls import client_context, server_context
from protocol.transport import Channel, SendItem, connect, serve
from yind.clock import System
from yind.luggage import Luggage, opened

NAME = "mallory"


class Dishonest:
    """A member that is no honest node."""

    def __init__(self, nodes: Fleet) -> None:
        folder = nodes.cluster.node_folder(NAME)
        self.nodes = nodes
        self.key: PrivateKey = load_private(folder / "node.key")
        self.certificate = (folder / "node.crt").read_bytes()
        self.address = nodes.cluster.node(NAME).addresses[0]
        self.answers_own = True
        self.program: bytes | None = None  # what it sends, whatever it is asked for
        self.silent = False  # it is asked for a program, and never answers
        self.given: list[Offer] = []
        self.went = trio.Event()  # somebody said Go
        self.answers: list[HandOff] = []  # of targets
        self.answered = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[Any]) -> None:
        """Listen, as a node does."""
        others = [member.certificate for member in self.nodes.cluster.nodes()]
        context = server_context(self.key, self.certificate, others)
        await serve(
            self.address,
            context=lambda: context,
            name=NAME,
            nonce=lambda: secrets.token_bytes(16),
            handler=self,
            failed=lambda error: None,
            task_status=task_status,
        )

    # -- what it hears --

    async def request(self, channel: Channel, verb: str, body: Map, send: SendItem) -> Map:
        """Answer for programs, which it has from an honest node; nothing else."""
        if verb != "code.get":
            raise Unwilling(verb)
        if self.silent:
            await trio.sleep_forever()
        if self.program is not None:
            return Map({"program": self.program})
        name = next(iter(self.nodes.nodes))
        found: Map = await self.nodes.ask(name, verb, hash=body["hash"])
        return found

    def message(self, channel: Channel, message: HandOff) -> None:
        """Keep what is offered; say Own, if it says so, and run nothing."""
        if isinstance(message, Offer):
            self.given.append(message)
        elif isinstance(message, Go):
            if self.answers_own:
                channel.send_nowait(Own(message.agent, message.epoch, message.attempt))
            self.went.set()
        elif isinstance(message, Own | Refuse):
            self.answers.append(message)
            self.answered.set()

    # -- what it says --

    @asynccontextmanager
    async def connected(self, name: str) -> AsyncIterator[Channel]:
        """Yield a connection to a node, as the member it is."""
        member = self.nodes.cluster.node(name)
        async with connect(
            member.addresses[0],
            context=client_context(self.key, self.certificate, [member.certificate]),
            server=member.key,
            name=NAME,
            nonce=secrets.token_bytes(16),
            handler=self,
        ) as channel:
            yield channel

    async def offers(self, name: str, offer: Offer, *, ignored: bool = False) -> HandOff | None:
        """Offer an agent and say Go; return the node's answer, or None when it is said to give none."""
        self.answered = trio.Event()
        self.answers.clear()
        offer = replace(
            offer, attempt=fresh_attempt(secrets.token_bytes(CHANCE_BYTES))
        )  # never one that was answered
        async with self.connected(name) as channel:
            await channel.send(offer)
            await channel.send(Go(offer.agent, offer.epoch, offer.attempt))
            if ignored:
                await channel.request("node.info")  # what came before has been taken
                return None
            with trio.fail_after(20):
                await self.answered.wait()
        return self.answers[0]

    async def why_not(self, node: str, offer: Offer) -> str:
        """Offer an agent that a node must not take, and return why it does not."""
        answer = await self.offers(node, offer)
        assert isinstance(answer, Refuse), answer
        return answer.reason

    def key_of(self, name: str) -> PublicKey:
        return self.nodes.cluster.node(name).key

    def arrived(self, image: bytes) -> bytes:
        """Return the image of an agent that has been told where it is, and waits for its next effect."""
        machine = self.nodes.nodes["alpha"].code.restore(image, memory_max=1 << 24, fuel_max=None)
        machine.resume(NAME)
        machine.run(100_000)
        found: bytes = machine.image()
        return found

    def own_agent(
        self,
        name: str,
        image: bytes = b"",
        program: bytes | None = None,
        owner: PublicKey | None = None,
        rights: tuple[Rights, ...] = (),
        programs: tuple[bytes, ...] = (),
        says: dict[str, Any] | None = None,
    ) -> Offer:
        """Return the offer of an agent of its own, with a token that lets it travel, and a program nobody has, or one known.

        With `owner` it says that it is somebody else's. `rights` are further ones, `programs` those that its image
        needs, `says` what its luggage says otherwise.
        """
        nodes, me, program = self.nodes, self.key.public, program or secrets.token_bytes(32)
        rights = (Rights(Verb.MIGRATE, name), *rights)
        token = mint(nodes.cluster.root_key, me, Caveats(exp=nodes.now_s() + 3600, rights=rights))
        nonce = secrets.token_bytes(16)
        owner = owner or me
        agent = agent_id(owner, program, nonce, me)
        luggage = Luggage(
            name="made up",
            owner=owner.bytes,
            home=NAME,
            program=program,
            nonce=nonce,
            created_ms=0,
            memory_max=1 << 20,
            fuel_max=None,
            paused=False,
            reason="",
            wake_ms=None,
            hop_count=0,
            log=[],
            log_dropped=0,
            home_key=me.bytes,
        )
        programs = programs or (program,)
        body = sealed(image, programs, replace(luggage, **says or {}))
        digest = continuation.digest_of(body)
        given = token.append(
            self.key, self.key_of(name), Caveats(agent=agent, epoch=1, state=digest)
        )
        attempt = fresh_attempt(secrets.token_bytes(CHANCE_BYTES))
        return Offer(agent, 1, attempt, digest, programs, (given.to_bytes(),), body)

    def hand_on(self, offer: Offer, name: str, **changes: Any) -> Offer:
        """Return what it would offer a node if it were honest, but for some changes.

        Args:
            offer: what it was given.
            name: whom it offers the agent to.
            changes: `luggage` (a dict), `image`, `epoch`, `state`, `signed_epoch`, `caveats`, `tokens`, `agent`.
        """
        luggage, image = opened(offer)
        image = self.arrived(image)
        luggage = msgspec.structs.replace(luggage, **changes.get("luggage", {}))
        body = sealed(changes.get("image", image), offer.programs, luggage)
        digest = continuation.digest_of(body)
        epoch = changes.get("epoch", offer.epoch + 1)
        hop = Caveats(
            agent=offer.agent,
            epoch=changes.get("signed_epoch", epoch),
            state=changes.get("state", digest),
        )
        hop = hop._replace(**changes.get("caveats", {}))
        tokens = changes.get("tokens") or tuple(
            Token.from_bytes(data).append(self.key, self.key_of(name), hop).to_bytes()
            for data in offer.tokens
        )
        return replace(
            offer,
            agent=changes.get("agent", offer.agent),
            epoch=epoch,
            digest=digest,
            tokens=tokens,
            body=body,
        )


def fresh_attempt(chance: bytes) -> bytes:
    """Return the number of an attempt of just now, as a message has it."""
    return attempt_bytes(new_attempt(System().now_ms(), chance))


class Unwilling(Exception):
    """What it does not answer."""

    code = "mallory/unwilling"


def sealed(image: bytes, programs: tuple[bytes, ...], luggage: Luggage) -> bytes:
    """Return what travels, with its digest."""
    return continuation.seal(image, programs, msgspec.msgpack.encode(luggage))


@asynccontextmanager
async def besieged(folder: Path, *honest: str) -> AsyncIterator[tuple[Fleet, Dishonest]]:
    """Yield a running cluster of honest nodes, and the one that is not."""
    async with trio.open_nursery() as nursery:
        nodes = Fleet(folder / "cluster", nursery, (*honest, NAME))
        mallory = Dishonest(nodes)
        await nursery.start(mallory.run)
        for name in honest:
            await nodes.start(name)
        yield nodes, mallory
        for name in list(nodes.nodes):
            await nodes.stop(name)
        nursery.cancel_scope.cancel()


async def visited(nodes: Fleet, mallory: Dishonest, source: str, *tokens: Token) -> Offer:
    """Return what mallory is given when an agent spawned on the first node hops there."""
    await nodes.spawn(next(iter(nodes.nodes)), source, *tokens)
    with trio.fail_after(20):
        await mallory.went.wait()
    return mallory.given[-1]


async def audit(nodes: Fleet, name: str) -> list[dict[str, Any]]:
    """Return the decisions of a node, in their order."""
    query = "[:find ?e ?a ?v :where [?e :audit/who _] [?e ?a ?v]]"
    try:
        found = await nodes.ask(name, "query", stream="audit", query=query)
    except RemoteError:
        raise AssertionError(f"{name} keeps no audit") from None
    rows: dict[int, dict[str, Any]] = {}
    for entity, attribute, value in found["value"]:
        rows.setdefault(entity, {})[attribute.name.removeprefix("audit/")] = value
    return [rows[entity] for entity in sorted(rows)]


async def refusals(nodes: Fleet, name: str) -> list[str]:
    """Return why a node has refused what."""
    return [row["reason"] for row in await audit(nodes, name) if not row["allowed"]]
