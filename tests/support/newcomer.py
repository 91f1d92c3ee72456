"""A machine that joins a simulated world by a ticket, in the middle of what goes on there.

Is:     what `yin cluster appoint`, `yin cluster ticket` and `yin join` do, over the connections of the world.
Is not: who admits it: that is the node (`yind.joining`).
Fits:   `simulating` has it come; from then on the world has one place more.

Who does not hear an answer asks again. So does whoever has found the ticket, who must never be let in.
"""

from __future__ import annotations

from contextlib import suppress

import trio
from simulated import FIRST_PORT, FOUNDERS, REVAGES_S, Found, Simulated
from wires import at

from capabilities.certificate import make_certificate
from capabilities.keys import PrivateKey, save_private
from capabilities.statements import Appointment, Power, Statement, sign
from capabilities.tickets import Ticket
from cli.cluster import write_settings
from protocol.address import split_address
from protocol.errors import ProtocolError
from protocol.framing import FrameBuffer, encode_frame
from protocol.joining import Admission, Application, Rejection, decode_answer
from protocol.limits import ADMISSION_BYTES_MAX, RECEIVE_BYTES
from protocol.stream import SecureStream
from protocol.tls import JOIN_ALPN, applicant_context, server_name

NAME, THIEF = "delta", "epsilon"
DOOR = FOUNDERS[0]  # the node that admits
AGAIN_S = 0.5
ANSWER_S = 5.0
LISTEN = f"127.0.0.1:{FIRST_PORT + len(FOUNDERS)}"
ADMITTED = """[:find ?e ?allowed ?reason :where [?e :audit/verb :admit] [?e :audit/resource "alpha"]
               [?e :audit/allowed ?allowed] [?e :audit/reason ?reason]]"""


class Newcomer:
    """A machine, its ticket, and somebody else who has found that."""

    def __init__(self, nodes: Simulated, found: Found) -> None:
        self._nodes = nodes
        self._found = found
        self._chance = nodes.world.chance
        self._ticket: Ticket | None = None

    async def appoint(self) -> None:
        """Have the root let a node admit others."""
        cluster, now_s = self._nodes.cluster, self._nodes.now_s()
        appointed = Appointment(
            cluster.node(DOOR).key, Power.ADMIT, now_s - 60, now_s + 86_400, seq=1
        )
        statement = sign(appointed, cluster.root_key)
        cluster.say(statement)
        await self._nodes.ask(DOOR, "cluster.say", items=(statement.data,))

    async def come(self) -> None:
        """Join, and begin to run; then somebody else comes with the ticket."""
        while True:
            answer = await self._nodes.try_ask(DOOR, "ticket.issue", name="")
            if answer is not None:
                break
            await trio.sleep(AGAIN_S)
        ticket = self._ticket = Ticket.parse(answer["ticket"])
        self._note("ticket")
        with at(NAME):
            admission = await self._apply(ticket, NAME, self._certificate())
            if not isinstance(admission, Admission):
                self._found.wrong.append(f"{NAME} was not admitted: {admission}")
                return
        await self._begin(admission)
        self._note("joined")
        with at(THIEF):
            if (
                await self._apply(ticket, THIEF, make_certificate(PrivateKey.generate(), THIEF))
                != USED
            ):
                self._found.wrong.append("a ticket was good twice")

    def _note(self, kind: str) -> None:
        self._found.faults[kind] += 1
        self._nodes.world.note(f"-- {kind} {NAME}")

    def _certificate(self) -> bytes:
        """Return the certificate of a key that is made for the machine."""
        folder = self._nodes.cluster.node_folder(NAME)
        folder.mkdir(parents=True)
        key = PrivateKey.generate()
        save_private(folder / "node.key", key)
        certificate = make_certificate(key, NAME)
        (folder / "node.crt").write_bytes(certificate)
        return certificate

    async def _begin(self, admission: Admission) -> None:
        nodes = self._nodes
        nodes.cluster.say(*map(Statement.from_bytes, admission.statements))
        folder = nodes.cluster.node_folder(NAME)
        write_settings(folder, NAME, LISTEN, members="../../members", root=admission.root)
        nodes.revage[NAME] = self._chance.choice(REVAGES_S)
        nodes.configure(NAME)
        await nodes.start(NAME)

    async def _apply(self, ticket: Ticket, name: str, certificate: bytes) -> Admission | Rejection:
        """Return the answer to an application; who does not hear it makes it again."""
        application = Application.make(
            ticket, name=name, addresses=(LISTEN,), certificate=certificate
        )
        while True:
            with suppress(ProtocolError, OSError, trio.BrokenResourceError):
                with trio.move_on_after(ANSWER_S):
                    return decode_answer(await _answered(ticket, application.to_bytes()))
            await trio.sleep(AGAIN_S)

    async def check(self) -> None:
        """Note whatever is wrong with what the node that admits has written down."""
        if self._ticket is None:
            return
        rows = (await self._nodes.ask(DOOR, "query", stream="audit", query=ADMITTED))["value"]
        by_ticket = f"ticket {self._ticket.id.hex()}"
        admitted = sum(allowed and reason == by_ticket for _, allowed, reason in rows)
        refused = sum(not allowed and reason == USED.message for _, allowed, reason in rows)
        if admitted != 1 or not refused:
            self._found.wrong.append(f"the ticket let in {admitted}, and {refused} were refused")


USED = Rejection("join/ticket", "the ticket has been used")


async def _answered(ticket: Ticket, application: bytes) -> bytes:
    """Return what a node answers to an application. Raises ProtocolError, OSError or BrokenResourceError."""
    plain = await trio.open_tcp_stream(*split_address(ticket.address))
    stream = SecureStream(plain, applicant_context(), server_name=server_name(ticket.node))
    try:
        await stream.shake_hands()
        assert stream.protocol == JOIN_ALPN, stream.protocol
        await stream.send_all(encode_frame(application))
        buffer = FrameBuffer(ADMISSION_BYTES_MAX)
        while data := await stream.receive_some(RECEIVE_BYTES):
            if frames := buffer.receive(data):
                return frames[0]
        raise trio.BrokenResourceError("no answer")
    finally:
        await trio.aclose_forcefully(stream)
