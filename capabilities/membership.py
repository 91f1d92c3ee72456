"""Who belongs to a cluster, whom its root lets admit others, and which keys count now.

Is:     the set of statements, which only grows (`Ledger`), and what it means at a time (`Membership`).
Is not: authority: being a member lets one connect, and nothing else.
Fits:   nodes keep statements as facts and merge each other's; the command line keeps them in a file.
Source: Shapiro et al., "Conflict-free replicated data types" (2011): the set is a grow-only one, and a membership is a
        function of set and time, so nodes that know the same statements agree, in whatever order they heard them.

What counts:

* A statement of the root, or of a key that the root has appointed for it, while the appointment holds.
* Of several records of a name the highest `seq`. An appointed key adds nodes and renews them, one number after the
  other; it cannot give a name to another key, change what the root removed, or speak about operators.
* A key that was removed is out under every name, and so is who follows it, until a root gives the name to it again.
* A key is followed by one other key. Both hold until the succession's end, then the new one alone. Nobody follows a
  follower before that. A key that names two successors has been stolen: it has none, and its member is out until a
  fresh record says which it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import IntEnum

from capabilities.errors import MemberInvalid
from capabilities.followers import Followers
from capabilities.keys import PublicKey
from capabilities.limits import CLOCK_SKEW_S, STATEMENTS_OF_ONE_MAX
from capabilities.lineage import Lineage
from capabilities.statements import ROLES, Appointment, Power, Record, Statement, Succession

Slot = tuple[str, str]  # role, name


@dataclass(frozen=True, slots=True)
class Member:
    """A member as of a time; while a rotation is under way its former key is accepted, too."""

    name: str
    role: str
    key: PublicKey
    certificate: bytes  # DER
    addresses: tuple[str, ...]  # "host:port"
    seq: int
    former: PublicKey | None = None
    former_certificate: bytes = b""
    renewable: bool = False  # its record names a key that holds no more

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """Return the keys that are this member now, the newest first."""
        return (self.key,) if self.former is None else (self.key, self.former)

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """Return the certificates of these keys."""
        return (
            (self.certificate,)
            if self.former is None
            else (self.certificate, self.former_certificate)
        )


@dataclass(frozen=True, slots=True)
class Line:
    """The keys of a line of successions that count at a time."""

    key: PublicKey
    former: PublicKey | None = None  # accepted as well, until `ends_s`
    certificate: bytes = b""  # of `key`, if a succession brought it
    former_certificate: bytes = b""
    ends_s: int | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """What a set of statements means at a time."""

    root: PublicKey
    former_root: PublicKey | None
    lineage: Lineage
    members: Mapping[Slot, Member] = field(default_factory=dict)
    appointments: Mapping[PublicKey, Appointment] = field(default_factory=dict)
    hosts: frozenset[bytes] = frozenset()  # all keys that a node has, or has had
    next_change_s: int | None = None  # when the same set will mean something else
    # Of the root's next record of each name that somebody has, or was removed from.
    numbers: Mapping[Slot, int] = field(default_factory=dict, compare=False)
    node_names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _of_key: dict[PublicKey, Member] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = sorted(name for role, name in self.members if role == "node")
        object.__setattr__(self, "node_names", tuple(names))
        found = {key: member for member in self.members.values() for key in member.keys}
        object.__setattr__(self, "_of_key", found)

    @property
    def roots(self) -> frozenset[PublicKey]:
        """Return the roots that count."""
        return frozenset(key for key in (self.root, self.former_root) if key is not None)

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self.members.values()))

    def node(self, name: str) -> Member | None:
        """Return a node by name."""
        return self.members.get(("node", name))

    def of_key(self, key: PublicKey) -> Member | None:
        """Return the member that has a key, or had it before a rotation that is not over."""
        return self._of_key.get(key)

    def certificates(self) -> list[bytes]:
        """Return all certificates that let somebody connect."""
        return [one for member in self for one in member.certificates]

    def appointment(self, key: PublicKey) -> Appointment | None:
        """Return what a key, or the one it follows, was appointed to last."""
        former = self.lineage.predecessor(key)
        return self.appointments.get(key) or (
            None if former is None else self.appointments.get(former)
        )


class Standing(IntEnum):
    """What a key may say and let others say, at any time; each the former ones' as well."""

    NOBODY = 0
    SPEAKER = 1  # who is recorded by one of those below, or follows a speaker
    HEIR = 2  # of who is appointed: whom it records speaks
    APPOINTED = 3
    ROOT = 4  # appoints


_OF_HEIR = {
    Standing.NOBODY: Standing.SPEAKER,
    Standing.SPEAKER: Standing.SPEAKER,
    Standing.HEIR: Standing.SPEAKER,
    Standing.APPOINTED: Standing.HEIR,
    Standing.ROOT: Standing.ROOT,
}


class Ledger:
    """All statements about one cluster that somebody with standing signed."""

    def __init__(self, anchor: PublicKey, statements: Iterable[Statement] = ()) -> None:
        self._statements: dict[bytes, Statement] = {}
        self._standing: dict[PublicKey, Standing] = {}  # at any time
        self._recorded: dict[PublicKey, set[PublicKey]] = {}  # by who signed the records
        self._heirs: dict[PublicKey, set[PublicKey]] = {}  # of a key, which it named to follow it
        self._lines: dict[PublicKey, PublicKey] = {}  # of who speaks as another's heir, that one
        self._said: Counter[PublicKey] = Counter()  # of a key and its heirs together
        self.anchor = anchor
        self.add(statements)

    @property
    def anchor(self) -> PublicKey:
        """Return the root this node was made with, or a successor that was settled on."""
        return self._anchor

    @anchor.setter
    def anchor(self, key: PublicKey) -> None:
        self._anchor = key
        self._rise(key, Standing.ROOT)

    @staticmethod
    def from_text(text: str, anchor: PublicKey) -> Ledger:
        """Return the statements of a file, one a line. Raises MemberInvalid naming the line."""
        ledger = Ledger(anchor)
        read: dict[bytes, tuple[int, Statement]] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                try:
                    statement = Statement.from_text(line.strip())
                except MemberInvalid as error:
                    raise MemberInvalid(f"members, line {number}: {error}") from None
                read[statement.id] = number, statement
        ledger.add(statement for _, statement in read.values())
        for identity, (number, _) in read.items():
            if identity not in ledger._statements:
                raise MemberInvalid(f"members, line {number}: nobody with standing signed it")
        return ledger

    def to_text(self) -> str:
        """Return the statements, one a line, in their order."""
        return "".join(statement.to_text() + "\n" for statement in self)

    def __len__(self) -> int:
        return len(self._statements)

    def __iter__(self) -> Iterator[Statement]:
        """Yield the statements in an order that is the same for equal sets."""
        return iter(sorted(self._statements.values(), key=lambda statement: statement.id))

    def __contains__(self, statement: Statement) -> bool:
        return statement.id in self._statements

    def add(self, statements: Iterable[Statement]) -> list[Statement]:
        """Keep what somebody with standing signed; return what is new. The order of statements does not matter."""
        fresh: list[Statement] = []
        waiting: dict[PublicKey, list[Statement]] = {}  # by signers that have too little standing
        for statement in statements:
            ready = [statement]
            while ready:
                one = ready.pop()
                if one.id in self._statements:
                    continue
                if self._has_standing(one):
                    fresh.append(one)
                    for key in self._keep(one):
                        ready += waiting.pop(key, ())
                else:
                    waiting.setdefault(one.signer, []).append(one)
        return fresh

    def _keep(self, statement: Statement) -> list[PublicKey]:
        """Keep a statement; return the keys whose standing has grown by it."""
        self._said[self._line(statement.signer)] += 1
        self._statements[statement.id] = statement
        match statement.fact:
            case Succession(old, new):
                return self._follow(old, new)
            case Appointment(key):
                return self._rise(key, Standing.APPOINTED)
            case Record(key=key):
                self._recorded.setdefault(statement.signer, set()).add(key)
                lets_speak = self._standing_of(statement.signer) >= Standing.HEIR
                return self._rise(key, Standing.SPEAKER) if lets_speak else []

    def _follow(self, old: PublicKey, new: PublicKey) -> list[PublicKey]:
        """Let an heir speak: a root's for itself, as it says again who belongs; any other in its predecessor's name."""
        self._heirs.setdefault(old, set()).add(new)
        standing = self._standing_of(old)
        if standing is not Standing.ROOT and self._standing_of(new) is Standing.NOBODY:
            self._lines[new] = self._line(old)
        return self._rise(new, _OF_HEIR[standing])

    def _rise(self, key: PublicKey, standing: Standing) -> list[PublicKey]:
        """Give a key standing, and those who have theirs from it; return those whose has grown."""
        grown: list[PublicKey] = []
        waiting = [(key, standing)]
        while waiting:
            key, standing = waiting.pop()
            if standing > self._standing_of(key):
                self._standing[key] = standing
                grown.append(key)
                waiting += [(new, _OF_HEIR[standing]) for new in self._heirs.get(key, ())]
                if standing >= Standing.HEIR:
                    waiting += [(one, Standing.SPEAKER) for one in self._recorded.get(key, ())]
        return grown

    def _standing_of(self, key: PublicKey) -> Standing:
        return self._standing.get(key, Standing.NOBODY)

    def _has_standing(self, statement: Statement) -> bool:
        signer = statement.signer
        if signer == self._anchor:
            return True
        least = Standing.ROOT if isinstance(statement.fact, Appointment) else Standing.SPEAKER
        if self._standing_of(signer) < least:
            return False
        return self._said[self._line(signer)] < STATEMENTS_OF_ONE_MAX

    def _line(self, key: PublicKey) -> PublicKey:
        """Return whose limit a key's statements count against: named heirs are as many as one likes."""
        return self._lines.get(key, key)

    # -- what it means --

    def at(self, now_s: int) -> Membership:
        """Return what the statements mean at a time."""
        return _Reading(self.anchor, self._statements.values(), now_s).membership()

    def settle(self, now_s: int) -> bool:
        """Forget roots whose time is over; return whether there were any. Their key, if it is stolen now, is worth nothing."""
        line = _Reading(self.anchor, self._statements.values(), now_s).line(self.anchor)
        settled = line.key if line.former is None else line.former
        changed, self.anchor = settled != self.anchor, settled
        return changed


_Gone = tuple[PublicKey, bool]  # a key that was removed, and whether a root did it


@dataclass(slots=True)
class _Name:
    """What the records of a name mean."""

    record: Record  # in force
    gone: tuple[_Gone, ...]
    next_seq: int = 1  # of a root's next record


class _Reading:
    """One look at a set of statements."""

    def __init__(self, anchor: PublicKey, statements: Iterable[Statement], now_s: int) -> None:
        self._anchor, self._now_s = anchor, now_s
        self._statements = sorted(statements, key=lambda one: one.id)
        self._changes: list[int] = []
        self._lasts: dict[PublicKey, PublicKey] = {}
        self._steps = self._successions()
        self._lineage = Lineage(
            {old: step.new for old, step in self._steps.items()},
            {step.new: old for old, step in self._steps.items()},
        )

    def membership(self) -> Membership:
        root = self.line(self._anchor)
        roots = {root.key} if root.former is None else {root.key, root.former}
        appointments = self._appointments(roots)
        found = Membership(root.key, root.former, self._lineage, {}, appointments)
        records: dict[Slot, list[tuple[Statement, Record]]] = {}
        for statement in self._statements:
            if isinstance(statement.fact, Record) and self._counts(statement, found, roots):
                fact = statement.fact
                records.setdefault((fact.role, fact.name), []).append((statement, fact))
        self._followers = Followers(
            self._named, (record.key for said in records.values() for _, record in said)
        )
        names = {
            slot: name
            for slot, said in records.items()
            if (name := self._name(said, roots)) is not None
        }
        out = {role: self._out(role, names.values()) for role in ROLES}
        resolved = {
            slot: self._member(name.record, out[name.record.role])
            for slot, name in names.items()
            if not name.record.removed
        }
        later = [change for change in self._changes if change > self._now_s]
        return Membership(
            root.key,
            root.former,
            self._lineage,
            {slot: member for slot, member in resolved.items() if member is not None},
            appointments,
            self._hosts(said for slot, said in records.items() if slot[0] == "node"),
            min(later, default=None),
            numbers={slot: name.next_seq for slot, name in names.items()},
        )

    def _hosts(self, records: Iterable[list[tuple[Statement, Record]]]) -> frozenset[bytes]:
        """Return the keys that records of nodes name, and those that follow them."""
        named = {record.key for said in records for _, record in said}
        found = {key.bytes for key in named}
        for key in named:
            while (step := self._steps.get(key)) is not None and step.new.bytes not in found:
                key = step.new  # along the line
                found.add(key.bytes)
        return frozenset(found)

    # -- keys --

    def _successions(self) -> dict[PublicKey, Succession]:
        """Return the successor of each key that has exactly one, and whose time has come."""
        said: dict[PublicKey, list[Succession]] = {}
        for statement in self._statements:
            if isinstance(statement.fact, Succession):
                said.setdefault(statement.fact.old, []).append(statement.fact)
        self._named = {old: {step.new for step in steps} for old, steps in said.items()}
        self._contested = {old for old, news in self._named.items() if len(news) > 1}
        found: dict[PublicKey, Succession] = {}
        for old, steps in said.items():
            step = max(steps, key=lambda one: (one.seq, -one.until_s))
            begins = step.from_s - CLOCK_SKEW_S
            self._changes += [begins, step.until_s + 1]
            if old not in self._contested and begins <= self._now_s:
                found[old] = step
        return found

    def line(self, first: PublicKey) -> Line:
        """Return which keys of a line count: one, or two while a succession is under way. Never three."""
        step = self._steps.get(first)
        if step is None:
            return Line(first)
        if self._now_s <= step.until_s:
            return Line(step.new, first, step.certificate, ends_s=step.until_s)
        over = self._steps[self._last_to_hand_on(first)]
        step = self._after(over)
        if step is None or step.until_s < self._now_s:  # the latter in a circle
            return Line(over.new, certificate=over.certificate)
        return Line(step.new, over.new, step.certificate, over.certificate, step.until_s)

    def _after(self, step: Succession) -> Succession | None:
        """Return what follows a succession, if that did not begin before it was over."""
        found = self._steps.get(step.new)
        return None if found is None or found.from_s < step.until_s else found

    def _last_to_hand_on(self, key: PublicKey) -> PublicKey:
        """Return the last key of a line whose succession is over, from a first such one; who is in a circle goes no further."""
        way: list[PublicKey] = []
        met: set[PublicKey] = set()
        while key not in self._lasts and key not in met:
            way.append(key)
            met.add(key)
            step = self._after(self._steps[key])
            if step is None or self._now_s <= step.until_s:
                self._lasts[key] = key
            else:
                key = step.old
        if key not in self._lasts:
            self._lasts.update((one, one) for one in way[way.index(key) :])
        last = self._lasts[key]
        for one in way:  # else each name of a long line would walk all of it
            self._lasts.setdefault(one, last)
        return last

    # -- who may say what --

    def _appointments(self, roots: set[PublicKey]) -> dict[PublicKey, Appointment]:
        found: dict[PublicKey, Appointment] = {}
        for statement in self._statements:
            fact = statement.fact
            if isinstance(fact, Appointment) and statement.signer in roots:
                known = found.get(fact.key)
                if known is None or fact.seq > known.seq:
                    found[fact.key] = fact
        return found

    def _counts(self, statement: Statement, found: Membership, roots: set[PublicKey]) -> bool:
        """Return whether a record was signed by somebody who may sign such a record."""
        record = statement.fact
        assert isinstance(record, Record), record
        if statement.signer in roots:
            return True
        appointment = found.appointment(statement.signer)
        power = Power.REMOVE if record.removed else Power.ADMIT
        return (
            appointment is not None
            and record.role == "node"
            and power in appointment.powers
            and appointment.from_s <= record.at_s <= appointment.until_s
        )

    def _name(
        self, said: list[tuple[Statement, Record]], roots: AbstractSet[PublicKey]
    ) -> _Name | None:
        """Return what the records of a name mean; None if none of them counts. An appointed key's only goes on with the one before."""
        found: _Name | None = None
        said.sort(key=lambda one: (one[1].seq, one[0].signer not in roots, one[0].id))
        for statement, record in said:
            if found is not None and record.seq == found.record.seq:
                continue
            by_root = statement.signer in roots
            if by_root or self._goes_on(None if found is None else found.record, record):
                gone = () if found is None else found.gone
                found = _Name(record, self._gone(gone, record, by_root=by_root))
        if found is not None:
            found.next_seq = _number_after(found.record, said)
        return found

    def _gone(self, gone: tuple[_Gone, ...], record: Record, *, by_root: bool) -> tuple[_Gone, ...]:
        """Return which keys are out after one more record: a root's lets those in again whose name it gives to them, or their heir."""
        if record.removed:
            return (*gone, (record.key, by_root))
        if not by_root:
            return gone
        return tuple(one for one in gone if not self._followers.is_or_follows(record.key, one[0]))

    def _goes_on(self, current: Record | None, record: Record) -> bool:
        """Return whether an appointed key's record may take another one's place, or be the first of a name.

        No number is left out, so that there is always one for the root to say what it will. Of the successors that a key has
        named, also of two, who is appointed may say which it is.
        """
        if current is None:
            return record.seq <= 1
        return (
            record.seq == current.seq + 1
            and not current.removed
            and self._followers.is_or_follows(record.key, current.key)
        )

    def _out(self, role: str, names: Iterable[_Name]) -> set[PublicKey]:
        """Return the keys that nobody of a role may have: those that were removed, and all that were ever named to follow them."""
        gone = (one for name in names for one in name.gone)
        found = {key for key, by_root in gone if by_root or role == "node"}
        waiting = list(found)
        while waiting:
            fresh = self._named.get(waiting.pop(), set()) - found
            found |= fresh
            waiting += fresh
        return found

    def _member(self, record: Record, out: set[PublicKey]) -> Member | None:
        """Return the member of a record, unless its key is stolen, or was removed under another name."""
        line = self.line(record.key)
        keys = {record.key, line.key}
        if keys & self._contested or keys & out:
            return None
        return Member(
            record.name,
            record.role,
            line.key,
            line.certificate or record.certificate,
            record.addresses,
            record.seq,
            line.former,
            b"" if line.former is None else line.former_certificate or record.certificate,
            line.former is None and line.key != record.key,
        )


def _number_after(record: Record, said: list[tuple[Statement, Record]]) -> int:
    """Return the number with which a root says what nobody has said the next record of already."""
    numbers = {one.seq for _, one in said}
    seq = record.seq + 1
    while seq + 1 in numbers:
        seq += 1
    return seq
