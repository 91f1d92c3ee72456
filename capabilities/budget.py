"""What is left of each budget, and how it travels, is split and comes back.

Is:     a node's accounts, one for each block that has a budget: what was spent of it here, what of it is no longer here,
        what was set aside for it here, and what went away with it to another node.
Is not: the promise of one node about another: a lying node is bounded by what each honest one lets through.
Fits:   `authorize` debits; `yind.authority` keeps the rows with the effects they pay for.

Two things bound what a chain may spend at a node. What has been *spent here* through a block, by whomever, is never more
than its budget: so a node that hands on more than it has gains nothing twice at one place. And what is *here*: a budget is
handed on, not copied.

    draw     where a token came from a person, its budget is here from its first block on
    fund     a share is set aside for a child's block, out of what the blocks before have here
    release  what a share has left goes back to those
    leave    `take` what is left; the block that hands the token on says how much, and `send` notes that it is away
    arrive   what that block says is here from now on; of blocks before it only what is spent is counted
    return   in a chain that this node had sent away once, what the last block says is credited up to what went away and
             has not come back, and set aside for that block; what goes away once more is away with the block before, too
    refused  `reclaim`: what went away is here again
    end      `hand_back`: what is left goes to who handed the token to here, the loops of its way left out. Both count what
             has gone back with a block in all, so that what is heard twice, late or not at all does no harm: `credit`

Only the blocks from the last one that something was set aside for, or that brought its budget here, are debited: those
before it have paid. Debits are made in memory at once and become durable with the state of who caused them: an agent is
the `payer` of its own, and `settle` lets them out. So a crash loses the debits of exactly the work that it undoes; so does
a write that fails (`lost`), and who knows that something has come to nothing goes back to where it began (`revert`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal, NamedTuple, TypeVar

from capabilities.canonical import array, ascending, decode, encode, octets, tuple_of, unsigned
from capabilities.caveats import HASH_SIZE, Resource
from capabilities.errors import TokenRefused
from capabilities.keys import PublicKey
from capabilities.limits import METER_ENTRIES_MAX
from capabilities.lineage import NO_LINEAGE, Lineage
from capabilities.verify import VerifiedChain

Key = TypeVar("Key")
Amounts = Mapping[Resource, int]
Kept = dict[Resource, int] | None

COUNTED = ("spent", "used", "back")  # of an account, by whoever changed it
KEPT = ("aside", "away")

SENT = "was handed on from here and has not come back"
ELSEWHERE = "is kept at another node, which has handed none of it on"


@dataclass(slots=True)
class Account:
    """One block's amounts at this node; they are kept until the block can never be used again."""

    until: int  # last second the block can hold
    spent: dict[Resource, int] = field(default_factory=dict)  # here, through this block
    used: dict[Resource, int] = field(default_factory=dict)  # spent, set aside for others, or away
    aside: dict[Resource, int] | None = None  # taken here from the blocks before it
    away: dict[Resource, int] | None = None  # went with it to another node, not seen since
    back: dict[Resource, int] = field(
        default_factory=dict
    )  # told to who handed it on, or by who got it


class _Limit(NamedTuple):
    """What one block still lets through, as far as its spent or its used amount goes."""

    place: int  # of the block in its chain
    most: int
    so_far: int
    why: str = ""  # it lets nothing through

    @property
    def left(self) -> int:
        return max(0, self.most - self.so_far)


@dataclass(slots=True)
class _Unsettled:
    """What an agent caused and its durable state does not know yet: by how much what is counted or kept is more."""

    spent: dict[tuple[bytes, Resource], int] = field(default_factory=dict)
    used: dict[tuple[bytes, Resource], int] = field(default_factory=dict)
    back: dict[tuple[bytes, Resource], int] = field(default_factory=dict)
    kept: dict[tuple[bytes, str], dict[Resource, int]] = field(default_factory=dict)
    fresh: set[tuple[bytes, str]] = field(default_factory=set)  # what was not kept before

    def join(self, later: _Unsettled) -> None:
        """Take in what the same agent has caused since."""
        for which in COUNTED:
            _add(getattr(self, which), getattr(later, which))
        for key, changes in later.kept.items():
            _add(self.kept.setdefault(key, {}), changes)
        self.fresh |= later.fresh

    def copy(self) -> _Unsettled:
        """Return the same, that does not change with it."""
        made = _Unsettled()
        made.join(self)
        return made


class Mark(NamedTuple):
    """What an agent had caused at a moment that did not last yet."""

    caused: _Unsettled


class Meter:
    """The accounts of one node.

    Args:
        node: its key; without it no block counts as signed here or handed to here, and no budget as kept here.
    """

    def __init__(self, node: PublicKey | None = None) -> None:
        self._node = node
        self._lineage = NO_LINEAGE  # a node whose key was rotated stays the same node
        self._accounts: dict[bytes, Account] = {}
        self._unsettled: dict[bytes, _Unsettled] = {}
        self._settling: list[tuple[bytes, _Unsettled]] = []  # let out by what is being written
        self._changed: set[bytes] = set()
        self._written: set[bytes] = set()  # given out by `changed`, not known to be durable
        self._lock = Lock()  # the thread that commits settles, the event loop debits

    def follow(self, lineage: Lineage) -> None:
        """Take over which keys follow which."""
        self._lineage = lineage

    # -- asking --

    def used(self, block: bytes, resource: Resource) -> int:
        """Return how much of a block's budget is not here any more: spent, away, or set aside for others."""
        account = self._accounts.get(block)
        return 0 if account is None else account.used.get(resource, 0)

    def left(self, token: VerifiedChain) -> dict[Resource, int]:
        """Return what the holder can still spend here of each resource that the chain limits."""
        with self._lock:
            return self._left(token)

    def left_of_blocks(self, token: VerifiedChain) -> list[dict[Resource, int]]:
        """Return what each block would still let through here, whatever the others do."""
        with self._lock:
            found: list[dict[Resource, int]] = [{} for _ in token.blocks]
            for resource in sorted(limited(token)):
                for limit in self._limits(token, resource):
                    left = found[limit.place].get(resource, limit.left)
                    found[limit.place][resource] = min(left, limit.left)
            return found

    def _left(self, token: VerifiedChain) -> dict[Resource, int]:
        return {
            resource: min(limit.left for limit in self._limits(token, resource))
            for resource in sorted(limited(token))
        }

    def _limits(self, token: VerifiedChain, resource: Resource) -> Iterator[_Limit]:
        """Yield what every block lets through: of what may be spent here, and of what is here."""
        yield from self._spendable(token, resource)
        yield from self._here(token, resource)

    def _spendable(self, token: VerifiedChain, resource: Resource) -> Iterator[_Limit]:
        """Yield what every block lets through of what may be spent here."""
        for index, granted in _granted(token, resource):
            spent = self._amount(token, index).spent.get(resource, 0)
            yield _Limit(index, granted, spent)
            if not self._kept_here(token, index, resource):
                yield _Limit(index, 0, 0, ELSEWHERE)

    def _here(self, token: VerifiedChain, resource: Resource) -> Iterator[_Limit]:
        """Yield what every block that has to pay has here."""
        start, why = self._start(token, resource)
        if why:
            yield _Limit(start, 0, 0, why)
            return
        account = self._amount(token, start)
        if account.aside is not None and resource in account.aside:
            yield _Limit(start, account.aside[resource], account.used.get(resource, 0))
        for index, granted in _granted(token, resource):
            if index >= start:
                used = self._amount(token, index).used.get(resource, 0)
                yield _Limit(index, granted, used)

    def _start(self, token: VerifiedChain, resource: Resource) -> tuple[int, str]:
        """Return the index of the last block that was given what it has here, or why there is nothing here."""
        for index in range(len(token.blocks) - 1, 0, -1):
            block = token.blocks[index]
            aside = self._amount(token, index).aside
            if aside is not None and resource in aside:
                return index, ""
            if self._was_sent(token, index) and resource in (block.caveats.budget or {}):
                return index, SENT
            if self._was_brought(token, index) and resource in (block.caveats.budget or {}):
                away = any(self._was_sent(token, before) for before in range(1, index))
                return index, SENT if away else ""
        return 0, ""

    def _was_sent(self, token: VerifiedChain, index: int) -> bool:
        """Return whether this node handed the token on with a block."""
        return self._is_here(token, index - 1) and not self._is_here(token, index)

    def _was_brought(self, token: VerifiedChain, index: int) -> bool:
        """Return whether the token was handed to this node with a block."""
        return self._is_here(token, index) and not self._is_here(token, index - 1)

    def _is_here(self, token: VerifiedChain, index: int) -> bool:
        """Return whether a block names this node, by the key it has or had."""
        return self._same(token.blocks[index].key, self._node)

    def _same(self, key: PublicKey, other: PublicKey | None) -> bool:
        origin = self._lineage.origin
        return key == other or (other is not None and origin(key) == origin(other))

    def _kept_here(self, token: VerifiedChain, index: int, resource: Resource) -> bool:
        """Return whether a budget is kept here, or was handed on by the node that keeps it."""
        keeper = token.blocks[index].caveats.account
        if keeper is None or self._same(keeper, self._node):
            return True
        later = zip(token.blocks[index:], token.blocks[index + 1 :], strict=False)
        return any(
            self._same(signer.key, keeper) and resource in (block.caveats.budget or {})
            for signer, block in later
        )

    def _amount(self, token: VerifiedChain, index: int) -> Account:
        return self._accounts.get(token.blocks[index].id) or _NOTHING

    # -- spending --

    def debit(self, token: VerifiedChain, cost: Amounts, payer: bytes | None = None) -> None:
        """Spend a cost, from every block that has to pay. Raises TokenRefused; then nothing was taken."""
        with self._lock:
            self._check(token, cost)
            for resource, amount in cost.items():
                self._spend(token, resource, amount, payer)
                self._use(token, resource, amount, payer)

    def refund(self, token: VerifiedChain, cost: Amounts, payer: bytes | None = None) -> None:
        """Give back what was reserved by `debit` and not spent; never more than was."""
        with self._lock:
            for resource, amount in cost.items():
                self._spend(token, resource, -amount, payer)
                self._use(token, resource, -amount, payer)

    def _check(self, token: VerifiedChain, cost: Amounts) -> None:
        """Return if a cost can be paid. Raises TokenRefused."""
        places: set[int] = set()
        for resource, amount in cost.items():
            for limit in self._limits(token, resource) if amount else ():
                places.add(limit.place)
                if amount > limit.left:
                    raise _refused(limit, resource, amount)
        self._check_room(token, places)

    def _check_room(self, token: VerifiedChain, places: set[int]) -> None:
        """Return if there is room for the accounts of a token's blocks. Raises TokenRefused."""
        fresh = [place for place in places if token.blocks[place].id not in self._accounts]
        if fresh and len(self._accounts) + len(fresh) > METER_ENTRIES_MAX:
            why = "has a budget, and the meter is full"
            raise TokenRefused(why, block=min(fresh), caveat="budget")

    def _spend(
        self, token: VerifiedChain, resource: Resource, amount: int, payer: bytes | None
    ) -> None:
        """Count what is spent here through every block that limits it."""
        for index, _ in _granted(token, resource):
            self._count(token, index, resource, amount, payer, "spent")

    def _use(
        self, token: VerifiedChain, resource: Resource, amount: int, payer: bytes | None
    ) -> None:
        """Count what is not here any more, of every block that has to pay."""
        for index in sorted({limit.place for limit in self._here(token, resource)}):
            self._count(token, index, resource, amount, payer, "used")

    def _count(
        self,
        token: VerifiedChain,
        index: int,
        resource: Resource,
        amount: int,
        payer: bytes | None,
        which: str,
    ) -> None:
        """Add to what is counted of a block; never below nothing."""
        account = self._account(token, index)
        amounts: dict[Resource, int] = getattr(account, which)
        change = max(amount, -amounts.get(resource, 0))
        if not change:
            return
        amounts[resource] = amounts.get(resource, 0) + change
        block = token.blocks[index].id
        if payer is None:
            self._changed.add(block)
            return
        changes: dict[tuple[bytes, Resource], int] = getattr(self._of(payer), which)
        changes[block, resource] = changes.get((block, resource), 0) + change

    def _of(self, payer: bytes) -> _Unsettled:
        return self._unsettled.setdefault(payer, _Unsettled())

    def _account(self, token: VerifiedChain, index: int) -> Account:
        block = token.blocks[index].id
        account = self._accounts.get(block)
        if account is None:
            account = self._accounts[block] = Account(token.blocks[index].terms.until_s)
        return account

    def _set(
        self,
        token: VerifiedChain,
        index: int,
        which: Literal["aside", "away"],
        amounts: Kept,
        payer: bytes | None,
    ) -> None:
        """Change a block's `aside` or `away`; without a payer it lasts, whatever becomes of what does not last yet."""
        block, account = token.blocks[index].id, self._account(token, index)
        old: Kept = getattr(account, which)
        setattr(account, which, amounts)
        if payer is None:
            self._changed.add(block)
            return
        mine = self._of(payer)
        if old is None and (block, which) not in mine.kept:
            mine.fresh.add((block, which))
        _add(mine.kept.setdefault((block, which), {}), _difference(amounts or {}, old or {}))

    # -- shares of children --

    def fund(self, token: VerifiedChain, payer: bytes | None = None) -> None:
        """Set the budget of the last block aside for it, out of what the blocks before it have here.

        Raises TokenRefused when they have less; then nothing was set aside.
        """
        with self._lock:
            last = len(token.blocks) - 1
            parent = _before(token, last)
            granted = token.blocks[last].caveats.budget or {}
            share = {resource: granted[resource] for resource in limited(parent) & granted.keys()}
            if not share or self._amount(token, last).aside is not None:
                return
            self._check(parent, share)
            for resource, amount in share.items():
                self._use(parent, resource, amount, payer)
            self._set(token, last, "aside", share, payer)

    def release(
        self, token: VerifiedChain, own: int, payer: bytes | None = None
    ) -> dict[Resource, int]:
        """Give what is left of what was set aside for the blocks from `own` on to those before; return how much.

        Away from where `own` was given, what another node is to have back stays with the block that it is to have back.
        """
        back: dict[Resource, int] = {}
        with self._lock:
            entry = self._entry(token, own)
            first = max(own, 1) if entry == own else entry + 1
            for index in range(len(token.blocks) - 1, first - 1, -1):
                if self._amount(token, index).aside is not None:
                    back = self._release(
                        VerifiedChain(token.root, token.blocks[: index + 1]), payer
                    )
        return back

    def _release(self, token: VerifiedChain, payer: bytes | None) -> dict[Resource, int]:
        last = len(token.blocks) - 1
        account = self._amount(token, last)
        assert account.aside is not None, "the caller looked"
        back = {
            resource: max(0, amount - account.used.get(resource, 0))
            for resource, amount in account.aside.items()
        }
        self._set(token, last, "aside", dict.fromkeys(account.aside, 0), payer)
        for resource, amount in back.items():
            self._return(self._payers(token, last), resource, amount, payer)
        return back

    def _return(
        self, token: VerifiedChain, resource: Resource, amount: int, payer: bytes | None
    ) -> None:
        """Let an amount be here again; where its share has been released meanwhile, with those before it."""
        start, _ = self._start(token, resource)
        self._use(token, resource, -amount, payer)
        if (self._amount(token, start).aside or {}).get(resource) == 0:
            self._return(self._payers(token, start), resource, amount, payer)

    def _payers(self, token: VerifiedChain, index: int) -> VerifiedChain:
        """Return the chain that paid what was set aside for a block: up to it, or up to where it went away from here."""
        for before in range(index - 1, 0, -1):
            if self._amount(token, before).aside is not None:
                break
            if self._was_sent(token, before):
                return _before(token, before)
        return _before(token, index)

    # -- hand-off --

    def take(self, token: VerifiedChain, payer: bytes | None = None) -> dict[Resource, int]:
        """Take all that is left; return it, for the budget of the block that hands the token on."""
        with self._lock:
            left = self._left(token)
            for resource, amount in left.items():
                self._use(token, resource, amount, payer)
            return left

    def give_back(self, token: VerifiedChain, amounts: Amounts, payer: bytes | None = None) -> None:
        """Undo a `take` that nothing followed."""
        with self._lock:
            for resource, amount in amounts.items():
                self._use(token, resource, -amount, payer)

    def send(self, token: VerifiedChain, payer: bytes | None = None) -> None:
        """Note that what the last block's budget says, and `take` took, is away with that block."""
        granted = token.blocks[-1].caveats.budget
        if granted:
            with self._lock:
                last = len(token.blocks) - 1
                self._set(token, last, "away", dict.fromkeys(granted, 0), payer)
                self._move(token, last, granted, payer)

    def reclaim(self, token: VerifiedChain, payer: bytes | None = None) -> dict[Resource, int]:
        """Take back what went away with the last block; once. Return how much."""
        with self._lock:
            last = len(token.blocks) - 1
            away = self._amount(token, last).away
            if away is None:
                return {}
            self._move(token, last, away, payer, -1)
            self._set(token, last, "away", None, payer)
            for resource, amount in away.items():
                self._return(_before(token, last), resource, amount, payer)
            return away

    def credit(
        self, token: VerifiedChain, back: Amounts, payer: bytes | None = None
    ) -> dict[Resource, int]:
        """Take back what who was handed the token with its last block says to have given back of it in all, so far.

        All that comes back of what went with one block is never more than what went. Return how much is new.
        """
        with self._lock:
            last = len(token.blocks) - 1
            known, away = self._amount(token, last).back, self._outside(token, last)
            new = {r: min(n, max(0, back.get(r, 0) - known.get(r, 0))) for r, n in away.items()}
            if not any(new.values()):
                return {}
            self._move(token, last, new, payer, -1)
            for resource, amount in new.items():
                self._count(token, last, resource, amount, payer, "back")
                self._return(_before(token, last), resource, amount, payer)
            return new

    def hand_back(
        self,
        token: VerifiedChain,
        own: int,
        payer: bytes | None = None,
        but: Collection[Resource] = (),
    ) -> list[VerifiedChain]:
        """Take what is left of what other nodes handed to here with blocks after `own`, but for some resources.

        Return the chains up to these blocks: the nodes that signed them may `credit` what was `given_back` with each.
        """
        with self._lock:
            if self._entry(token, own) == own:
                return []
            brought = (
                VerifiedChain(token.root, token.blocks[: index + 1])
                for index in range(len(token.blocks) - 1, own, -1)
                if self._was_brought(token, index)
            )
            return [chain for chain in brought if self._give_back(chain, payer, but)]

    def _give_back(
        self, token: VerifiedChain, payer: bytes | None, but: Collection[Resource]
    ) -> bool:
        """Take what is left of what was handed to here with the last block; return whether there was something."""
        left = {r: amount for r, amount in self._left(token).items() if amount and r not in but}
        for resource, amount in left.items():
            self._use(token, resource, amount, payer)
            self._count(token, len(token.blocks) - 1, resource, amount, payer, "back")
        self._depart(token, left, payer)
        return bool(left)

    def given_back(self, block: bytes, payer: bytes | None = None) -> dict[Resource, int]:
        """Return what was given back with a block in all: what lasts, and what a payer has not settled yet."""
        with self._lock:
            account = self._accounts.get(block, _NOTHING)
            others = [one.back for who, one in self._unsettled.items() if who != payer]
            return {
                resource: amount - sum(one.get((block, resource), 0) for one in others)
                for resource, amount in account.back.items()
            }

    def _entry(self, token: VerifiedChain, own: int) -> int:
        """Return the block with which a token came to where it is, from where `own` was given; `own` if it is at home.

        At home is also who descends from an agent that was given its own here, which all that it took along went away from.
        """
        named = (i for i, block in enumerate(token.blocks) if block.caveats.agent is not None)
        first = min(own, next(named, own))
        return own if self._last_step(token, first) == first else self._last_step(token, own)

    def _last_step(self, token: VerifiedChain, first: int) -> int:
        """Return the block that ends the way of a token from one on, its loops left out.

        What went on from a node before a token came back to it is settled by that; with none of the blocks that are left
        has something come back to who signed them. In the order of Lawler, "A self-avoiding random walk" (1980).
        """
        way: dict[PublicKey, int] = {}  # a node, and the block that brought it there
        for index in range(first, len(token.blocks)):
            node = self._lineage.origin(token.blocks[index].key)
            while node in way and next(reversed(way)) != node:
                way.popitem()
            way.setdefault(node, index)
        return next(reversed(way.values()), first)

    def _depart(self, token: VerifiedChain, amounts: Amounts, payer: bytes | None) -> None:
        """Undo so much of the arrival of a token that had come back: it is away again, with what it had gone away with."""
        sent = self._last_sent(token)
        if sent is not None and self._amount(token, len(token.blocks) - 1).aside is not None:
            self._move(token, sent, amounts, payer)

    def here(self, token: VerifiedChain) -> VerifiedChain:
        """Return a token as it was here last: up to the last block that names this node."""
        last = max((i for i in range(len(token.blocks)) if self._is_here(token, i)), default=-1)
        return VerifiedChain(token.root, token.blocks[: last + 1])

    def was_sent(self, token: VerifiedChain) -> bool:
        """Return whether this node handed the token on with its last block."""
        return len(token.blocks) > 1 and self._was_sent(token, len(token.blocks) - 1)

    def arrive(self, token: VerifiedChain, payer: bytes | None = None) -> dict[Resource, int]:
        """Set aside what has come back with a token that this node had sent away; return how much.

        All that comes back of what went with one block is never more than what went.
        """
        with self._lock:
            sent = self._returning(token)
            if sent is None:
                return {}
            back = self._back(token, sent)
            self._move(token, sent, back, payer, -1)
            self._set(token, len(token.blocks) - 1, "aside", back, payer)
            return back

    def expect(self, token: VerifiedChain) -> dict[Resource, int]:
        """Return what the holder could spend here if the token arrived now. Raises TokenRefused if that could not be counted."""
        with self._lock:
            self._check_room(token, {i for i, one in enumerate(token.blocks) if one.caveats.budget})
            sent = self._returning(token)
            if sent is None:
                return self._left(token)
            back = self._back(token, sent)
            return {
                resource: min(
                    back.get(resource, 0),
                    *(limit.left for limit in self._spendable(token, resource)),
                )
                for resource in sorted(limited(token))
            }

    def _returning(self, token: VerifiedChain) -> int | None:
        """Return with which block this node had sent a token away that comes back, and has not arrived; None of any other."""
        if self._amount(token, len(token.blocks) - 1).aside is not None:
            return None
        return self._last_sent(token)

    def _last_sent(self, token: VerifiedChain) -> int | None:
        """Return the block with which this node sent a token away last, before its last block."""
        places = range(len(token.blocks) - 2, 0, -1)
        return next((index for index in places if self._was_sent(token, index)), None)

    def _back(self, token: VerifiedChain, sent: int) -> dict[Resource, int]:
        """Return how much comes back with a token of what went away with one of its blocks."""
        return _least(self._outside(token, sent), token, sent + 1)

    def _outside(self, token: VerifiedChain, sent: int) -> dict[Resource, int]:
        """Return how much may come back of what went away with a block: no more than is away with the one before it, too."""
        found = dict(self._amount(token, sent).away or {})
        last = self._last_sent(_before(token, sent + 1))
        before = None if last is None else self._amount(token, last).away
        return found if before is None else {r: min(n, before.get(r, n)) for r, n in found.items()}

    def _move(
        self,
        token: VerifiedChain,
        sent: int,
        amounts: Amounts,
        payer: bytes | None,
        sign: int = 1,
    ) -> None:
        """Note that more, or less, is away with a block with which a token was sent away, and with the one before it."""
        for index in (sent, self._last_sent(_before(token, sent + 1))):
            away = None if index is None else self._amount(token, index).away
            if index is not None and away is not None:
                moved = {r: max(0, n + sign * amounts.get(r, 0)) for r, n in away.items()}
                self._set(token, index, "away", moved, payer)

    # -- durability --

    def settle(self, payer: bytes) -> None:
        """Let out what an agent caused: the caller makes the agent's state durable in the same transaction."""
        with self._lock:
            one = self._unsettled.pop(payer, None)
            if one is not None:
                self._settling.append((payer, one))
                self._changed |= {block for block, _ in one.kept}
                self._changed |= {block for which in COUNTED for block, _ in getattr(one, which)}

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows that are to be written, by block id; None: to be deleted. They come again until `kept`."""
        with self._lock:
            if not self._changed and not self._written:
                return []
            self._written |= self._changed
            self._changed = set()
            return [(block, self._row(block)) for block in sorted(self._written)]

    def kept(self) -> None:
        """Note that what `changed` returned last is durable."""
        with self._lock:
            self._written.clear()
            self._settling.clear()

    def lost(self) -> None:
        """Note that what `changed` returned last is not durable: what was let out for it is not, either."""
        with self._lock:
            for payer, one in reversed(self._settling):
                one.join(self._unsettled.get(payer, _Unsettled()))
                self._unsettled[payer] = one
            self._settling.clear()

    def mark(self, payer: bytes) -> Mark:
        """Return where `revert` can go back to, as long as nothing of the payer's is made durable."""
        with self._lock:
            return Mark(self._unsettled.get(payer, _Unsettled()).copy())

    def revert(self, payer: bytes, mark: Mark) -> None:
        """Undo what a payer has caused since; what others have done with it meanwhile stands, and nothing is left for it."""
        with self._lock:
            one, before = self._unsettled.pop(payer, _Unsettled()), mark.caused
            for which in COUNTED:
                self._uncount(which, _difference(getattr(one, which), getattr(before, which)))
            for (block, which), changes in one.kept.items():
                if (account := self._accounts.get(block)) is not None:
                    since = _difference(changes, before.kept.get((block, which), {}))
                    fresh = (block, which) in one.fresh - before.fresh
                    setattr(account, which, _without(getattr(account, which), [since], fresh))
            if before != _Unsettled():
                self._unsettled[payer] = before.copy()

    def _uncount(self, which: str, changes: dict[tuple[bytes, Resource], int]) -> None:
        for (block, resource), change in changes.items():
            if (account := self._accounts.get(block)) is not None:
                amounts: dict[Resource, int] = getattr(account, which)
                amounts[resource] = max(0, amounts.get(resource, 0) - change)

    def _row(self, block: bytes) -> bytes | None:
        """Return an account without what agents caused whose state is not durable yet."""
        account = self._accounts.get(block)
        if account is None:
            return None
        counted = [
            {
                resource: max(0, amount - self._not_settled(which, block, resource))
                for resource, amount in getattr(account, which).items()
            }
            for which in COUNTED
        ]
        unsettled = [one for one in self._unsettled.values() if one.kept]
        kept = [
            _without(
                getattr(account, which),
                [one.kept[block, which] for one in unsettled if (block, which) in one.kept],
                fresh=any((block, which) in one.fresh for one in unsettled),
            )
            for which in KEPT
        ]
        return encode([account.until, *map(_amounts_out, (*counted, *kept))])

    def _not_settled(self, which: str, block: bytes, resource: Resource) -> int:
        """Return how much of what is counted of a block does not last yet."""
        return sum(
            getattr(one, which).get((block, resource), 0) for one in self._unsettled.values()
        )

    def load(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Replace the accounts by those of rows, which this node wrote itself. Raises TokenInvalid."""
        accounts: dict[bytes, Account] = {}
        for block, data in rows:
            until, spent, used, back, aside, away = tuple_of(decode(data), 6, "an account")
            accounts[octets(block, HASH_SIZE, "a block id")] = Account(
                unsigned(until, "an end"),
                _amounts_in(spent) or {},
                _amounts_in(used) or {},
                _amounts_in(aside),
                _amounts_in(away),
                _amounts_in(back) or {},
            )
        self._accounts = accounts
        self._unsettled, self._settling = {}, []
        self._changed, self._written = set(), set()

    def forget(self, now_s: int) -> None:
        """Drop the accounts of blocks that have expired. The clock must not go back afterwards."""
        with self._lock:
            gone = {block for block, account in self._accounts.items() if account.until < now_s}
            for block in gone:
                del self._accounts[block]
            self._changed |= gone


_NOTHING = Account(0)  # of a block that nothing is known about; never changed


def _refused(limit: _Limit, resource: Resource, amount: int) -> TokenRefused:
    """Return the refusal of a cost that is more than what a limit lets through."""
    if limit.why:
        return TokenRefused(limit.why, block=limit.place, caveat="budget")
    name = resource.name.lower()
    why = f"has {limit.left} {name} left, not {amount}"
    return TokenRefused(why, block=limit.place, caveat="budget", shortage=(name, amount))


def limited(token: VerifiedChain) -> frozenset[Resource]:
    """Return the resources that some block has a budget of."""
    return token.terms.limited


def _granted(token: VerifiedChain, resource: Resource) -> list[tuple[int, int]]:
    """Return index and budget of the blocks that limit a resource."""
    budgets = enumerate(block.caveats.budget or {} for block in token.blocks)
    return [(index, budget[resource]) for index, budget in budgets if resource in budget]


def _least(amounts: Amounts, token: VerifiedChain, start: int) -> dict[Resource, int]:
    """Return the least of amounts and of what the blocks from `start` on grant."""
    budgets = [block.caveats.budget or {} for block in token.blocks[start:]]
    return {r: min([n, *(one[r] for one in budgets if r in one)]) for r, n in amounts.items()}


def _before(token: VerifiedChain, index: int) -> VerifiedChain:
    """Return the chain of the blocks before one."""
    return VerifiedChain(token.root, token.blocks[:index])


def _add(mine: dict[Key, int], more: Mapping[Key, int]) -> None:
    """Add amounts to others."""
    for key, amount in more.items():
        mine[key] = mine.get(key, 0) + amount


def _difference(now: Mapping[Key, int], before: Mapping[Key, int]) -> dict[Key, int]:
    """Return by how much amounts are more than others."""
    return {key: now.get(key, 0) - before.get(key, 0) for key in {*now, *before}}


def _without(now: Kept, changes: Sequence[Mapping[Resource, int]], fresh: bool) -> Kept:
    """Return what is kept without some changes; nothing if they were what had it kept (`fresh`)."""
    if not changes:
        return now
    left = dict(now or {})
    for change in changes:
        left = _difference(left, change)
    return None if fresh and not any(left.values()) else {r: max(0, n) for r, n in left.items()}


def _amounts_out(amounts: Amounts | None) -> list[dict[int, int]]:
    return [] if amounts is None else [{int(r): amounts[r] for r in sorted(amounts)}]


def _amounts_in(value: object) -> dict[Resource, int] | None:
    items = array(value, "amounts", most=1)
    if not items:
        return None
    return {
        Resource(unsigned(key, "a resource", most=max(Resource))): unsigned(amount, "an amount")
        for key, amount in ascending(items[0], "amounts").items()
    }
