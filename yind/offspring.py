"""Agents that agents start.

Is:     `fork!`, which makes a second agent of a running one, with a share of what its tokens have; and `finish!`.
Is not: a process of the parent: the child is an agent like any other, with tokens, a log and journeys of its own.
Fits:   `yind.effects` calls these. Parent, child and what was set aside for it become durable in one transaction.

The child begins as a copy of its parent's machine, in which `fork!` gives nil; `spawn!` of the core library is made of
the two. Every token the parent has is handed down in a block that names the child.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio

from capabilities.caveats import Caveats, Resource, Verb
from capabilities.errors import CapabilityError
from capabilities.handles import Handle
from capabilities.tokens import AGENT_NONCE_SIZE, child_id
from datomstore import edn
from datomstore.batch import Batch
from datomstore.value import Keyword, Map
from yind.agent import Agent, AgentRecord, Birth, State, ancestors_of
from yind.agents import Agents, Outcome
from yind.authority import Authority
from yind.cesk import Machine
from yind.cesk.errors import MachineError
from yind.clock import Clock
from yind.code import CodeLibrary, MemoryTooSmall
from yind.errors import Denied, EffectInvalid
from yind.glimpses import shown
from yind.limits import AGENT_COUNT_MAX, BIRTHS_MAX

ONE_CHILD = {Resource.CHILDREN: 1}
NAME_MAX = 64


class Offspring:
    """The children of one node's agents."""

    def __init__(
        self, *, node: str, agents: Agents, authority: Authority, code: CodeLibrary, clock: Clock
    ) -> None:
        self._node = node
        self._agents = agents
        self._authority = authority
        self._code = code
        self._clock = clock
        self.ready: Callable[[Agent], None] = lambda agent: None

    async def fork(self, agent: Agent, machine: Machine, wanted: object) -> None:
        """Answer `fork!` in the parent with the child's id. Raises Denied or EffectInvalid; then there is no child."""
        name, share = _wanted(wanted, agent.record.name)
        if len(self._agents) >= AGENT_COUNT_MAX:
            raise EffectInvalid(f"fork!: node {self._node} has {AGENT_COUNT_MAX} agents already")
        if len(agent.record.births) >= BIRTHS_MAX or agent.record.session:
            raise EffectInvalid(
                "fork!: a session has no children, nor has who is too many generations old"
            )
        if machine.fuel_max is not None:
            raise EffectInvalid(
                "fork!: who has a limit of fuel of its own has no children; budgets can be shared"
            )
        paid = self._authority.allow_agent(agent, Verb.SPAWN, self._node, ONE_CHILD)
        try:
            with self._authority.attempt(agent):
                self._authority.lend_memory(agent, share.get(Resource.MEM, 0))
                child = self._child(agent, machine, name, share)
                with self._authority.attempt(child):
                    self._authority.endow(child)
                    await self._begin(child, agent, machine)
        except (CapabilityError, Denied) as error:
            self._authority.refund(paid, agent.record.id)
            raise EffectInvalid(f"fork!: {error}") from error
        except BaseException:
            self._authority.refund(paid, agent.record.id)
            raise
        self.ready(child)

    async def _begin(self, child: Agent, agent: Agent, machine: Machine) -> None:
        """Make a child durable with the answer to its parent. Raises EffectInvalid or StorageError; then there is no child."""
        record, most, parent = child.record, agent.record.memory_max, machine
        try:
            child.machine = await self._copy(record.image, record.memory_max)
            if most < machine.memory_max:  # it has lent some
                parent = await self._copy(record.image, most)
        except (MachineError, MemoryTooSmall) as error:  # for what it is a copy of
            raise EffectInvalid(f"fork!: {error}") from error
        child.machine.resume(None)

        def stage(batch: Batch) -> None:
            parent.resume(record.id.hex())
            self._agents.put(batch, child)

        agent.machine = parent
        try:
            with self._agents.beginning(child):
                await self._agents.commit(agent, stage)
        except BaseException:
            if parent is not machine:
                agent.machine = machine  # which still waits for its answer
            raise

    async def _copy(self, image: bytes, memory_max: int) -> Machine:
        """Return the machine of an image. Raises MachineError or MemoryTooSmall."""
        restore = partial(self._code.restore, image, memory_max=memory_max, fuel_max=None)
        return await trio.to_thread.run_sync(restore)

    def _child(
        self, agent: Agent, machine: Machine, name: str, share: dict[Resource, int]
    ) -> Agent:
        """Return the child's record and handles. Raises CapabilityError or Denied."""
        parent = agent.record
        nonce = self._clock.random_bytes(AGENT_NONCE_SIZE)
        birth = Birth(parent.id, parent.program, nonce, self._authority.key.bytes)
        identity = child_id(parent.id, parent.program, nonce, self._authority.key)
        births = [*parent.births, birth]
        record = AgentRecord(
            id=identity,
            name=name,
            owner=parent.owner,
            home=self._node,
            program=parent.program,
            nonce=nonce,
            created_ms=self._clock.now_ms(),
            since_ms=self._clock.now_ms(),
            memory_max=parent.memory_max,
            fuel_max=None,
            image=machine.image(),
            births=births,
            home_key=birth.home,
        )
        for handle, data in zip(agent.tokens, parent.tokens, strict=True):
            budget = _part(share, handle)
            caveats = Caveats(agent=identity, budget=budget or None)
            record.tokens.append(self._authority.narrowed_own(data, caveats))
        if share:
            raise Denied(
                f"no token limits {', '.join(r.name.lower() for r in share)}", right="budget"
            )
        child = Agent(record)
        ancestors = ancestors_of(births)
        child.tokens = [self._authority.handle_own(d, identity, ancestors) for d in record.tokens]
        return child

    async def finish(self, agent: Agent, value: object, why: object) -> None:
        """End an agent with a result, or failed. Raises EffectInvalid."""
        if agent.record.session:
            raise EffectInvalid("finish!: a session ends otherwise")
        if why is not None:
            reason = why if isinstance(why, str) else shown(why)
            await self._agents.end(agent, State.FAILED, reason, Outcome(fault=reason))
            return
        try:
            result = edn.write(value)
        except (ValueError, TypeError) as error:
            raise EffectInvalid(f"finish!: the value has no text: {error}") from error
        await self._agents.end(agent, State.DONE, outcome=Outcome(result))


def _part(share: dict[Resource, int], handle: Handle) -> dict[Resource, int]:
    """Take what of a share a token limits, and return it."""
    return {resource: share.pop(resource) for resource in sorted(share.keys() & handle.limited)}


def _wanted(value: object, name: str) -> tuple[str, dict[Resource, int]]:
    """Return name and share that a map asks for. Raises EffectInvalid."""
    if not isinstance(value, Map) or not set(value) <= {Keyword("name"), Keyword("budget")}:
        raise EffectInvalid("fork!: a map with :name and :budget, or without")
    called = value.get(Keyword("name"), name)
    if not isinstance(called, str) or not 0 < len(called) <= NAME_MAX:
        raise EffectInvalid(f"fork!: a name is text of 1 to {NAME_MAX} characters")
    budget = value.get(Keyword("budget"), Map())
    if not isinstance(budget, Map):
        raise EffectInvalid("fork!: a :budget is a map")
    share: dict[Resource, int] = {}
    for key, amount in budget.items():
        resource = key.name.upper() if isinstance(key, Keyword) else ""
        known = resource in Resource.__members__
        if not known or isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
            raise EffectInvalid(f"fork!: {shown(key)} {shown(amount)} is no budget")
        share[Resource[resource]] = amount
    return called, share
