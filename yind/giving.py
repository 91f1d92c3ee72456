"""Whether an agent that is here may have tokens that somebody gives it: the policies that asked at its arrival are asked again.

Is:     the question with all tokens that the agent would have, while it stands still; a refusal is audited, and nothing is given.
Is not: whether the giver may (`yind.control`, `yind.granting`), nor what policies say (`yind.admission`).
Fits:   around whatever gives an agent tokens: `agent.resume`, `agent.renew`, `agent.reclaim`, grants of people and of rules.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from capabilities.handles import Handle
from capabilities.keys import PublicKey
from yind.admission import Admission, Bearer
from yind.agent import Agent
from yind.agents import Agents
from yind.authority import Authority
from yind.cesk import Machine
from yind.code import CodeLibrary
from yind.errors import AdmissionRefused
from yind.scheduler import Scheduler


class Giving:
    """What agents of one node may be given."""

    def __init__(
        self,
        *,
        node: str,
        agents: Agents,
        authority: Authority,
        admission: Admission,
        code: CodeLibrary,
        scheduler: Scheduler,
    ) -> None:
        self._node = node
        self._agents = agents
        self._authority = authority
        self._admission = admission
        self._code = code
        self._scheduler = scheduler

    @asynccontextmanager
    async def permitted(
        self, agent: Agent, given: Sequence[Handle], *, who: str, old: Sequence[bytes] = ()
    ) -> AsyncIterator[None]:
        """Let an agent be given tokens in a block, in which it gets no turn; `old` are the tips of those it loses.

        Raises AdmissionRefused, or AgentState when the agent has ended or waits by then; then the block is not entered.
        """
        async with self._scheduler.between_turns(agent):
            if given and self._admission.reads_tokens:
                await trio.to_thread.run_sync(self._agents.load, agent)
                assert agent.machine is not None, agent.text_id
                kept = [handle for handle in agent.tokens if handle.tip not in old]
                await self.check(agent, agent.machine, [*kept, *given], who=who)
            yield

    async def check_taken_back(self, agent: Agent, given: Sequence[Handle], *, who: str) -> None:
        """Return if an agent that waits for another node may go on here with other tokens. Raises AdmissionRefused."""
        if given and self._admission.reads_tokens:
            record = (
                agent.record
            )  # its image is that of the machine, which may be answered at any time
            machine = await trio.to_thread.run_sync(
                lambda: self._code.restore(
                    record.image, memory_max=record.memory_max, fuel_max=record.fuel_max
                )
            )
            await self.check(agent, machine, given, who=who)

    async def check_own(self, agent: Agent, machine: Machine, tokens: Sequence[Handle]) -> None:
        """Return if an agent, in its own turn, may have just these tokens. Raises AdmissionRefused."""
        if self._admission.reads_tokens:
            await self.check(agent, machine, tokens, who=agent.text_id)

    async def check(
        self, agent: Agent, machine: Machine, tokens: Sequence[Handle], *, who: str
    ) -> None:
        """Return if the policies let an agent, which stands still, have just these tokens. Raises AdmissionRefused."""
        record = agent.record
        sender = self._authority.giver(agent) or PublicKey(record.owner)
        try:
            await self._admission.giving(machine, Bearer(record.id, record, tokens, sender))
        except AdmissionRefused as refusal:
            reason = f"tokens for agent {agent.text_id}: {refusal}"
            self._authority.refuse(who, "give", self._node, reason)
            raise
