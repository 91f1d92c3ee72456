"""Tickets of this node, and the machines that come with one.

Is:     issuing tickets, deciding applications, and signing the record of who is admitted.
Is not: what a ticket or an application looks like (`capabilities.tickets`, `protocol.joining`).
Fits:   `yind.peers` brings applications while a ticket is open; `yind.members` keeps and tells the record.

The cluster's root need not be at hand: a node admits with its own key, if the root has appointed it
(`capabilities.statements.Appointment`). A ticket is used up in the same storage transaction in which the record is kept, so
a crash cannot make it good again; who did not hear the answer may ask once more with the same key, and hears it again. A
record that could not be written waits to be, and the ticket with it is used meanwhile.

Who has no ticket learns nothing: an unknown ticket and a wrong proof have the same answer, and after some of them an
address is not listened to for a while (`yind.strangers`). Only who proves the secret is told that a ticket is used or over,
or that the cluster is not the one that is meant.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from capabilities.caveats import Verb
from capabilities.certificate import public_key_of
from capabilities.errors import CapabilityError, TicketInvalid
from capabilities.keys import PrivateKey, PublicKey
from capabilities.limits import SEQ_MAX, TICKET_SECRET_BYTES
from capabilities.membership import Membership
from capabilities.statements import Power, Record, Statement, is_name, sign
from capabilities.tickets import Ticket, check_proof
from datomstore.batch import Batch
from datomstore.value import Map
from protocol.address import is_dialable
from protocol.errors import ProtocolError
from protocol.joining import Admission, Application, Rejection, encode_answer
from yind.agents import Agents
from yind.audit import Behalf, Decision
from yind.authority import Authority
from yind.clock import Clock
from yind.errors import RequestInvalid, RootMismatch, TicketRefused
from yind.fields import Answer, Fields
from yind.limits import (
    GOSSIP_TOLD_MAX,
    TICKET_S,
    TICKET_S_MAX,
    TICKET_WRONG_MAX,
    TICKETS_MAX,
)
from yind.members import Members
from yind.session import Session
from yind.strangers import Strangers

TABLE = "tickets"
STRANGER = Rejection("join/refused", "the ticket is not known here, or the proof is wrong")


class Issued(msgspec.Struct, array_like=True):
    """A ticket as the node keeps it."""

    key: bytes  # what proofs are checked with
    name: str  # the only name it admits; "" admits any
    node: bytes  # the key of this node that the ticket names
    until_s: int
    wrong: int = 0  # proofs
    used_by: bytes = b""  # the key that was admitted


class Joining:
    """Who may join by way of one node."""

    def __init__(
        self,
        *,
        node: str,
        key: Callable[[], PrivateKey],
        address: Callable[[], str],
        members: Members,
        agents: Agents,
        authority: Authority,
        clock: Clock,
    ) -> None:
        self._node = node
        self._key = key
        self._address = address
        self._members = members
        self._agents = agents
        self._authority = authority
        self._clock = clock
        self._tickets: dict[bytes, Issued] = {}
        self._strangers = Strangers()
        self.changed: Callable[[], None] = lambda: None  # told when the door may open or close

    def load(self, batch: Batch) -> None:
        """Read the tickets of earlier runs."""
        for identity, data in batch.scan(TABLE):
            self._tickets[identity] = msgspec.msgpack.decode(data, type=Issued)

    def is_open(self) -> bool:
        """Return whether there is a ticket that somebody may come with."""
        now_s = self._now_s()
        return any(ticket.until_s >= now_s for ticket in self._tickets.values())

    def verbs(self) -> dict[str, Answer]:
        """Return what answers the requests about tickets."""
        return {"ticket.issue": self._issue, "ticket.list": self._list, "cluster.say": self._say}

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000

    # -- issuing --

    async def _issue(self, session: Session, fields: Fields) -> object:
        """Make a ticket. Asks for `admit` on this node."""
        self._authority.allow(session.tokens, Verb.ADMIT, self._node, who=session.peer.text)
        name = fields.text("name", "")
        if name:
            self._check_name(name)
        self._check_appointed()
        await self._forget()
        if len(self._tickets) >= TICKETS_MAX:
            raise TicketRefused(f"{TICKETS_MAX} tickets are open already")
        seconds = min(fields.number("ttl_s", TICKET_S) or TICKET_S, TICKET_S_MAX)
        node = self._key().public
        address = fields.text("address", "") or self._address()
        ticket = Ticket(address, node, self._clock.random_bytes(TICKET_SECRET_BYTES))
        until_s = self._now_s() + seconds
        self._tickets[ticket.id] = Issued(ticket.key, name, node.bytes, until_s)
        await self._agents.write(lambda batch: self._keep(batch, ticket.id))
        self.changed()
        return Map({"ticket": ticket.to_text(), "id": ticket.id, "until": until_s})

    def _check_appointed(self) -> None:
        now_s = self._now_s()
        found = self._members.current.appointment(self._key().public)
        if found is None or Power.ADMIT not in found.powers:
            raise TicketRefused(f"node {self._node} is not appointed to admit anybody")
        if not found.from_s <= now_s <= found.until_s:
            raise TicketRefused(f"the appointment of node {self._node} does not hold now")

    async def _list(self, session: Session, fields: Fields) -> object:
        """Say which tickets there are, without what they could be used by."""
        self._authority.allow(session.tokens, Verb.ADMIT, self._node, who=session.peer.text)
        return tuple(
            Map({"id": identity, "name": one.name, "until": one.until_s, "used": bool(one.used_by)})
            for identity, one in sorted(self._tickets.items())
        )

    async def _say(self, session: Session, fields: Fields) -> object:
        """Take in statements that a person brings. They carry their own authority: the root's, or that of who is appointed."""
        items = fields.items("items")
        if len(items) > GOSSIP_TOLD_MAX or not all(type(item) is bytes for item in items):
            raise RequestInvalid(f"at most {GOSSIP_TOLD_MAX} byte strings at a time")
        try:
            return Map({"new": await self._members.take_said(items)})  # type: ignore[arg-type]
        except CapabilityError as error:
            self._authority.refuse(session.peer.text, "say", self._node, str(error))
            raise

    def _keep(self, batch: Batch, identity: bytes) -> None:
        batch.put(TABLE, identity, msgspec.msgpack.encode(self._tickets[identity]))

    async def _forget(self) -> None:
        """Drop the tickets whose time is over."""
        now_s = self._now_s()
        over = [identity for identity, one in self._tickets.items() if one.until_s < now_s]
        if not over:
            return
        for identity in over:
            del self._tickets[identity]

        def stage(batch: Batch) -> None:
            for identity in over:
                batch.delete(TABLE, identity)

        await self._agents.write(stage)

    # -- members that are there --

    def renewals(self, known: Membership) -> list[Statement]:
        """Return fresh records of nodes whose record names a key that is over.

        Who finds the old key then can name a second successor, and changes nothing by it.
        """
        if not self._is_appointed(known):
            return []
        return [
            self._signed(
                member.name, member.key, member.certificate, member.addresses, member.seq + 1
            )
            for member in known
            if member.renewable and member.role == "node" and member.seq < SEQ_MAX
        ]

    def _is_appointed(self, known: Membership) -> bool:
        found = known.appointment(self._key().public)
        return (
            found is not None
            and Power.ADMIT in found.powers
            and found.from_s <= self._now_s() <= found.until_s
        )

    # -- applications --

    async def apply(self, data: bytes, source: str) -> bytes | None:
        """Return the answer to an application from an address, or None: it is not even listened to."""
        if not self._strangers.may_ask(source, self._clock.now_ms()):
            await self._unheard(source)
            return None
        try:
            answer: Admission | Rejection = await self._decided(data)
        except TicketRefused as error:
            answer = Rejection(error.code, str(error))
            self._authority.refuse(source, "admit", self._node, str(error))
        except (ProtocolError, CapabilityError) as error:
            answer = STRANGER
            self._strangers.rejected(source, self._clock.now_ms())
            self._authority.refuse(source, "admit", self._node, str(error))
        await self._agents.write_decisions([])
        return encode_answer(answer)

    async def _unheard(self, source: str) -> None:
        """Count who is not listened to, and now and then write down how many there were."""
        count = self._strangers.unheard(self._clock.now_ms())
        if count:
            reason = (
                f"{count} not listened to: too many came without a ticket, the last one from here"
            )
            self._authority.refuse(source, "admit", self._node, reason)
            await self._agents.write_decisions([])

    async def _decided(self, data: bytes) -> Admission:
        """Return the admission of who has a right to it. Raises TicketInvalid or RemoteFault for who shows none."""
        application = Application.from_bytes(data)
        ticket = self._tickets.get(application.ticket)
        if ticket is None:
            raise TicketInvalid("no such ticket")
        await self._check_proof(ticket, application)
        self._check_root(application)
        key = public_key_of(application.certificate)
        if ticket.used_by == key.bytes:
            await self._members.take([])  # what could not be written before
            return self._admission()
        self._check_usable(ticket, application, key)
        record = self._signed(
            application.name, key, application.certificate, application.addresses, 1
        )
        ticket.used_by = key.bytes
        decisions: list[Decision] = []
        with Behalf("", decisions):
            reason = f"ticket {application.ticket.hex()}"
            self._authority.accept(key.text, "admit", self._node, reason)

        def also(batch: Batch) -> None:
            if application.ticket in self._tickets:  # it may be over by then
                self._keep(batch, application.ticket)
            self._agents.release(decisions)

        await self._members.take([record], also)
        return self._admission()

    async def _check_proof(self, ticket: Issued, application: Application) -> None:
        """Raises TicketInvalid; a ticket at which somebody guesses is burnt."""
        try:
            if ticket.wrong >= TICKET_WRONG_MAX:
                raise TicketInvalid("too many wrong proofs: the ticket is burnt")
            check_proof(ticket.key, PublicKey(ticket.node), application.signed, application.proof)
        except TicketInvalid:
            ticket.wrong += 1
            await self._agents.write(lambda batch: self._keep(batch, application.ticket))
            raise

    def _check_usable(self, ticket: Issued, application: Application, key: PublicKey) -> None:
        """Raises TicketRefused, to who has proved the secret and may know why."""
        if ticket.used_by:
            raise TicketRefused("the ticket has been used")
        if ticket.until_s < self._now_s():
            raise TicketRefused("the ticket is over")
        if ticket.name not in ("", application.name):
            raise TicketRefused(f"the ticket is for node {ticket.name!r}")
        self._check_name(application.name)
        if self._members.current.of_key(key):
            raise TicketRefused("the key is a member's already")
        for address in application.addresses:
            if not is_dialable(address):
                raise TicketRefused(f"nobody can dial {address!r}: the node needs another address")
        self._check_appointed()

    def _check_root(self, application: Application) -> None:
        """Raises RootMismatch, before the ticket is used up: who meant another cluster is no member of this one."""
        root = self._members.current.root
        if application.root not in (None, root):
            raise RootMismatch(f"the node is of another cluster, whose root is {root.text}")

    def _check_name(self, name: str) -> None:
        """Raises TicketRefused: what an appointed key says about a name that somebody has had counts for nothing."""
        if not is_name(name):
            raise TicketRefused(f"{name!r} is no name for a node")
        if self._members.current.node(name) is not None:
            raise TicketRefused(f"the name {name!r} is taken")
        if not self._members.is_free(name):
            raise TicketRefused(
                f"the name {name!r} was that of a node that was put out: take another, "
                "or have the root's key give it again (yin node add)"
            )

    def _signed(
        self, name: str, key: PublicKey, certificate: bytes, addresses: tuple[str, ...], seq: int
    ) -> Statement:
        record = Record(name, "node", key, certificate, addresses, seq, self._now_s())
        return sign(record, self._key())

    def _admission(self) -> Admission:
        return Admission(
            self._members.current.root,
            tuple(statement.data for statement in self._members.first_to_know()),
        )
