"""Who belongs to a cluster, whom its root lets admit others, and which keys count now.

Is:     the set of statements, which only grows (`Ledger`), and what it means at a time (`Membership`).
Is not: authority: being a member lets one connect, and nothing else.
Fits:   nodes keep statements as facts and merge each other's; the command line keeps them in a file.
Source: Shapiro et al., "Conflict-free replicated data types" (2011): the set is a grow-only one, and a membership is a
        function of set and time, so nodes that know the same statements agree, in whatever order they heard them.

What counts:

* A statement of the root, or of a key that the root has appointed for it, while the appointment holds.
* Of several records of a name the highest `seq`. An appointed key adds nodes and renews them; it cannot give a name
  to another key, change what the root removed, or speak about operators.
* A key is followed by one other key. Both hold until the succession's end, then the new one alone. Nobody follows a
  follower before that. A key that names two successors has been stolen: it has none, and its member is out until a
  fresh record says which it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from capabilities.errors import MemberInvalid
from capabilities.keys import PublicKey
from capabilities.limits import CLOCK_SKEW_S, STATEMENTS_OF_ONE_MAX
from capabilities.lineage import Lineage
from capabilities.statements import Appointment, Power, Record, Statement, Succession

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


class Ledger:
    """All statements about one cluster that somebody with standing signed."""

    def __init__(self, anchor: PublicKey, statements: Iterable[Statement] = ()) -> None:
        self.anchor = (
            anchor  # the root this node was made with; set to a successor that was settled on
        )
        self._statements: dict[bytes, Statement] = {}
        self._roots: set[PublicKey] = {anchor}  # at any time, as the next three
        self._appointed: set[PublicKey] = set()
        self._recorders: dict[PublicKey, set[PublicKey]] = {}  # of a key, who signed records of it
        self._olds: dict[PublicKey, set[PublicKey]] = {}  # of a key, which named it to follow them
        self._lines: dict[PublicKey, PublicKey] = {}  # of who speaks as another's heir, that one
        self._said: Counter[PublicKey] = Counter()  # of a key and its heirs together
        self.add(statements)

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
        waiting = [one for one in statements if one.id not in self._statements]
        fresh: list[Statement] = []
        while kept := [one for one in waiting if self._keep(one)]:
            fresh += kept
            waiting = [one for one in waiting if one.id not in self._statements]
        return fresh

    def _keep(self, statement: Statement) -> bool:
        if statement.id in self._statements or not self._has_standing(statement):
            return False
        self._said[self._line(statement.signer)] += 1
        self._statements[statement.id] = statement
        match statement.fact:
            case Succession(old, new):
                self._follow(old, new)
            case Appointment(key):
                self._appointed.add(key)
            case Record(key=key):
                self._recorders.setdefault(key, set()).add(statement.signer)
        return True

    def _follow(self, old: PublicKey, new: PublicKey) -> None:
        """Let an heir speak: a root's for itself, as it says again who belongs; any other in its predecessor's name."""
        self._olds.setdefault(new, set()).add(old)
        if self._is_root(old):
            self._roots.add(new)
        elif not self._speaks(new):
            self._lines[new] = self._line(old)

    def _has_standing(self, statement: Statement) -> bool:
        signer = statement.signer
        if signer == self.anchor:
            return True
        if isinstance(statement.fact, Appointment) and not self._is_root(signer):
            return False
        if not self._speaks(signer):
            return False
        return self._said[self._line(signer)] < STATEMENTS_OF_ONE_MAX

    def _is_root(self, key: PublicKey) -> bool:
        return key == self.anchor or key in self._roots

    def _line(self, key: PublicKey) -> PublicKey:
        """Return whose limit a key's statements count against: named heirs are as many as one likes."""
        return self._lines.get(key, key)

    def _speaks(self, key: PublicKey) -> bool:
        """Return whether a key may say anything, at any time."""
        return (
            self._is_root(key)
            or key in self._appointed
            or key in self._lines
            or any(self._makes_speakers(signer) for signer in self._recorders.get(key, ()))
        )

    def _makes_speakers(self, signer: PublicKey) -> bool:
        """Return whether whom a key records is one more who speaks: so with roots, whom they appointed, and who follows those."""
        return (
            self._is_root(signer)
            or signer in self._appointed
            or not self._appointed.isdisjoint(self._olds.get(signer, ()))
        )

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


class _Reading:
    """One look at a set of statements."""

    def __init__(self, anchor: PublicKey, statements: Iterable[Statement], now_s: int) -> None:
        self._anchor, self._now_s = anchor, now_s
        self._statements = sorted(statements, key=lambda one: one.id)
        self._changes: list[int] = []
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
        members = {slot: self._latest(said, roots) for slot, said in records.items()}
        out = {record.key for record in members.values() if record.removed}
        resolved = {
            slot: self._member(record, out)
            for slot, record in members.items()
            if not record.removed
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
        found, seen = Line(first), {first}
        over_s = 0
        while (step := self._steps.get(found.key)) is not None:
            if step.new in seen or step.from_s < over_s:
                break
            if self._now_s <= step.until_s:
                return Line(step.new, found.key, step.certificate, found.certificate, step.until_s)
            seen.add(step.new)
            over_s = step.until_s
            found = Line(step.new, certificate=step.certificate)
        return found

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

    def _latest(self, said: list[tuple[Statement, Record]], roots: set[PublicKey]) -> Record:
        """Return the record of a name that counts; an appointed key's only if it goes on with the one before."""
        current: Record | None = None
        said.sort(key=lambda one: (one[1].seq, one[0].signer not in roots, one[0].id))
        for statement, record in said:
            if current is not None and record.seq == current.seq:
                continue
            if statement.signer in roots or current is None or self._goes_on(current, record):
                current = record
        assert current is not None, "a name is there because of a record"
        return current

    def _goes_on(self, current: Record, record: Record) -> bool:
        """Return whether an appointed key's record may take another one's place.

        Of the successors that a key has named, also of two, who is appointed may say which it is.
        """
        return not current.removed and record.key in self._followers(current.key)

    def _followers(self, key: PublicKey) -> set[PublicKey]:
        """Return a key and all that were ever named to follow it, or a follower of it."""
        found, waiting = {key}, [key]
        while waiting:
            fresh = self._named.get(waiting.pop(), set()) - found
            found |= fresh
            waiting += fresh
        return found

    def _member(self, record: Record, out: set[PublicKey]) -> Member | None:
        """Return the member of a record, unless its key is stolen, or was removed under another name."""
        line = self.line(record.key)
        keys = {record.key, line.key}
        if (
            keys & self._contested
            or any(self._lineage.origin(key) in out for key in keys)
            or keys & out
        ):
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
