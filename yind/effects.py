"""What an agent may ask of its node, each request checked against its tokens.

Is:     one function per EFFECT row of `yang.primitives`; a test compares the two lists.
Is not: how a refusal is decided (`yind.authority`) or how an agent travels (`yind.migrate`).
Fits:   `yind.scheduler` calls `perform` when a slice ends in an effect. The function answers the machine
        (`resume`) or raises: Denied pauses the agent, EffectInvalid is thrown into it.

Effects that take long (`sleep`, `hop!`) run beside the scheduler. `transact!` is a commit point: the datoms, the
agent's next image and the decision that allowed them become durable together or not at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TypeVar

import trio

from capabilities.caveats import Resource, Verb
from capabilities.keys import PublicKey
from capabilities.patterns import AttributeFilter
from datomstore.batch import Batch
from datomstore.database import Database
from datomstore.datalog import Budget, q
from datomstore.datalog.errors import BudgetExceeded, QueryError
from datomstore.errors import AttributeForbidden, DatomstoreError
from datomstore.intern import watch, watched
from datomstore.storage import StorageError
from datomstore.transaction import TxReport
from datomstore.value import Keyword, Map
from protocol.errors import LocalFault
from yang.errors import EvaluationRefused
from yang.evaluation import Asked
from yang.program import Program
from yind.admission import Admission, Bearer
from yind.agent import Agent, State
from yind.agents import Agents, log_line
from yind.appends import TX_AGENT, TX_PROGRAM, Needs, NeedsMore
from yind.audit import AUDIT_STREAM, Behalf, forget_since, own_decisions
from yind.authority import NO_ATTRIBUTES, Authority, narrowest
from yind.cesk import Machine, ValueInvalid
from yind.clock import Clock
from yind.code import CodeLibrary
from yind.costs import Cost, QueryFuel, cost_of_answer, parts_of
from yind.errors import AdmissionRefused, EffectInvalid, FuelSpent
from yind.glimpses import shown
from yind.limits import (
    ANSWER_PART_BYTES,
    ASK_FUEL,
    EFFECT_FUEL_PART,
    EFFECT_PART_BYTES,
    EFFECT_PARTS_FREE,
    EFFECT_PARTS_MAX,
    LOG_LINE_BYTES_MAX,
    QUERY_ROWS_MAX,
    QUERY_SECONDS_MAX,
    SESSION_TEXT_BYTES_MAX,
    SLEEP_MS_MAX,
    STREAM_NAME_PATTERN,
    SYSTEM_STREAMS,
)
from yind.offspring import Offspring
from yind.requests import Requests

_COMPILE = Keyword("compile")  # the kind of fault of code that cannot be compiled
_STREAM_NAME = re.compile(STREAM_NAME_PATTERN)
T = TypeVar("T")

_QUICK = frozenset({"here", "nodes", "now", "rand"})

NOT_ANSWERED = object()

Handler = Callable[[Agent, Machine, tuple[object, ...]], Awaitable[None]]
Migrate = Callable[[Agent, Machine, str], Awaitable[None]]


class Effects:
    """The effects of one node."""

    def __init__(
        self,
        agents: Agents,
        authority: Authority,
        code: CodeLibrary,
        clock: Clock,
        *,
        node: str,
        node_names: Callable[[], tuple[str, ...]],
        migrate: Migrate,
        admission: Admission,
        arrived: Callable[[Agent], None],
        requests: Requests,
        offspring: Offspring,
    ) -> None:
        self._agents = agents
        self._authority = authority
        self._code = code
        self._clock = clock
        self._node = node
        self._node_names = node_names
        self._migrate = migrate
        self._admission = admission
        self._requests = requests
        self._offspring = offspring
        self._arrived = arrived
        self._compilers = trio.CapacityLimiter(1)  # compiling holds the interpreter
        self._queries = trio.CapacityLimiter(
            os.cpu_count() or 1
        )  # more would multiply their memory
        self._handlers: dict[str, Handler] = {
            "q": self._q,
            "transact!": self._transact,
            "hop!": self._hop,
            "here": self._here,
            "nodes": self._nodes,
            "streams": self._streams,
            "now": self._now,
            "rand": self._rand,
            "sleep": self._sleep,
            "log!": self._log,
            "compile*": self._compile,
            "request-token": self._request_token,
            "fork!": self._fork,
            "finish!": self._finish,
        }

    @property
    def names(self) -> frozenset[str]:
        """Return the names of all effects."""
        return frozenset(self._handlers)

    def is_long(self, name: str) -> bool:
        """Return whether the effect may take longer than a turn of the scheduler should."""
        return name in ("sleep", "hop!")

    def is_quick(self, machine: Machine) -> bool:
        """Return whether the effect that a machine waits for is answered without waiting for anything; converts none of it."""
        name = machine.effect_name
        return name in _QUICK or (name == "hop!" and machine.asks_for(name, self._node))

    async def perform(self, agent: Agent, machine: Machine) -> None:
        """Answer the machine's effect. Raises Denied, FuelSpent, EffectInvalid or HopRefused."""
        name = machine.effect_name
        if agent.requested is not None and self.is_long(name):
            return  # it is to stop, which comes first: what it waits for is asked again
        arguments = self._arguments(agent, machine)
        with Behalf(name, agent.decisions):
            await self._handlers[name](agent, machine, arguments)

    def _arguments(self, agent: Agent, machine: Machine) -> tuple[object, ...]:
        """Return what an effect is given, which its agent has paid for. Raises Denied, FuelSpent or EffectInvalid.

        What shares its parts in a machine shares nothing outside, so a few bytes of an agent may be ever so many here: they
        are counted before they are made, and count as its memory.
        """
        parts = machine.effect_parts(EFFECT_PARTS_MAX)
        if parts > EFFECT_PARTS_FREE:
            _check_parts(machine, parts)
            self._take_fuel(agent, machine, EFFECT_FUEL_PART * parts)
        try:
            return machine.effect[1]
        except ValueInvalid as error:
            raise EffectInvalid(f"{machine.effect_name}: {error}") from error

    def pay_for_result(self, agent: Agent, machine: Machine) -> bool:
        """Return whether what an agent comes to is so much that its text is made aside; it is paid for then.

        Raises Denied or FuelSpent.
        """
        parts = machine.result_parts(EFFECT_PARTS_MAX)
        if parts > EFFECT_PARTS_FREE:
            self._take_fuel(agent, machine, EFFECT_FUEL_PART * parts)
        return parts > EFFECT_PARTS_FREE

    # -- data --

    async def _q(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        query, inputs = arguments[0], arguments[1:]
        sources = _source_positions(query)
        named: dict[str, frozenset[str]] = {}  # by stream, attributes that the query names
        answer: object = NOT_ANSWERED
        is_much = False
        if AUDIT_STREAM in inputs:
            await self._agents.decided()
        while answer is NOT_ANSWERED:
            begun = len(own_decisions())
            private = self._check_private(
                agent, query, [inputs[place] for place in sorted(sources) if place < len(inputs)]
            )
            prepared = [
                self._source(agent, value, named) if position in sources else value
                for position, value in enumerate(inputs)
            ]
            try:
                answer, is_much = await trio.to_thread.run_sync(
                    _answered,
                    query,
                    prepared,
                    agent,
                    machine,
                    QueryFuel(partial(self._take_fuel, agent, machine)),
                    limiter=self._queries,
                )
            except AttributeForbidden as forbidden:
                hides = (o for o in prepared if isinstance(o, Source) and o.hides(forbidden))
                stream = next(hides).stream
                named[stream] = self._authority.name(
                    named[stream],
                    forbidden,
                    Verb.READ,
                    f"{self._node}/{stream}",
                    agent.text_id,
                )
                forget_since(begun)
            except QueryError as error:
                # Its text may have values in it, which would have cost rows.
                plain = error.without_values() if _rows_counted(agent) else error
                raise EffectInvalid(f"q: {error.code if private else plain}") from error
        cost = _costs("q", cost_of_answer, answer, agent)
        for source in prepared:  # each stream's token pays for what it helped to answer
            if isinstance(source, Source):
                self._charge(agent, source, cost, named[source.stream])
        if is_much:
            await self._resume_aside(agent, machine, answer)
        else:
            machine.resume(answer)

    async def _resume_aside(self, agent: Agent, machine: Machine, answer: object) -> None:
        """Answer a machine with much, which takes long."""
        agent.computing = True
        try:
            await trio.to_thread.run_sync(machine.resume, answer, limiter=self._queries)
        finally:
            agent.computing = False

    def _take_fuel(self, agent: Agent, machine: Machine, fuel: int) -> None:
        """Take fuel for work outside of the machine. Raises Denied, or FuelSpent when the agent has not so much left."""
        self._authority.pay_fuel(agent, fuel)
        if not machine.charge(fuel):
            raise FuelSpent(f"fuel limit of {machine.fuel_max} reached")

    def _check_private(self, agent: Agent, query: object, inputs: Iterable[object]) -> bool:
        """Return whether a query reads a private stream. Raises EffectInvalid if it then asks for rows.

        Asked before anything is read, so that nothing is said to be allowed which then is not. Who may not read all the
        streams at all is told that, when it reads, and not which of them are private.
        """
        streams = [self.check_stream(value) for value in inputs if isinstance(value, str)]
        try:
            return self._admission.check_query(query, streams)
        except EffectInvalid as error:
            places = {name: f"{self._node}/{name}" for name in streams}
            if not all(
                self._authority.permits_agent(agent, Verb.READ, at) for at in places.values()
            ):
                return True
            private = next(name for name in streams if self._admission.is_private(name))
            self._authority.refuse(agent.text_id, "read", places[private], str(error))
            raise

    def _charge(self, agent: Agent, source: Source, cost: Cost, attributes: frozenset[str]) -> None:
        self._authority.charge(
            agent.tokens,
            Verb.READ,
            f"{self._node}/{source.stream}",
            who=agent.text_id,
            cost=cost,
            attributes=attributes,
            only=source.only,
        )

    def _source(self, agent: Agent, value: object, named: dict[str, frozenset[str]]) -> object:
        """Return what a `$` input names; a relation given as data stands for itself."""
        if not isinstance(value, str):
            return value
        stream = self.check_stream(value)
        attributes = named.setdefault(stream, NO_ATTRIBUTES)
        paid = self._authority.allow_agent(
            agent, Verb.READ, f"{self._node}/{stream}", attributes=attributes
        )
        if not self._agents.streams.exists(stream):
            raise EffectInvalid(f"q: node {self._node} has no stream {stream!r}")
        return Source(stream, self._agents.streams.get(stream).db(), paid.only)

    async def _transact(
        self, agent: Agent, machine: Machine, arguments: tuple[object, ...]
    ) -> None:
        name, tx_data = arguments
        stream = self.check_stream(name)
        if stream in SYSTEM_STREAMS:
            raise EffectInvalid(f"transact!: stream {stream!r} is written by the node alone")
        if not isinstance(tx_data, tuple):
            raise EffectInvalid("transact!: transaction data is a vector of maps and vectors")
        resource = f"{self._node}/{stream}"
        needs = _costs("transact!", Needs.of, tx_data, agent)
        meta = {TX_AGENT: agent.text_id, TX_PROGRAM: agent.record.program}
        named = NO_ATTRIBUTES  # attributes that turn out to be written
        while True:
            begun = len(own_decisions())
            allowed = [
                self._authority.allow_agent(agent, verb, resource, attributes=named)
                for verb in sorted(needs.more)
            ]
            paid = self._authority.allow_agent(agent, Verb.APPEND, resource, needs.cost, named)
            only = narrowest((*allowed, paid))
            check = partial(needs.check, counted=Resource.ROWS in paid.cost)
            append = partial(Batch.transact, tx_data=tx_data, meta=meta, only=only, check=check)

            def stage(batch: Batch, append: Callable[..., TxReport] = append) -> None:
                machine.resume(_told(append(batch, self._agents.streams.open(stream))))

            try:
                await self._agents.commit(agent, stage)
                return
            except NeedsMore as found:
                self._authority.refund(paid, agent.record.id)
                needs = found.needs
            except AttributeForbidden as forbidden:
                self._authority.refund(paid, agent.record.id)
                named = self._authority.name(named, forbidden, Verb.APPEND, resource, agent.text_id)
            except (StorageError, EffectInvalid):
                self._authority.refund(paid, agent.record.id)
                raise
            except DatomstoreError as error:
                self._authority.refund(paid, agent.record.id)
                told = str(error) if self._may_see(agent, stream, only) else error.code
                raise EffectInvalid(f"transact!: {told}") from error
            forget_since(begun)

    def _may_see(self, agent: Agent, stream: str, only: AttributeFilter | None) -> bool:
        """Return whether an agent may see values of what it may write: they stand in errors, where they cost nothing."""
        resource = f"{self._node}/{stream}"
        return not (self._admission.is_private(stream) or _rows_counted(agent)) and (
            self._authority.may_see(agent.tokens, resource, only)
        )

    async def _streams(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        readable = [
            name
            for name in sorted(self._agents.streams.names())
            if self._authority.permits_agent(agent, Verb.READ, f"{self._node}/{name}")
        ]
        machine.resume(tuple(readable))

    # -- rights --

    async def _request_token(
        self, agent: Agent, machine: Machine, arguments: tuple[object, ...]
    ) -> None:
        if agent.record.asked is None:  # else it has been paid for
            self._take_fuel(agent, machine, ASK_FUEL)
        await self._requests.ask(agent, machine, arguments)

    # -- children --

    async def _fork(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        await self._offspring.fork(agent, machine, arguments[0])

    async def _finish(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        await self._offspring.finish(agent, arguments[0], arguments[1] if arguments[1:] else None)

    # -- place --

    async def _hop(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        (target,) = arguments
        if not isinstance(target, str) or target not in self._node_names():
            known = ", ".join(self._node_names())
            raise EffectInvalid(f"hop!: no node {shown(target)}; the cluster has {known}")
        if target == self._node:
            machine.resume(target)
            self._arrived(agent)
            return
        self._authority.allow_agent(agent, Verb.MIGRATE, target)
        await self._migrate(agent, machine, target)

    async def _here(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        machine.resume(self._node)

    async def _nodes(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        machine.resume(self._node_names())

    # -- code --

    async def _compile(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        try:
            asked = Asked.of(arguments)
            pay = partial(self._authority.pay_fuel, agent)
            refused = agent.record.code_refused
            made = await trio.to_thread.run_sync(
                partial(self._code.make, machine, asked, pay, refused=refused),
                limiter=self._compilers,
            )
        except EvaluationRefused as error:
            place = {Keyword("line"): error.line, Keyword("column"): error.column}
            raise EffectInvalid(str(error), {Keyword("fault"): _COMPILE, **place}) from error
        if made.program is None:
            machine.resume(made.value)
            return
        await self._code.admit(made.program, self._agents.write, made.compiled)
        await self._check_made(agent, machine, made.program)
        self._code.extend(machine, made.program.hash)

    async def _check_made(self, agent: Agent, machine: Machine, program: Program) -> None:
        """Return if the node's policies let an agent run code that it made. Raises AdmissionRefused."""
        record = agent.record
        bearer = Bearer(record.id, record, agent.tokens, PublicKey(record.owner))
        try:
            await self._admission.entering(machine, program.hash, bearer)
        except AdmissionRefused as refusal:
            record.code_refused += program.size
            self._authority.refuse(agent.text_id, "eval", self._node, str(refusal))
            raise

    # -- time and chance --

    async def _now(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        machine.resume(datetime.fromtimestamp(self._clock.now_ms() / 1000, tz=UTC))

    async def _rand(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        machine.resume(self._clock.random_double())

    async def _sleep(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        (duration,) = arguments
        if isinstance(duration, bool) or not isinstance(duration, int) or duration < 0:
            raise EffectInvalid(f"sleep: {shown(duration)} is not a number of milliseconds")
        if duration > SLEEP_MS_MAX:
            raise EffectInvalid(
                f"sleep: {shown(duration)} ms is more than the limit of {SLEEP_MS_MAX}"
            )
        record = agent.record
        if record.wake_ms is None:
            record.wake_ms = self._clock.now_ms() + duration
        with trio.CancelScope() as scope:
            agent.wake = scope.cancel  # before anybody can see that it waits
            agent.become(State.WAITING, self._clock.now_ms(), "timer")
            await self._agents.commit(agent)
            await trio.sleep(max(0, record.wake_ms - self._clock.now_ms()) / 1000)
        agent.wake = None
        agent.become(State.READY, self._clock.now_ms())
        if agent.requested is None:  # a pause or kill cut the sleep short: it is asked again
            record.wake_ms = None
            machine.resume(None)

    async def _log(self, agent: Agent, machine: Machine, arguments: tuple[object, ...]) -> None:
        (line,) = arguments
        if not isinstance(line, str):
            raise EffectInvalid("log!: a line is a string")
        session = agent.record.session  # which prints what its owner wants to see
        most = SESSION_TEXT_BYTES_MAX if session else LOG_LINE_BYTES_MAX
        if len(line.encode()) > most:
            raise EffectInvalid(f"log!: the line is longer than {most} bytes")
        if agent.watchers:
            await self._agents.write_decisions_of(agent)  # what led to the line
        for piece in _pieces(line) if session else (line,):
            log_line(agent.record, piece)
            agent.notify({"kind": "log", "line": piece})
        machine.resume(None)
        await trio.lowlevel.checkpoint()  # so that followers of one who says much keep up

    def check_stream(self, name: object) -> str:
        """Return a stream's local name; "here/name" is accepted for a stream of this node."""
        if not isinstance(name, str):
            raise EffectInvalid(f"a stream is named by a string, not by {shown(name)}")
        node, slash, local = name.rpartition("/")
        if slash and node != self._node:
            raise EffectInvalid(
                f"stream {shown(name)} is not on this node ({self._node}): hop there first"
            )
        if not _STREAM_NAME.fullmatch(local):
            raise EffectInvalid(f"{shown(name)} is not a stream's name")
        return local


class Source:
    """A stream that a query reads, as far as a token lets it."""

    def __init__(self, stream: str, database: Database, only: AttributeFilter | None) -> None:
        self.stream = stream
        self.only = only
        self._whole = database

    @cached_property
    def database(self) -> Database:
        """Return the database that the query sees; making it may take long."""
        return self._whole if self.only is None else self._whole.only(self.only)

    def hides(self, forbidden: AttributeForbidden) -> bool:
        """Return whether this is where an attribute is hidden."""
        return any(shown is forbidden.by for shown in self.database.shown)


def _answered(
    query: object, inputs: list[object], agent: Agent, machine: Machine, fuel: QueryFuel
) -> tuple[object, bool]:
    """Return the answer of a query, which may take what its agent has left of fuel and memory, and whether that is much.

    Raises QueryError, AttributeForbidden, or Denied or FuelSpent.
    """
    if agent.values_kept > machine.memory_max:
        raise BudgetExceeded(f"more than {machine.memory_max} bytes of values that are kept here")
    fuel.begin((query, *inputs))
    budget = Budget(
        rows=QUERY_ROWS_MAX,
        seconds=QUERY_SECONDS_MAX,
        memory=max(0, machine.memory_max - machine.memory_used),
        pay=fuel.add,
    )
    given = [one.database if isinstance(one, Source) else one for one in inputs]
    watch()
    try:
        answer = q(query, *given, budget=budget)
        return answer, _is_much(answer, machine, fuel)
    finally:
        agent.values_kept += watched()
        fuel.settle()


def _is_much(answer: object, machine: Machine, fuel: QueryFuel) -> bool:
    """Return whether an answer takes long to put into its machine; that is paid for, since rows may share what they have.

    Raises BudgetExceeded where it would not fit, or Denied or FuelSpent.
    """
    most = max(0, machine.memory_max - machine.memory_used) // ANSWER_PART_BYTES
    parts = parts_of(answer, most)
    if parts > most and parts > EFFECT_PARTS_FREE:
        raise BudgetExceeded("the answer does not fit the agent's memory")
    if parts > EFFECT_PARTS_FREE:
        fuel.add(parts)
    return parts > EFFECT_PARTS_FREE


def _told(report: TxReport) -> Map:
    """Return what an agent hears of its transaction."""
    return Map(
        {
            Keyword("t"): report.t,
            Keyword("tx"): report.tx,
            Keyword("datoms"): len(report.datoms),
            Keyword("tempids"): Map(report.tempids),
        }
    )


def _rows_counted(agent: Agent) -> bool:
    """Return whether what an agent is shown is counted in any way."""
    counted = {Resource.ROWS, Resource.BYTES}
    return any(counted & handle.limited for handle in agent.tokens)


def _bytes_counted(agent: Agent) -> bool:
    return any(Resource.BYTES in handle.limited for handle in agent.tokens)


def _check_parts(machine: Machine, parts: int) -> None:
    """Return if an effect may be given so much. Raises EffectInvalid."""
    name = machine.effect_name
    if parts > EFFECT_PARTS_MAX:
        raise EffectInvalid(f"{name}: what it is given has more than {EFFECT_PARTS_MAX} parts")
    if machine.memory_used + EFFECT_PART_BYTES * parts > machine.memory_max:
        raise EffectInvalid(f"{name}: what it is given does not fit the agent's memory")


def _costs(name: str, cost_of: Callable[..., T], value: object, agent: Agent) -> T:
    """Return what data of an effect costs. Raises EffectInvalid: it has no bytes that could be counted."""
    try:
        return cost_of(value, sized=_bytes_counted(agent))
    except LocalFault as error:
        raise EffectInvalid(f"{name}: {error}") from error


def _source_positions(query: object) -> frozenset[int]:
    """Return which inputs of a query are databases: those whose `:in` form starts with `$`. Raises EffectInvalid."""
    if isinstance(query, Map):
        declared = query.get(Keyword("in"), ())
    elif isinstance(query, tuple):
        declared = _clause_group(query, "in")
    else:
        raise EffectInvalid("q: a query is a vector or a map")
    if not declared:
        return frozenset({0})
    if not isinstance(declared, tuple | list):
        raise EffectInvalid("q: what stands at :in is a vector")
    return frozenset(
        position
        for position, form in enumerate(declared)
        if getattr(form, "name", "").startswith("$")
    )


def _clause_group(query: tuple[object, ...], name: str) -> list[object]:
    group: list[object] = []
    inside = False
    for item in query:
        if isinstance(item, Keyword):
            inside = item.name == name
        elif inside:
            group.append(item)
    return group


def _pieces(line: str) -> list[str]:
    """Return a text in pieces that a log takes as lines."""
    size = LOG_LINE_BYTES_MAX // 4  # characters, which have at most four bytes
    return [line[start : start + size] for start in range(0, len(line), size)] or [""]
