"""A ticket lets one fresh machine in, once, and everybody learns of it; nobody else is let in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from fleet import Fleet, fleet

from capabilities import statements
from capabilities.caveats import Verb
from capabilities.certificate import make_certificate
from capabilities.keys import PrivateKey, PublicKey
from capabilities.limits import SEQ_MAX
from capabilities.membership import Ledger, Membership
from capabilities.statements import Appointment, Power, Record, sign
from capabilities.tickets import Ticket
from cli.cluster import now_s
from datomstore.datalog import q
from datomstore.storage import Storage, StorageError
from protocol.client import apply
from protocol.errors import AuthenticationFailed, RemoteError, Unreachable
from protocol.joining import Admission, Application, Rejection, decode_answer
from yind.joining import STRANGER as STRANGER_ANSWER
from yind.limits import REJECTED_ALL_MAX, REJECTED_MAX, REJECTED_S, TICKET_WRONG_MAX
from yind.members import Members
from yind.strangers import Strangers

Answer = Admission | Rejection
NEW, STRANGER = PrivateKey(b"n" * 32), PrivateKey(b"s" * 32)


async def appoint(nodes: Fleet, name: str, until_s: int = 3600, seq: int = 1) -> None:
    now = now_s()
    fact = Appointment(nodes.cluster.node(name).key, Power.ADMIT, now - 1, now + until_s, seq)
    await nodes.nodes[name].members.take([sign(fact, nodes.cluster.root_key)])


class Full:
    """A storage without room, until it has some."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self._transaction = storage, storage.transaction
        storage.transaction = self._refused  # type: ignore[method-assign]

    def _refused(self, *, write: bool = False, **more: Any) -> Any:
        if write:
            raise StorageError("the storage is full")
        return self._transaction(write=write, **more)

    def end(self) -> None:
        self._storage.transaction = self._transaction  # type: ignore[method-assign]


def storage_is_full(nodes: Fleet, name: str) -> Full:
    return Full(nodes.nodes[name].storage)


async def ticket_of(nodes: Fleet, node: str, **fields: object) -> Ticket:
    return Ticket.parse((await nodes.ask(node, "ticket.issue", **fields))["ticket"])


async def applied(
    ticket: Ticket, name: str = "delta", key: PrivateKey = NEW, **changes: Any
) -> Answer:
    application = Application.make(
        ticket, name=name, addresses=("127.0.0.1:1",), certificate=make_certificate(key, name)
    )
    return await sent(ticket, replace(application, **changes).to_bytes())


def application(
    ticket: Ticket,
    name: str = "delta",
    addresses: tuple[str, ...] = ("127.0.0.1:1",),
    root: PublicKey | None = None,
) -> Application:
    certificate = make_certificate(NEW, name)
    return Application.make(
        ticket, name=name, addresses=addresses, certificate=certificate, root=root
    )


async def asked(ticket: Ticket, **fields: Any) -> Answer:
    return await sent(ticket, application(ticket, **fields).to_bytes())


async def sent(ticket: Ticket, data: bytes) -> Answer:
    answer = await trio.to_thread.run_sync(apply, ticket.address, ticket.node, data)
    return decode_answer(answer)


async def closed_door(ticket: Ticket) -> bool:
    try:
        await sent(ticket, b"?")
    except (AuthenticationFailed, Unreachable):
        return True
    return False


async def refusals(nodes: Fleet, name: str) -> list[str]:
    stream = nodes.nodes[name].streams.get("audit")
    rows = {d.e: {} for d in stream.db().datoms()}  # type: ignore[var-annotated]
    for datom in stream.db().datoms():
        rows[datom.e][datom.a.name] = datom.v
    return [
        str(row.get("audit/reason", ""))
        for row in rows.values()
        if row.get("audit/verb") is not None
        and row["audit/verb"].name == "admit"
        and row["audit/allowed"] is False
    ]


async def until_known(nodes: Fleet, name: str, member: str) -> None:
    members = nodes.nodes[name].members
    await members.wait_for(lambda known: known.node(member) is not None)


async def test_who_has_a_ticket_is_admitted_and_all_nodes_know_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.gossip.GOSSIP_S", 3600)  # they are told, and need not compare
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        await appoint(nodes, "alpha")
        answer = await applied(await ticket_of(nodes, "alpha"))
        assert isinstance(answer, Admission)
        assert answer.root == nodes.cluster.root
        assert len(answer.statements) == 6  # operator, three nodes, the appointment, itself
        with trio.fail_after(10):
            for name in nodes.nodes:
                await until_known(nodes, name, "delta")
                member = nodes.nodes[name].members.current.node("delta")
                assert member is not None
                assert member.key == NEW.public
        assert await refusals(nodes, "alpha") == []


async def test_a_ticket_is_good_once_also_after_a_crash(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        ticket = await ticket_of(nodes, "alpha")
        other = await ticket_of(nodes, "alpha")
        assert isinstance(await applied(ticket), Admission)
        for _ in range(2):
            again = await applied(ticket, "epsilon", PrivateKey.generate())
            assert again == Rejection("join/ticket", "the ticket has been used")
            await nodes.crash("alpha")
            await nodes.start("alpha")
        assert isinstance(await applied(ticket), Admission)  # who did not hear the answer
        assert isinstance(await applied(other, "epsilon", PrivateKey.generate()), Admission)
        assert (await refusals(nodes, "alpha")) == ["the ticket has been used"] * 2


async def test_that_somebody_was_admitted_is_written_down_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = "[:find [?who ...] :where [?e :audit/verb :admit] [?e :audit/allowed true] [?e :audit/who ?who]]"
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        ticket, alpha = await ticket_of(nodes, "alpha"), nodes.nodes["alpha"]
        take, found = Members.take, []

        async def taken(self: Members, *arguments: Any) -> int:
            count = await take(self, *arguments)
            if len(arguments) == 2:  # of who is admitted
                found.append(q(who, alpha.streams.get("audit").db()))  # as a crash would leave it
            return count

        monkeypatch.setattr(Members, "take", taken)
        assert isinstance(await applied(ticket), Admission)
        assert found
        assert all(NEW.public.text in one for one in found)


async def test_who_holds_no_secret_learns_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        ticket = await ticket_of(nodes, "alpha")
        stranger = replace(ticket, secret=bytes(16))
        unknown = await applied(stranger)
        wrong = await applied(ticket, proof=bytes(32))
        assert isinstance(unknown, Rejection)
        assert unknown == wrong
        assert unknown == await sent(ticket, b"GET / HTTP/1.1")
        assert len(await refusals(nodes, "alpha")) == 3
        assert isinstance(await applied(ticket), Admission)


async def test_a_changed_application_or_one_for_another_node_has_a_wrong_proof(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await appoint(nodes, "alpha")
        await appoint(nodes, "beta")
        ticket = await ticket_of(nodes, "alpha")
        mallory = Application.make(
            ticket,
            name="mallory",
            addresses=(),
            certificate=make_certificate(PrivateKey.generate(), "mallory"),
        )
        assert isinstance(await applied(ticket, signed=mallory.signed), Rejection)
        elsewhere = await ticket_of(nodes, "beta")
        moved = replace(ticket, address=elsewhere.address, node=elsewhere.node)
        assert isinstance(await applied(moved), Rejection)
        with pytest.raises(AuthenticationFailed, match="not the node of the ticket"):
            await applied(replace(ticket, address=elsewhere.address))


async def test_a_ticket_at_which_somebody_guesses_is_burnt(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        ticket = await ticket_of(nodes, "alpha")
        for _ in range(TICKET_WRONG_MAX):
            assert isinstance(await applied(ticket, proof=bytes(32)), Rejection)
        assert isinstance(await applied(ticket), Rejection)


async def test_after_many_strangers_their_address_is_not_heard_for_a_while(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        ticket = await ticket_of(nodes, "alpha")
        for _ in range(REJECTED_MAX):
            await applied(replace(ticket, secret=bytes(16)))
        for _ in range(3):
            with pytest.raises(Unreachable, match="without an answer"):
                await applied(ticket)
        *said, last = sorted(await refusals(nodes, "alpha"), key=lambda why: "not listened" in why)
        assert len(said) == REJECTED_MAX
        assert last.startswith("1 not listened to")  # the others are told of in a minute, at once
        good = Application.make(
            ticket, name="delta", addresses=("h:1",), certificate=make_certificate(NEW, "delta")
        )
        answer = await nodes.nodes["alpha"].joining.apply(good.to_bytes(), "192.0.2.7")
        assert answer is not None
        assert isinstance(decode_answer(answer), Admission)


def test_an_address_is_heard_again_when_its_minute_is_over() -> None:
    strangers, minute = Strangers(), REJECTED_S * 1000
    for moment in range(REJECTED_MAX):
        assert strangers.may_ask("a", moment)
        strangers.rejected("a", moment)
    assert not strangers.may_ask("a", minute - 1)
    assert strangers.may_ask("b", minute - 1)
    assert strangers.may_ask("a", minute)


def test_strangers_at_ever_other_addresses_close_the_door_and_fill_no_memory() -> None:
    strangers, minute = Strangers(), REJECTED_S * 1000
    for number in range(REJECTED_ALL_MAX):
        assert strangers.may_ask(str(number), 0)
        strangers.rejected(str(number), 0)
    assert not strangers.may_ask("another", minute - 1)
    assert strangers.may_ask("another", minute)
    assert not strangers._of


def test_those_who_are_not_heard_are_told_of_once_a_minute() -> None:
    strangers, minute = Strangers(), REJECTED_S * 1000
    assert [strangers.unheard(moment) for moment in (0, 1, 2, minute - 1)] == [1, 0, 0, 0]
    assert [strangers.unheard(moment) for moment in (minute, minute + 1)] == [4, 0]


async def test_who_means_another_cluster_is_not_admitted_and_the_ticket_is_good(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        ticket, root = await ticket_of(nodes, "alpha"), nodes.cluster.root
        refused = await asked(ticket, root=STRANGER.public)
        assert isinstance(refused, Rejection)
        assert (refused.code, root.text in refused.message) == ("join/root", True)
        assert nodes.nodes["alpha"].members.current.node("delta") is None
        assert isinstance(await asked(ticket, root=root), Admission)
        again = await asked(ticket, root=STRANGER.public)  # nor is it told what was admitted
        assert isinstance(again, Rejection)


async def test_the_root_that_is_meant_is_covered_by_the_proof(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        ticket = await ticket_of(nodes, "alpha")
        meant = application(ticket, root=STRANGER.public)
        for other in (application(ticket), application(ticket, root=nodes.cluster.root)):
            answer = await sent(ticket, replace(meant, signed=other.signed).to_bytes())
            assert answer == STRANGER_ANSWER


@pytest.mark.parametrize("address", ["0.0.0.0:7400", "[::]:7400", "*:7400", ":7400", "h:0", "h"])
async def test_an_address_that_nobody_can_dial_is_refused_and_the_ticket_is_good(
    tmp_path: Path, address: str
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        ticket = await ticket_of(nodes, "alpha")
        answer = await asked(ticket, addresses=(address,))
        assert isinstance(answer, Rejection)
        assert f"nobody can dial {address!r}" in answer.message
        assert isinstance(await asked(ticket), Admission)


async def test_no_ticket_is_made_for_the_name_of_who_was_put_out(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await appoint(nodes, "alpha")
        ticket = await ticket_of(nodes, "alpha")
        beta = nodes.cluster.node("beta")
        gone = Record("beta", "node", beta.key, beta.certificate, (), 2, now_s(), removed=True)
        await nodes.nodes["alpha"].members.take([sign(gone, nodes.cluster.root_key)])
        with pytest.raises(RemoteError, match="'beta' was that of a node that was put out"):
            await ticket_of(nodes, "alpha", name="beta")
        with pytest.raises(RemoteError, match="'alpha' is taken"):
            await ticket_of(nodes, "alpha", name="alpha")
        answer = await asked(ticket, name="beta")
        assert isinstance(answer, Rejection)
        assert "put out" in answer.message


async def test_what_a_member_says_of_a_name_takes_it_from_no_ticket(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await appoint(nodes, "alpha")
        beta = nodes.nodes["beta"].identity.now
        certificate = make_certificate(beta.key, "delta")
        said = Record("delta", "node", beta.public, certificate, ("h:1",), SEQ_MAX, now_s())
        assert await nodes.nodes["alpha"].members.take([sign(said, beta.key)]) == 1
        answer = await applied(await ticket_of(nodes, "alpha", name="delta"))
        assert isinstance(answer, Admission)
        delta = nodes.nodes["alpha"].members.current.node("delta")
        assert delta is not None
        assert delta.key == NEW.public


async def test_a_ticket_admits_one_machine_though_its_record_could_not_be_written(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        ticket, joining = await ticket_of(nodes, "alpha"), nodes.nodes["alpha"].joining
        full = storage_is_full(nodes, "alpha")
        for _ in range(2):
            with pytest.raises(StorageError):
                await joining.apply(application(ticket).to_bytes(), "192.0.2.7")
        full.end()
        other = await applied(ticket, "epsilon", PrivateKey.generate())
        assert other == Rejection("join/ticket", "the ticket has been used")
        assert isinstance(await asked(ticket), Admission)
        await nodes.crash("alpha")
        await nodes.start("alpha")
        assert nodes.nodes["alpha"].members.current.node("delta") is not None
        other = await applied(ticket, "epsilon", PrivateKey.generate())
        assert other == Rejection("join/ticket", "the ticket has been used")


async def test_what_could_not_be_written_is_forgotten_by_a_crash_with_its_ticket(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        ticket, alpha = await ticket_of(nodes, "alpha"), nodes.nodes["alpha"]
        full = storage_is_full(nodes, "alpha")
        before = alpha.members.digest(), alpha.members.listed(b"")
        with pytest.raises(StorageError):
            await alpha.joining.apply(application(ticket).to_bytes(), "192.0.2.7")
        assert (alpha.members.digest(), alpha.members.listed(b"")) == before
        await nodes.crash("alpha")
        full.end()
        await nodes.start("alpha")
        assert nodes.nodes["alpha"].members.current.node("delta") is None
        other = await applied(ticket, "epsilon", PrivateKey.generate())
        assert isinstance(other, Admission)


async def test_who_is_removed_is_out_though_the_storage_is_full_and_it_is_written_later(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        beta, members = nodes.cluster.node("beta"), nodes.nodes["alpha"].members
        gone = Record("beta", "node", beta.key, beta.certificate, (), 2, now_s(), removed=True)
        statement = sign(gone, nodes.cluster.root_key)
        full = storage_is_full(nodes, "alpha")
        for _ in range(2):
            with pytest.raises(StorageError):
                await members.take([statement])
            assert members.current.node("beta") is None
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert nodes.nodes["gamma"].members.current.node("beta") is not None
        full.end()
        with trio.fail_after(5):
            known = nodes.nodes["gamma"].members
            await known.wait_for(lambda found: found.node("beta") is None)
        await nodes.crash("alpha")
        await nodes.start("alpha")
        assert nodes.nodes["alpha"].members.current.node("beta") is None


async def test_a_change_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    at = Ledger.at

    def counted(self: Ledger, now_s: int) -> Membership:
        looks.append(now_s)
        return at(self, now_s)

    async with fleet(tmp_path, "alpha") as nodes:
        alpha, root = nodes.cluster.node("alpha"), nodes.cluster.root_key
        await trio.testing.wait_all_tasks_blocked()
        monkeypatch.setattr(Ledger, "at", counted)
        for seq in range(2, 5):
            moved = Record("alpha", "node", alpha.key, alpha.certificate, ("h:1",), seq, now_s())
            for _ in range(2):
                await nodes.nodes["alpha"].members.take([sign(moved, root)])
            await trio.testing.wait_all_tasks_blocked()
        assert len(looks) == 3


async def test_a_record_after_which_there_is_no_number_is_not_renewed(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await appoint(nodes, "alpha")
        alpha, beta = nodes.nodes["alpha"], nodes.nodes["beta"].identity.now
        for seq, count in ((SEQ_MAX - 1, 1), (SEQ_MAX, 0)):
            last = Record("beta", "node", beta.public, beta.certificate, ("h:1",), seq, now_s())
            await alpha.members.take([sign(last, nodes.cluster.root_key)])
            member = alpha.members.current.node("beta")
            assert member is not None
            known = replace(
                alpha.members.current, members={("node", "beta"): replace(member, renewable=True)}
            )
            assert len(alpha.joining.renewals(known)) == count


async def test_a_node_starts_with_what_an_earlier_release_took_and_leaves_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"].identity.now
        last = Record("alpha", "node", alpha.public, alpha.certificate, (), 2**64 - 1, now_s())
        with monkeypatch.context() as before:
            before.setattr(statements, "SEQ_MAX", 2**64 - 1)
            kept = sign(last, alpha.key)
            await nodes.nodes["alpha"].members.take([kept])
        await nodes.crash("alpha")
        members = (await nodes.start("alpha")).members
        assert kept.id not in {statement.id for statement in members}
        assert members.current.node("alpha") is not None


async def test_a_ticket_holds_for_its_time_and_its_name(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        named = await ticket_of(nodes, "alpha", name="delta")
        for name, why in (("epsilon", "is for node"), ("alpha", "is for node")):
            answer = await applied(named, name)
            assert isinstance(answer, Rejection)
            assert why in answer.message
        assert isinstance(await applied(named), Admission)
        over, good = await ticket_of(nodes, "alpha"), await ticket_of(nodes, "alpha")
        tickets = nodes.nodes["alpha"].joining._tickets
        tickets[over.id].until_s = now_s() - 1
        answer = await applied(over, "epsilon", PrivateKey.generate())
        assert answer == Rejection("join/ticket", "the ticket is over")
        for ticket in (named, good):
            tickets[ticket.id].until_s = now_s() - 1
        assert await closed_door(over)
        taken = await applied(await ticket_of(nodes, "alpha"), "alpha", PrivateKey.generate())
        assert isinstance(taken, Rejection)
        assert "taken" in taken.message


async def test_without_a_ticket_there_is_no_door(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        member = nodes.cluster.node("alpha")
        ticket = Ticket(member.addresses[0], member.key, bytes(16))
        with pytest.raises((AuthenticationFailed, Unreachable)):
            await applied(ticket)


async def test_a_node_admits_only_while_it_is_appointed(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        with pytest.raises(RemoteError, match="not appointed"):
            await ticket_of(nodes, "alpha")
        await appoint(nodes, "alpha")
        ticket = await ticket_of(nodes, "alpha")
        await appoint(nodes, "alpha", until_s=-1, seq=2)
        answer = await applied(ticket)
        assert isinstance(answer, Rejection)
        assert "does not hold now" in answer.message


async def test_a_ticket_asks_for_the_right_to_admit(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        token = nodes.token((Verb.QUERY | Verb.SPAWN, "**"))
        async with nodes.connected("alpha", token) as channel:
            with pytest.raises(RemoteError, match="admit on node alpha"):
                await channel.request("ticket.issue")
            with pytest.raises(RemoteError, match="admit on node alpha"):
                await channel.request("ticket.list")


async def test_a_ticket_is_good_under_the_key_that_it_names_while_that_holds(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await appoint(nodes, "alpha")
        before = await ticket_of(nodes, "alpha")
        await nodes.ask("alpha", "node.rotate", overlap_s=3600)
        after = await ticket_of(nodes, "alpha")
        assert before.node != after.node
        assert isinstance(await applied(before), Admission)
        assert isinstance(await applied(after, "epsilon", PrivateKey.generate()), Admission)
        members = nodes.nodes["alpha"].members.current
        assert {member.name for member in members} >= {"delta", "epsilon"}
