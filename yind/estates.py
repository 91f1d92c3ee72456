"""What agents leave of their budgets, and whose it is then.

Is:     giving what is left to those it was taken from, here or at other nodes: when an agent ends, when other tokens take
        the place of its own, and when something comes back to where its agent is no more.
Is not: the accounts (`capabilities.budget`), nor how it comes to other nodes, and is heard there (`yind.returns`).
Fits:   `yind.authority` has one, and calls it inside of what it can undo; `yind.agents` knows who is kin to whom.

What another agent here spends from stays until the last of them ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from capabilities.budget import Amounts, Meter, limited
from capabilities.caveats import Resource
from capabilities.errors import CapabilityError
from capabilities.handles import Handle
from capabilities.keys import PublicKey
from capabilities.limits import REVOCATION_SKEW_S
from capabilities.tokens import Block, Token
from capabilities.verify import VerifiedChain
from protocol.errors import Busy
from yind.agent import Agent, ancestors_of
from yind.audit import Audit, Decision
from yind.errors import Denied

Reliance = frozenset[tuple[bytes, Resource]]  # blocks, each with what somebody spends from there
NOTHING: Reliance = frozenset()


class Return(msgspec.Struct, frozen=True):
    """What is left of a budget and goes back to the node that handed it on."""

    to: bytes  # that node's key
    by: bytes  # the key that it was handed to
    tip: bytes  # the block with which it was
    token: bytes
    back: dict[int, int]  # what was given back with that block in all, so far


class Kin(Protocol):
    """The agents of a node, as far as they have to do with each other's budgets."""

    def ended(self, agents: Iterable[bytes]) -> list[Agent]:
        """Return those of some agents that have ended here."""

    def is_here(self, agent: bytes) -> bool:
        """Return whether an agent is here, has not ended, and is not on its way to another node."""

    def is_gone(self, agent: bytes) -> bool:
        """Return whether an agent has ended, or gone for good, or has never been here."""

    def relied_on(self, agent: bytes, but: Agent | None) -> Reliance:
        """Return what others than one rely on of those who descend from an agent."""


class Tokens(Protocol):
    """What a node knows of tokens and of those who show them."""

    def handles_of(self, agent: Agent) -> list[Handle]:
        """Return the handles of an agent's tokens. Raises CapabilityError."""

    def verify_chain(self, data: bytes) -> VerifiedChain:
        """Return the blocks of a token, whoever shows it. Raises TokenInvalid."""

    def origin_of(self, key: PublicKey) -> PublicKey:
        """Return the first key of whoever has a key now."""

    def refuse(self, who: str, verb: str, resource: str, reason: str) -> None:
        """Note a refusal."""


class Estates:
    """What is left of the budgets of one node's agents."""

    def __init__(
        self, tokens: Tokens, meter: Meter, audit: Audit, now_ms: Callable[[], int]
    ) -> None:
        self._tokens = tokens
        self._meter = meter
        self._audit = audit
        self._now_ms = now_ms
        self._coming: set[bytes] = set()  # what comes back of a budget, and is being written

    # -- leaving --

    def end(self, agent: Agent, kin: Kin) -> list[Return]:
        """Give what an agent that has ended leaves to those it was taken from; return what other nodes are to have back.

        Raises CapabilityError where its tokens are not trusted any more.
        """
        handles = self._tokens.handles_of(agent)
        for handle in handles:
            self.release(agent, handle)
        ended = kin.ended(ancestors_of(agent.record.births))
        returns = self._left_by_ended([agent, *ended], kin, agent.record.id, but=agent)
        pairs = zip(agent.record.tokens, handles, strict=True)
        return returns + self._left_by_all_ancestors(agent, pairs, kin)

    def replace(self, agent: Agent, old: Sequence[Handle], kin: Kin) -> list[Return]:
        """Do so with what some tokens of an agent have left that it does not need any more."""
        for handle in old:
            self.release(agent, handle)
        pairs = zip(agent.record.tokens, self._tokens.handles_of(agent), strict=True)
        gone = [(data, handle) for data, handle in pairs if handle in old]
        relied_on = kin.relied_on(agent.record.id, agent)
        returns = self._left_with(agent, gone, relied_on, agent.record.id)
        returns += self._left_by_all_ancestors(agent, gone, kin)
        ancestors = kin.ended(ancestors_of(agent.record.births))
        return returns + self._left_by_ended(ancestors, kin, agent.record.id)

    def release(self, agent: Agent, handle: Handle) -> None:
        """Give back what was set aside for an agent with a token."""
        own = own_block(handle.token, agent.record.id)
        self._meter.release(handle.token, own, agent.record.id)

    def give_up(self, agent: Agent, tokens: Iterable[Handle]) -> None:
        """Give back what was set aside for tokens that an agent does not get after all, whatever has become of it meanwhile."""
        for handle in tokens:
            self._meter.release(handle.token, own_block(handle.token, agent.record.id))

    def relies(self, agent: Agent) -> Reliance:
        """Return the blocks before an agent's own, each with what it spends from there, having no share of its own."""
        found: set[tuple[bytes, Resource]] = set()
        try:
            for handle in self._tokens.handles_of(agent):
                own = own_block(handle.token, agent.record.id)
                shares = (handle.token.blocks[own].caveats.budget or {}).keys()
                for resource in limited(handle.token) - shares:
                    found |= {(block.id, resource) for block in handle.token.blocks[:own]}
        except CapabilityError:  # not trusted any more
            return NOTHING
        return frozenset(found)

    def _left_by_ended(
        self, agents: Iterable[Agent], kin: Kin, payer: bytes, but: Agent | None = None
    ) -> list[Return]:
        """Take what agents that have ended leave here of budgets that came from other nodes."""
        returns: list[Return] = []
        for agent in agents:
            try:
                handles = self._tokens.handles_of(agent)
            except CapabilityError:
                continue  # not trusted any more: then nothing is theirs to give
            pairs = zip(agent.record.tokens, handles, strict=True)
            relied_on = kin.relied_on(agent.record.id, but)
            returns += self._left_with(agent, pairs, relied_on, payer)
        return returns

    def _left_with(
        self,
        agent: Agent,
        pairs: Iterable[tuple[bytes, Handle]],
        relied_on: Reliance,
        payer: bytes,
    ) -> list[Return]:
        """Take what some tokens of an agent, which does not need them any more, leave here of what came from other nodes."""
        returns: list[Return] = []
        for data, handle in pairs:
            if handle.limited:
                own = own_block(handle.token, agent.record.id)
                returns += self._returned(data, handle.token, own, payer, relied_on)
        return returns

    def _left_by_all_ancestors(
        self, agent: Agent, pairs: Iterable[tuple[bytes, Handle]], kin: Kin
    ) -> list[Return]:
        """Take what came back to tokens from which some of an agent's were made, which does not need them any more."""
        id_ = agent.record.id
        returns: list[Return] = []
        for data, handle in pairs:
            if handle.limited:
                own = own_block(handle.token, id_)
                returns += self._left_by_ancestors(data, handle.token, own, kin, id_, agent)
        return returns

    def _left_by_ancestors(
        self,
        data: bytes,
        token: VerifiedChain,
        own: int,
        kin: Kin,
        payer: bytes,
        but: Agent | None = None,
    ) -> list[Return]:
        """Take what came back to tokens from which a child's was made, of agents that are not here any more."""
        returns: list[Return] = []
        last = own
        for name in _names(token.blocks[:own]):
            first = own_block(token, name)
            given = self._meter.here(VerifiedChain(token.root, token.blocks[:last]))
            if len(given.blocks) > first and not kin.is_here(name):
                relied_on = kin.relied_on(name, but)
                if kin.is_gone(name) and not _relied(given, first, relied_on):
                    self._meter.release(given, first, payer)
                returns += self._returned(data, given, first, payer, relied_on)
            last = first
        return returns

    def _returned(
        self,
        data: bytes,
        token: VerifiedChain,
        own: int,
        payer: bytes,
        relied_on: Reliance = NOTHING,
    ) -> list[Return]:
        """Take what is left here of a budget that came from other nodes, and nobody relies on; return that it is to go back."""
        but = _relied(token, own, relied_on)
        return [
            Return(chain.blocks[-2].key.bytes, chain.holder.bytes, chain.blocks[-1].id, data, {})
            for chain in self._meter.hand_back(token, own, payer, but)
        ]

    # -- going back --

    def told(self, returns: Iterable[Return], payer: bytes) -> list[Return]:
        """Return what is to go back with what has gone in all, when what a payer gives back becomes durable."""
        return [
            msgspec.structs.replace(
                one, back={int(r): n for r, n in self._meter.given_back(one.tip, payer).items()}
            )
            for one in returns
        ]

    def is_over(self, returned: Return) -> bool:
        """Return whether what is left cannot come back: who handed the budget on forgets that block, as `Meter.forget` does."""
        blocks = Token.from_bytes(returned.token).blocks
        until_s = max((one.terms.until_s for one in blocks if one.id == returned.tip), default=0)
        return until_s < self._now_ms() // 1000 - REVOCATION_SKEW_S

    # -- coming home --

    @contextmanager
    def coming_home(self, returned: Return, peer: PublicKey, kin: Kin) -> Iterator[list[Return]]:
        """Credit what came back of a budget after its agent has ended elsewhere; once. Yields what goes further back.

        The block makes that durable, with `settle` in the same transaction; if it raises, nothing has come.

        Raises TokenInvalid, Denied to who was not given it, or Busy while the same is being written.
        """
        payer = payer_of(returned)
        if payer in self._coming:
            raise Busy("what comes back is being written")
        self._coming.add(payer)
        mark = self._meter.mark(payer)
        try:
            yield self._take_home(returned, peer, kin)
        except BaseException:
            self._meter.revert(payer, mark)
            raise
        finally:
            self._coming.discard(payer)

    def settle(self, returned: Return) -> None:
        """Let out what has come back of a budget: that becomes durable in the transaction at hand."""
        self._meter.settle(payer_of(returned))

    def _take_home(self, returned: Return, peer: PublicKey, kin: Kin) -> list[Return]:
        handed, payer = self._handed(returned, peer), payer_of(returned)
        told = {Resource(which): amount for which, amount in returned.back.items()}
        back = self._meter.credit(handed, told, payer)
        if not back:
            return []
        before = VerifiedChain(handed.root, handed.blocks[:-1])
        named = _names(before.blocks)
        own = own_block(before, named[0]) if named else len(before.blocks) - 1
        self._note(peer, handed, named[0] if named else None, back)
        self._meter.release(before, own, payer)
        returns = self._returned(returned.token, before, own, payer)
        returns += self._left_by_ancestors(returned.token, before, own, kin, payer)
        return returns + self._left_by_ended(kin.ended(named), kin, payer)

    def _handed(self, returned: Return, peer: PublicKey) -> VerifiedChain:
        """Return the token up to the block with which this node handed it to who returns it. Raises as `coming_home`."""
        origin = self._tokens.origin_of
        try:
            chain = self._tokens.verify_chain(returned.token)
            index = next((i for i, one in enumerate(chain.blocks) if one.id == returned.tip), 0)
            handed = VerifiedChain(chain.root, chain.blocks[: index + 1])
            if not self._meter.was_sent(handed) or origin(handed.holder) != origin(peer):
                why = "a budget is returned by who was given it"
                raise Denied(why, right="return a budget")
        except (CapabilityError, Denied) as error:
            self._tokens.refuse(peer.text, "return", self._audit.node, str(error))
            raise
        return handed

    def _note(
        self, peer: PublicKey, handed: VerifiedChain, agent: bytes | None, back: Amounts
    ) -> None:
        """Note what a node has given back of a budget, with the block that it went away with."""
        whose = "" if agent is None else agent.hex()
        amounts = ", ".join(f"{which.name.lower()}={back[which]}" for which in sorted(back))
        id_ = handed.blocks[-1].id
        self._audit.note(Decision(peer.text, "return", whose, True, amounts, id_, self._now_ms()))


def own_block(token: VerifiedChain, agent: bytes) -> int:
    """Return the index of the block of a token that names an agent first; of the last one if none does."""
    named = (i for i, block in enumerate(token.blocks) if block.caveats.agent == agent)
    return next(named, len(token.blocks) - 1)


def grant_of(token: VerifiedChain, agent: bytes) -> VerifiedChain:
    """Return the token from which an agent was given its own."""
    return VerifiedChain(token.root, token.blocks[: own_block(token, agent)])


def payer_of(returned: Return) -> bytes:
    """Return who pays for what comes back of a budget."""
    return b"return" + returned.tip


def _relied(token: VerifiedChain, own: int, on: Reliance) -> frozenset[Resource]:
    """Return what somebody spends from the blocks after a token's own."""
    later = {block.id for block in token.blocks[own + 1 :]}
    return frozenset(resource for block, resource in on if block in later)


def _names(blocks: Iterable[Block]) -> list[bytes]:
    """Return the agents that blocks name, the latest first."""
    named = (one.caveats.agent for one in blocks if one.caveats.agent is not None)
    return list(dict.fromkeys(named))[::-1]
