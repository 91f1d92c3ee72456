"""What the command line, and other nodes, may ask of this node.

Is:     one function per request verb: fields checked, authority checked, a Map as answer.
Is not: the wire (`protocol.transport`) or the work behind a verb (agents, streams, code).
Fits:   `yind.peers` hands every Request of a connection here together with its `Session`.

A connection presents tokens once (`session.present`); every later request on it is decided from them. Requests that
need no right tell nothing that a member of the cluster does not know already.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

import msgspec
import trio

from capabilities.caveats import Resource, Verb
from capabilities.errors import CapabilityError
from capabilities.handles import FREE, Handle
from capabilities.keys import PublicKey
from capabilities.patterns import AttributeFilter
from capabilities.revocation import Revocation, SignerRevocation, statement
from capabilities.tokens import Token, agent_id
from capabilities.verify import VerifiedToken
from datomstore.batch import Batch
from datomstore.datalog.errors import QueryError
from datomstore.errors import AttributeForbidden
from datomstore.refused import TransactionError
from datomstore.streams import Stream
from datomstore.value import Map
from protocol.transport import SendItem
from yang.errors import YangError
from yang.program import Program
from yind.admission import Admission, Bearer
from yind.agent import Agent, AgentRecord, FaultData, State
from yind.agents import Agents
from yind.appends import Needs, NeedsMore, hidden
from yind.audit import AUDIT_STREAM, Behalf, Decision, forget_since, own_decisions
from yind.authority import NO_ATTRIBUTES, Authority, Paid, narrowest
from yind.cesk import Machine
from yind.cesk.errors import MachineError
from yind.clock import Clock
from yind.code import CodeLibrary
from yind.config import AgentLimits
from yind.costs import cost_of_answer, cost_of_change, cost_of_rows
from yind.departures import Forced
from yind.effects import Effects
from yind.errors import AdmissionRefused, AgentState, Denied, RequestInvalid, YindError
from yind.fields import Answer, Fields
from yind.giving import Giving
from yind.granting import Granting
from yind.limits import (
    AGENT_COUNT_MAX,
    FOLLOW_BUFFER,
    REVOCATIONS_NODE_MAX,
    REVOCATIONS_PERSON_MAX,
    SYSTEM_STREAMS,
    TOKENS_PER_AGENT_MAX,
)
from yind.migrate import Migration
from yind.ongoing import Ongoing
from yind.requests import Requests
from yind.revocations import Revocations
from yind.scheduler import Scheduler
from yind.session import Session
from yind.watching import View, answered, explained, send_changes, send_log, transaction_of

ONE_CHILD = {Resource.CHILDREN: 1}
SHOW_S = 1.0  # who is shown is between two turns within so long, or does something long
# An agent that cannot be restored here has no frames.
UNSHOWN = (CapabilityError, MachineError, YangError, YindError)
EVERY_RIGHT = (Verb.APPEND, Verb.RETRACT, Verb.SCHEMA, Verb.HISTORY)
T = TypeVar("T")
Verb_ = Callable[["Control", Session, Fields, SendItem], Awaitable[object]]


class Control:
    """The request verbs of one node."""

    def __init__(
        self,
        *,
        node: str,
        version: str,
        agents: Agents,
        authority: Authority,
        code: CodeLibrary,
        effects: Effects,
        scheduler: Scheduler,
        migration: Migration,
        admission: Admission,
        revocations: Revocations,
        is_node: Callable[[PublicKey], bool],
        more: Mapping[str, Answer],
        clock: Clock,
        limits: AgentLimits,
        requests: Requests,
        giving: Giving,
    ) -> None:
        self._node = node
        self._version = version
        self._agents = agents
        self._authority = authority
        self._code = code
        self._effects = effects
        self._scheduler = scheduler
        self._migration = migration
        self._admission = admission
        self._revocations = revocations
        self._is_node = is_node
        self._more = more
        self._clock = clock
        self._limits = limits
        self._giving = giving
        self._about_tokens = Granting(
            node=node,
            agents=agents,
            authority=authority,
            requests=requests,
            scheduler=scheduler,
            giving=giving,
            is_moved=migration.moves.has,
        ).verbs(self._verify_for)

    @property
    def verbs(self) -> frozenset[str]:
        """Return the names of all requests."""
        return frozenset({*VERBS, *self._about_tokens, *self._more})

    async def request(self, session: Session, verb: str, body: object, send: SendItem) -> Map:
        """Answer one request. Raises YindError, CapabilityError, DatomstoreError or a codec fault."""
        decisions: list[Decision] = []
        with Behalf(verb, decisions):
            try:
                answer = await self._answer(session, verb, Fields(body), send)
            finally:
                await self._agents.write_decisions(decisions)
        return answer if isinstance(answer, Map) else Map({"value": answer})

    async def _answer(self, session: Session, verb: str, fields: Fields, send: SendItem) -> object:
        if (own := VERBS.get(verb)) is not None:
            return await own(self, session, fields, send)
        if (about_tokens := self._about_tokens.get(verb)) is not None:
            return await about_tokens(session, fields, send)
        if (other := self._more.get(verb)) is not None:
            return await other(session, fields)
        raise RequestInvalid(f"no request {verb!r}")

    def _allow(
        self,
        session: Session,
        verb: Verb,
        resource: str,
        attributes: frozenset[str] | None = None,
        cost: Mapping[Resource, int] = FREE,
    ) -> Paid:
        return self._authority.allow(
            session.tokens,
            verb,
            resource,
            who=session.peer.text,
            cost=cost,
            attributes=attributes,
        )

    def _ongoing(
        self,
        session: Session,
        resource: str,
        verbs: tuple[Verb, ...],
        only: AttributeFilter | None = None,
        named: frozenset[str] | None = None,
    ) -> Ongoing:
        return Ongoing(
            self._agents, self._authority, session, resource, verbs, named=named, only=only
        )

    async def _naming(
        self,
        session: Session,
        verb: Verb,
        stream: str,
        work: Callable[[frozenset[str]], Awaitable[T]],
    ) -> tuple[T, frozenset[str]]:
        """Return what work comes to when it is told the attributes that it turns out to name, and these. Raises Denied."""
        named = NO_ATTRIBUTES
        while True:
            begun = len(own_decisions())
            try:
                return await work(named), named
            except AttributeForbidden as forbidden:
                resource = f"{self._node}/{stream}"
                named = self._authority.name(named, forbidden, verb, resource, session.peer.text)
            forget_since(begun)

    def _counts(self, session: Session, resource: Resource) -> bool:
        return any(resource in handle.limited for handle in session.tokens)

    @contextmanager
    def _without_values(self, session: Session) -> Iterator[None]:
        """Leave values out of the errors of a query for whom rows or bytes are counted: they would have cost some."""
        try:
            yield
        except QueryError as error:
            if self._counts(session, Resource.ROWS) or self._counts(session, Resource.BYTES):
                raise error.without_values() from error
            raise

    def _bytes_counted(self, session: Session) -> bool:
        return self._counts(session, Resource.BYTES)

    # -- session and node --

    async def present(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Take the tokens that the other end of the connection holds."""
        tokens = fields.items("tokens")
        if len(tokens) > TOKENS_PER_AGENT_MAX:
            raise RequestInvalid(f"{len(tokens)} tokens; at most {TOKENS_PER_AGENT_MAX}")
        session.tokens = [
            self._authority.handle(self._verify(session.peer, token, session.challenge), None)
            for token in tokens
        ]
        return Map({"tokens": len(tokens)})

    def _verify(
        self, presenter: PublicKey, token: object, challenge: bytes | None = None
    ) -> VerifiedToken:
        if not isinstance(token, bytes):
            raise RequestInvalid("a token is bytes")
        try:
            return self._authority.verify(token, presenter, challenge)
        except CapabilityError as error:
            self._authority.refuse(presenter.text, "present", self._node, str(error))
            raise

    def _verify_for(self, agent: bytes, token: object) -> Handle:
        """Return the handle of an agent's token.

        It has to name the agent: a token that is merely bound to this node could be given to any agent of the node by
        anybody who has seen its bytes.
        """
        verified = self._verify(self._key, token)
        if all(block.caveats.agent != agent for block in verified.blocks):
            raise RequestInvalid("a token given to an agent has a block that names the agent")
        return self._authority.handle(verified, agent)

    @property
    def _key(self) -> PublicKey:
        return self._authority.key

    async def node_info(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Say who this node is."""
        states: dict[object, object] = {}
        for agent in self._agents:
            states[str(agent.record.state)] = int(states.get(str(agent.record.state), 0)) + 1  # type: ignore[call-overload]
        return Map(
            {
                "name": self._node,
                "key": self._key.text,
                "version": self._version,
                "agents": Map(states),
                "streams": len(self._agents.streams.names()),
            }
        )

    async def node_journeys(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Show what the last journeys of agents from here and to here took, stage by stage."""
        self._allow(session, Verb.QUERY, self._node)
        agent = fields.data("agent", b"")  # empty for all
        return tuple(
            (mark.agent, mark.epoch, mark.stage.value, mark.at_ns)
            for mark in self._migration.journeys
            if not agent or mark.agent == agent
        )

    # -- streams --

    async def stream_list(self, session: Session, fields: Fields, send: SendItem) -> object:
        """List the streams that the tokens let one read."""
        readable = {
            name: paid.only
            for name in sorted(self._agents.streams.names())
            if (paid := self._readable(session, name)) is not None
        }
        whole = all(only is None for only in readable.values())

        def rows() -> tuple[Map, ...]:
            return tuple(self._stream_row(name, only) for name, only in readable.items())

        return rows() if whole else await trio.to_thread.run_sync(rows)

    def _readable(self, session: Session, name: str) -> Paid | None:
        resource = f"{self._node}/{name}"
        return self._authority.permitted(session.tokens, Verb.READ, resource)

    def _stream_row(self, name: str, only: AttributeFilter | None) -> Map:
        """Return how large a stream is; to who may see a part of it, how large that is."""
        stream = self._agents.streams.get(name)
        stats = stream.stats()
        return Map(
            {
                "name": f"{self._node}/{name}",
                "t": stream.t,
                "datoms": stats.datoms if only is None else len(stream.db().only(only).history()),
                "transactions": stats.transactions,
                "bytes": stats.bytes if only is None else None,
            }
        )

    async def stream_transact(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Append transaction data to a stream."""
        name = self._effects.check_stream(fields.text("stream"))
        if name in SYSTEM_STREAMS:
            raise RequestInvalid(f"stream {name!r} is written by the node alone")
        tx_data = fields.items("data")
        resource, reports = f"{self._node}/{name}", []
        needs = Needs.of(tx_data, sized=self._bytes_counted(session))

        async def append(named: frozenset[str]) -> None:
            allowed = [self._allow(session, verb, resource, named) for verb in sorted(needs.more)]
            paid = self._allow(session, Verb.APPEND, resource, named, needs.cost)
            only = narrowest((*allowed, paid))
            check = partial(needs.check, counted=Resource.ROWS in paid.cost)

            def stage(batch: Batch) -> None:
                stream = self._agents.streams.open(name)
                report = batch.transact(stream, tx_data, only=only, check=check)
                reports.append(Map({"t": report.t, "datoms": len(report.datoms)}))

            try:
                await self._agents.write(stage)
            except BaseException as error:
                self._authority.refund(paid, None)
                if isinstance(error, TransactionError) and not self._may_see(session, name, only):
                    raise hidden(error) from error
                raise

        async def write(named: frozenset[str]) -> None:
            nonlocal needs
            while True:
                begun = len(own_decisions())
                try:
                    return await append(named)
                except NeedsMore as found:
                    needs = found.needs
                    forget_since(begun)

        await self._naming(session, Verb.APPEND, name, write)
        return reports[0]

    def _may_see(self, session: Session, stream: str, only: AttributeFilter | None) -> bool:
        """Return whether values of what somebody may write may be told in errors, where they cost nothing."""
        if self._counts(session, Resource.ROWS) or self._counts(session, Resource.BYTES):
            return False
        return self._authority.may_see(session.tokens, f"{self._node}/{stream}", only)

    async def stream_restore(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Append transactions as another log has them: number, instant, ids and all."""
        name = self._effects.check_stream(fields.text("stream"))
        if name in SYSTEM_STREAMS:
            raise RequestInvalid(f"stream {name!r} is written by the node alone")
        items = fields.items("transactions")
        given = [transaction_of(item) for item in items]
        cost = cost_of_rows(
            sum(len(rows) for _, _, rows in given), items, sized=self._bytes_counted(session)
        )
        first, *others = EVERY_RIGHT
        for verb in others:
            self._allow(session, verb, f"{self._node}/{name}")
        paid = self._allow(session, first, f"{self._node}/{name}", cost=cost)
        t = 0

        def stage(batch: Batch) -> None:
            nonlocal t
            for transaction in given:
                t = batch.restore(self._agents.streams.open(name), *transaction).t

        try:
            await self._agents.write(stage)
        except BaseException:
            self._authority.refund(paid, None)
            raise
        return Map({"t": t, "datoms": sum(len(rows) for _, _, rows in given)})

    async def stream_log(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Send the records of a stream's transactions after one; with `follow`, those to come as well."""
        follow = bool(fields.get("follow", bool, default=False))
        more = (Verb.HISTORY, Verb.SUBSCRIBE) if follow else (Verb.HISTORY,)
        stream, only = await self._read_stream(session, fields, NO_ATTRIBUTES, *more)
        after = fields.number("from", 0) or 0
        resource = f"{self._node}/{stream.name}"
        ongoing = self._ongoing(session, resource, (Verb.READ, *more), only, NO_ATTRIBUTES)
        t = await send_log(
            stream,
            after,
            only,
            follow=follow,
            counted=self._counts(session, Resource.ROWS),
            pay=ongoing.pay,
            send=ongoing.sending(send),
        )
        return Map({"t": t})

    async def _read_stream(
        self, session: Session, fields: Fields, named: frozenset[str], *more: Verb
    ) -> tuple[Stream, AttributeFilter | None]:
        """Return a stream that may be read, and which attributes of it; None for all."""
        name = self._effects.check_stream(fields.text("stream"))
        resource = f"{self._node}/{name}"
        paid = [self._allow(session, verb, resource, named) for verb in (Verb.READ, *more)]
        if not self._agents.streams.exists(name):
            raise RequestInvalid(f"node {self._node} has no stream {name!r}")
        if name == AUDIT_STREAM:
            await self._agents.decided()
        return self._agents.streams.get(name), narrowest(paid)

    async def query(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Answer a Datalog query over one stream, or say what each of its clauses does."""
        history = bool(fields.get("history", bool, default=False))
        view = View(fields.number("as_of", None), fields.number("since", None), history)
        name, text = self._effects.check_stream(fields.text("stream")), fields.text("query")
        work = explained if fields.get("explain", bool, default=False) else answered
        inputs = fields.items("inputs", ())
        more = (Verb.HISTORY,) if history or view.as_of is not None else ()

        async def ask(named: frozenset[str]) -> tuple[object, int, AttributeFilter | None]:
            stream, only = await self._read_stream(session, fields, named, *more)

            def answer() -> tuple[object, int]:
                seen = view.of(stream.db(), only)
                return work(text, seen, inputs), seen.basis_t

            return *(await trio.to_thread.run_sync(answer)), only

        with self._without_values(session):
            (answer, basis, only), named = await self._naming(session, Verb.READ, name, ask)
        self._authority.charge(
            session.tokens,
            Verb.READ,
            f"{self._node}/{name}",
            who=session.peer.text,
            cost=cost_of_answer(answer, sized=self._bytes_counted(session)),
            attributes=named,
            only=only,
        )
        return Map({"value": answer, "t": basis})

    async def query_follow(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Send a query's answers, then what each transaction adds to them and takes away."""
        text, inputs = fields.text("query"), fields.items("inputs", ())
        name = self._effects.check_stream(fields.text("stream"))

        async def ask(named: frozenset[str]) -> None:
            stream, only = await self._read_stream(session, fields, named, Verb.SUBSCRIBE)
            verbs = (Verb.READ, Verb.SUBSCRIBE)
            ongoing = self._ongoing(session, f"{self._node}/{name}", verbs, only, named)
            send_allowed = ongoing.sending(send)

            async def send_paid(change: Map) -> None:
                await ongoing.pay([cost_of_change(change, sized=self._bytes_counted(session))])
                await send_allowed(change)

            await send_changes(stream, only, text, inputs, send_paid)

        with self._without_values(session):
            await self._naming(session, Verb.SUBSCRIBE, name, ask)
        return Map()

    # -- code --

    async def code_have(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Say whether a program is known here, so that it need not be sent."""
        return self._code.knows(fields.data("hash"))

    async def code_put(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Take a program in: check its hash, compile it, keep its datoms."""
        self._allow(session, Verb.SPAWN, self._node)
        program = Program.from_bytes(fields.data("program"))
        await self._code.admit(program, self._agents.write)
        return Map({"hash": program.hash})

    async def code_get(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Give a program to a member of the cluster: code is named by its hash, not secret."""
        program = self._code.find(fields.data("hash"))
        if program is None:
            raise RequestInvalid("this node does not know that program")
        data = program.to_bytes()
        self._migration.note_code(session.peer, program.hash, len(data))
        return Map({"program": data})

    # -- agents --

    async def spawn(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Make an agent of a known program and let it run."""
        self._allow(session, Verb.SPAWN, self._node)
        if len(self._agents) >= AGENT_COUNT_MAX:
            raise RequestInvalid(f"this node already has {AGENT_COUNT_MAX} agents")
        agent = self._new_agent(session, fields)
        arguments = fields.get("arguments", Map, Map({}))
        if fields.get("paused", bool, False):
            agent.become(State.PAUSED, self._clock.now_ms(), "spawned paused")
        with self._agents.claimed(agent.record.id):
            await self._admitted(session, "spawn", self._admission.beginning, agent)
            paid = self._authority.charge(
                session.tokens, Verb.SPAWN, self._node, who=session.peer.text, cost=ONE_CHILD
            )
            try:
                with self._authority.attempt(agent):
                    self._authority.endow(agent)
                    await self._begin(agent, arguments)
            except BaseException:
                self._authority.refund(paid, None)
                raise
        if agent.record.state is State.READY:
            self._scheduler.ready(agent)
        return Map({"id": agent.record.id})

    async def _begin(self, agent: Agent, arguments: object) -> None:
        agent.machine = await self._machine_of(agent.record, arguments)
        if self._migration.knows_of(agent.record.id):  # by its bearer it has begun here already
            raise AgentState(f"agent {agent.text_id} is offered by another node")
        with self._agents.beginning(agent):
            await self._agents.commit(agent)

    def _new_agent(self, session: Session, fields: Fields) -> Agent:
        """Return the agent that a request describes, its tokens verified."""
        program, nonce = fields.data("program"), fields.data("nonce")
        tokens = fields.items("tokens", ())
        if len(tokens) > TOKENS_PER_AGENT_MAX:
            raise RequestInvalid(f"{len(tokens)} tokens; at most {TOKENS_PER_AGENT_MAX}")
        if not self._code.knows(program):
            raise RequestInvalid("this node does not know that program")
        identity = agent_id(session.peer, program, nonce, self._authority.origin)
        verified = [self._verify_for(identity, token) for token in tokens]
        most = self._limits.memory_max
        record = AgentRecord(
            id=identity,
            name=fields.text("name", "agent"),
            owner=session.peer.bytes,
            home=self._node,
            program=program,
            nonce=nonce,
            created_ms=self._clock.now_ms(),
            memory_max=min(fields.number("memory_max", None) or most, most),
            fuel_max=fields.number("fuel_max", None),
            since_ms=self._clock.now_ms(),
            tokens=[bytes(token) for token in tokens],  # type: ignore[call-overload]  # they were verified
            session=bool(fields.get("session", bool, False)),
            home_key=self._authority.origin.bytes,
        )
        return Agent(record, None, verified)

    async def _machine_of(self, record: AgentRecord, arguments: object) -> Machine:
        """Return the machine of an agent that begins, made in a thread."""
        return await trio.to_thread.run_sync(
            partial(
                self._code.machine_of,
                record.program,
                "compiled" if record.session else self._limits.mode,
                memory_max=record.memory_max,
                fuel_max=record.fuel_max,
                globals={"*args*": arguments},
                hash_key=record.id,
            )
        )

    async def _admitted(
        self,
        session: Session,
        verb: str,
        ask: Callable[[Bearer], Awaitable[None]],
        agent: Agent,
    ) -> None:
        """Return if the node's policies let an agent do something. Raises AdmissionRefused."""
        try:
            await ask(Bearer(agent.record.id, agent.record, agent.tokens, session.peer))
        except AdmissionRefused as refusal:
            self._authority.refuse(session.peer.text, verb, self._node, str(refusal))
            raise

    def _agent(self, session: Session, fields: Fields, verb: Verb) -> Agent:
        self._allow(session, verb, self._node)
        return self._agents.find(fields.text("id"))

    async def agent_list(self, session: Session, fields: Fields, send: SendItem) -> object:
        """List the agents of this node."""
        self._allow(session, Verb.QUERY, self._node)
        return tuple(summary(agent) for agent in self._agents)

    async def agent_show(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Show one agent with its frames and locals."""
        agent = self._agent(session, fields, Verb.QUERY)
        await self._agents.write_decisions_of(agent)  # its locals show what it has read
        frames = () if agent.ended else await self._frames(agent)
        record = agent.record
        programs: tuple[bytes, ...] = (record.program,)
        if isinstance(agent.machine, Machine) and not agent.running:
            programs = tuple(code.program_hash for code in agent.machine.units())
        details = Map(
            {
                "frames": frames,
                "log": tuple(record.log),
                "fault": record.fault,
                "fault_data": _fault(record.fault_data),
                "tokens": tuple(token.ids[-1] for token in map(Token.from_bytes, record.tokens)),
                "memory_max": record.memory_max,
                "program": record.program,
                "programs": programs,
            }
        )
        return Map([*summary(agent).items(), *details.items()])

    async def _frames(self, agent: Agent) -> tuple[Map, ...]:
        """Return where an agent stands between two turns, or where it waits; nothing when its turn does not end soon."""
        with suppress(*UNSHOWN):
            with trio.move_on_after(SHOW_S), suppress(AgentState):
                async with self._scheduler.between_turns(agent):
                    self._agents.load(agent)
                    assert agent.machine is not None, agent.text_id
                    return _views(agent.machine)
            if agent.record.state is State.WAITING:
                return await trio.to_thread.run_sync(self._saved_frames, agent.record)
        return ()

    def _saved_frames(self, record: AgentRecord) -> tuple[Map, ...]:
        """Return where an agent waits, by its image: its machine may be answered, or written, at any time."""
        restored = self._code.restore(
            record.image, memory_max=record.memory_max, fuel_max=record.fuel_max
        )
        return _views(restored)

    async def agent_wait(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Answer when the agent has ended, moved on, or been paused; or after `timeout_ms`."""
        timeout_ms = fields.number("timeout_ms", None)
        agent = self._agent(session, fields, Verb.QUERY)
        with trio.move_on_after(math.inf if timeout_ms is None else timeout_ms / 1000):
            await wait_settled(agent)
        if agent.settling:  # which is told only once it lasts
            await wait_settled(agent)
        self._ongoing(session, self._node, (Verb.QUERY,)).check()
        return outcome(agent)

    async def agent_follow(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Send the agent's log lines, numbered from one, and changes of state until it settles here.

        A follower that is slow gets what the agent still keeps, and sees by the numbers what it has missed.
        """
        agent = self._agent(session, fields, Verb.QUERY)
        ongoing = self._ongoing(session, self._node, (Verb.QUERY,))
        send_allowed = ongoing.sending(send)
        seen = fields.number("seen", 0) or 0
        news: list[dict[str, object]] = []
        arrived = trio.Event()

        def watch(event: dict[str, object]) -> None:
            if event["kind"] != "log" and len(news) < FOLLOW_BUFFER:
                news.append(event)
            arrived.set()

        agent.watchers.add(watch)
        try:
            while True:
                arrived = trio.Event()
                seen = await _send_lines(agent.record, seen, send_allowed)
                while news:
                    await send_allowed(
                        Map({key: _plain(value) for key, value in news.pop(0).items()})
                    )
                if arrived.is_set():
                    continue
                if agent.settled:
                    ongoing.check()
                    return outcome(agent)
                await arrived.wait()
        finally:
            agent.watchers.discard(watch)

    async def agent_pause(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Stop an agent at the end of its slice, its state kept."""
        agent = self._agent(session, fields, Verb.SPAWN)
        return await self._stop(agent, State.PAUSED, fields.text("reason", "paused by a person"))

    async def agent_kill(self, session: Session, fields: Fields, send: SendItem) -> object:
        """End an agent for good."""
        agent = self._agent(session, fields, Verb.SPAWN)
        return await self._stop(agent, State.KILLED, fields.text("reason", "killed by a person"))

    async def _stop(self, agent: Agent, state: State, reason: str) -> Map:
        record = agent.record
        if agent.settling:  # what is said of it is to last
            await wait_settled(agent)
        if agent.ended:
            raise AgentState(f"agent {agent.text_id} is {record.state} already")
        if state is State.PAUSED and self._migration.moves.has(agent):
            raise AgentState(f"agent {agent.text_id} is being moved, and goes on afterwards")
        if record.state is State.PAUSED:
            if state is State.KILLED:
                await self._kill_paused(agent, reason)
            return summary(agent)
        if record.state is State.WAITING and agent.wake is None:
            raise AgentState(f"agent {agent.text_id} is on its way: {record.reason}")
        agent.ask_to_stop(state, reason)
        await wait_settled(agent)
        return summary(agent)

    async def _kill_paused(self, agent: Agent, reason: str) -> None:
        async with self._scheduler.between_turns(agent):
            if agent.record.state is State.PAUSED:
                await self._agents.end(agent, State.KILLED, reason)
                return
        agent.ask_to_stop(State.KILLED, reason)  # somebody has let it go on meanwhile
        await wait_settled(agent)

    async def agent_resume(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Let a paused agent go on, with the tokens given in addition to its own; it may compute `fuel` more, if that is said."""
        agent = self._agent(session, fields, Verb.SPAWN)
        fuel = fields.number("fuel", None)
        if agent.record.state is not State.PAUSED:
            raise AgentState(f"agent {agent.text_id} is {agent.record.state}, not paused")
        tokens = fields.items("tokens", ())
        given = [self._verify_for(agent.record.id, token) for token in tokens]
        async with self._giving.permitted(agent, given, who=session.peer.text):
            return await self._resumed(agent, given, tokens, fuel)

    async def _resumed(
        self, agent: Agent, given: list[Handle], tokens: tuple[object, ...], fuel: int | None
    ) -> object:
        if agent.record.state is not State.PAUSED:  # others were at work meanwhile
            raise AgentState(f"agent {agent.text_id} is {agent.record.state}, not paused")
        if len(tokens) + len(agent.tokens) > TOKENS_PER_AGENT_MAX:
            raise RequestInvalid(f"an agent holds at most {TOKENS_PER_AGENT_MAX} tokens")
        self._agents.load(agent)
        if fuel is not None:
            self._agents.limit_fuel(agent, fuel)
        self._check_has_fuel(agent)
        with self._authority.attempt(agent):
            self._authority.let_go_on(agent, given)
            agent.tokens += given
            agent.record.tokens += [bytes(token) for token in tokens]  # type: ignore[call-overload]
            await self._agents.wake(agent, given=bool(given))
        self._scheduler.ready(agent)
        return summary(agent)

    def _check_has_fuel(self, agent: Agent) -> None:
        record = agent.record
        if record.fuel_max is not None and record.fuel_used >= record.fuel_max:
            raise AgentState(
                f"agent {agent.text_id} has used its limit of {record.fuel_max} fuel up: it goes on with a new one"
            )

    async def agent_enter(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Let a session run its next unit; what it still did is given up. Only its owner may: the unit gets its tokens."""
        agent = self._agent(session, fields, Verb.SPAWN)
        self._check_may_enter(session, agent)
        program = Program.from_bytes(fields.data("program"))
        await self._code.admit(program, self._agents.write)
        async with self._scheduler.between_turns(agent):
            return await self._entered(session, agent, program)

    async def _entered(self, session: Session, agent: Agent, program: Program) -> object:
        self._check_may_enter(session, agent)  # others were at work meanwhile
        self._agents.load(agent)
        record, machine = agent.record, agent.machine
        assert machine is not None, agent.text_id
        enters = partial(self._admission.entering, machine, program.hash)
        await self._admitted(session, "enter", enters, agent)
        try:
            self._code.enter(machine, program.hash)
        except MachineError as error:
            raise RequestInvalid(f"the session cannot go on: {error}") from error
        record.result = record.fault = record.fault_data = None
        record.wake_ms = agent.requested = None  # what concerned the unit before
        try:
            await self._agents.wake(agent)
        except BaseException:
            agent.machine = None  # the image is of before
            raise
        self._scheduler.ready(agent)
        return summary(agent)

    def _check_may_enter(self, session: Session, agent: Agent) -> None:
        record = agent.record
        origin = self._authority.origin_of
        if origin(PublicKey(record.owner)) != origin(session.peer):
            reason = "only the owner of a session enters code into it"
            self._authority.refuse(session.peer.text, "enter", agent.text_id, reason)
            raise Denied(reason, right=f"enter {agent.text_id}")
        if not record.session:
            raise AgentState(f"agent {agent.text_id} is no session")
        if record.state is not State.PAUSED:
            raise AgentState(
                f"agent {agent.text_id} is {record.state}, it does not wait for an entry"
            )

    async def agent_migrate(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Move an agent that did not ask for it."""
        agent = self._agent(session, fields, Verb.SPAWN)
        target = fields.text("node")
        self._allow(session, Verb.MIGRATE, target)
        await self._migration.move(agent, target)
        return summary(agent)

    async def agent_reclaim(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Take back an agent that waits for a node which is gone for good. There may be two of it then.

        With `tokens` it gets these in place of its own, which are no good for travelling any more.
        """
        agent = self._agent(session, fields, Verb.SPAWN)
        self._allow(session, Verb.MIGRATE, self._node)
        if not self._migration.holds(agent):
            raise AgentState(f"agent {agent.text_id} does not wait for another node")
        tokens = fields.items("tokens", ())
        if len(tokens) > TOKENS_PER_AGENT_MAX:
            raise RequestInvalid(f"an agent holds at most {TOKENS_PER_AGENT_MAX} tokens")
        given = [self._verify_for(agent.record.id, token) for token in tokens]
        await self._giving.check_taken_back(agent, given, who=session.peer.text)
        with self._authority.attempt(agent):
            self._authority.fund(agent, given)
        kept = [bytes(token) for token in tokens]  # type: ignore[call-overload]
        try:
            await self._migration.reclaim(agent, Forced(session.peer.text, given, kept))
        except AgentState:
            self._authority.estates.give_up(agent, given)
            raise
        return summary(agent)

    async def agent_hops(self, session: Session, fields: Fields, send: SendItem) -> object:
        """List the journeys of an agent that started at this node."""
        agent = self._agent(session, fields, Verb.QUERY)
        return tuple(
            Map(
                {
                    "epoch": hop.epoch,
                    "from": hop.source,
                    "to": hop.target,
                    "image_bytes": hop.image_bytes,
                    "token_bytes": hop.token_bytes,
                    "code_bytes": hop.code_bytes,
                    "elapsed_us": hop.elapsed_us,
                }
            )
            for hop in self._migration.hops_of(agent.record.id)
        )

    # -- tokens --

    async def token_revoke(self, session: Session, fields: Fields, send: SendItem) -> object:
        """Take a revocation in; it carries its own authority."""
        revocation = statement(fields.data("revocation"))
        most = REVOCATIONS_NODE_MAX
        if not self._is_node(session.peer):
            self._check_revokes(revocation, fields)
            most = REVOCATIONS_PERSON_MAX
        new, paused = await self._revocations.take([revocation], session.peer, most)
        return Map({"new": bool(new), "paused": paused})

    def _check_revokes(self, revocation: Revocation | SignerRevocation, fields: Fields) -> None:
        """Return if a statement is of use for the token that is shown, or anybody could fill the list with some about nothing."""
        chain = self._authority.verify_chain(fields.data("token"))
        if not self._authority.concerns(revocation, chain):
            raise RequestInvalid("the revocation does not concern the token")
        if isinstance(revocation, Revocation) and not revocation.ends_with(chain):
            raise RequestInvalid("the revocation does not end when its block does")


VERBS: dict[str, Verb_] = {
    "session.present": Control.present,
    "node.info": Control.node_info,
    "node.journeys": Control.node_journeys,
    "stream.list": Control.stream_list,
    "stream.transact": Control.stream_transact,
    "stream.restore": Control.stream_restore,
    "stream.log": Control.stream_log,
    "query": Control.query,
    "query.follow": Control.query_follow,
    "code.have": Control.code_have,
    "code.put": Control.code_put,
    "code.get": Control.code_get,
    "agent.spawn": Control.spawn,
    "agent.list": Control.agent_list,
    "agent.show": Control.agent_show,
    "agent.wait": Control.agent_wait,
    "agent.follow": Control.agent_follow,
    "agent.pause": Control.agent_pause,
    "agent.resume": Control.agent_resume,
    "agent.kill": Control.agent_kill,
    "agent.enter": Control.agent_enter,
    "agent.migrate": Control.agent_migrate,
    "agent.reclaim": Control.agent_reclaim,
    "agent.hops": Control.agent_hops,
    "token.revoke": Control.token_revoke,
}


async def _send_lines(record: AgentRecord, seen: int, send: SendItem) -> int:
    """Send the log's lines after so many; return how many there are now."""
    while seen < record.log_dropped + len(record.log):
        seen = max(seen, record.log_dropped) + 1
        line = record.log[seen - 1 - record.log_dropped]
        await send(Map({"kind": "log", "line": line, "number": seen}))
    return seen


async def wait_settled(agent: Agent) -> None:
    """Return when the agent has ended, moved on or been paused, and that lasts."""
    if agent.settled:
        await trio.lowlevel.checkpoint()
        return
    changed = trio.Event()

    def watch(event: dict[str, object]) -> None:
        if agent.settled:
            changed.set()

    agent.watchers.add(watch)
    try:
        await changed.wait()
    finally:
        agent.watchers.discard(watch)


def summary(agent: Agent) -> Map:
    """Return what a list of agents shows."""
    record = agent.record
    machine = agent.machine
    return Map(
        {
            "id": record.id,
            "name": record.name,
            "state": str(record.state),
            "reason": record.reason,
            "since_ms": record.since_ms,
            "created_ms": record.created_ms,
            "home": record.home,
            "epoch": record.epoch,
            "hops": record.hop_count,
            "fuel_used": machine.fuel_used if machine is not None else record.fuel_used,
            "memory_used": machine.memory_used if machine is not None else 0,
            "image_bytes": len(record.image),
            "result": record.result,
            "fault": record.fault,
            "moved_to": record.moved_to,
            "travelling_to": agent.travelling_to,
            "denied_right": record.denied_right,
            "shortage": record.shortage if record.state is State.PAUSED else None,
            "log_lines": record.log_dropped + len(record.log),
            "session": record.session,
            "units": machine.code.unit_count if isinstance(machine, Machine) else 1,
        }
    )


def outcome(agent: Agent) -> Map:
    """Return the summary of an agent that somebody waited for, with what went wrong as data."""
    return Map([*summary(agent).items(), ("fault_data", _fault(agent.record.fault_data))])


def _fault(fault: FaultData | None) -> Map | None:
    if fault is None:
        return None
    rows = [{**msgspec.structs.asdict(place), "span": tuple(place.span)} for place in fault.places]
    places = tuple(Map(row) for row in rows)
    causes = tuple(Map({"message": message, "data": data}) for message, data in fault.causes)
    return Map({"message": fault.message, "data": fault.data, "places": places, "causes": causes})


def _views(machine: Machine) -> tuple[Map, ...]:
    return tuple(map(_frame, machine.frames()))


def _frame(view: object) -> Map:
    return Map(
        {
            "function": view.function,  # type: ignore[attr-defined]
            "line": view.span.line,  # type: ignore[attr-defined]
            "column": view.span.column,  # type: ignore[attr-defined]
            "locals": tuple((name, text) for name, text in view.locals),  # type: ignore[attr-defined]
        }
    )


def _plain(value: object) -> object:
    return str(value) if isinstance(value, State) else value
