"""Keys change while agents run; who is removed is out at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from fleet import Fleet, fleet
from writing import NO_ROOM, Writing

from capabilities.certificate import make_certificate
from capabilities.keys import PrivateKey
from capabilities.membership import Membership
from capabilities.revocation import Revocation
from capabilities.statements import Appointment, Power, Record, Statement, Succession, sign
from capabilities.tokens import mint
from cli.cluster import now_s
from datomstore.value import Keyword, Map
from protocol.errors import AuthenticationFailed, ProtocolError, RemoteError, Unreachable
from yind.commits import Work

TOUR = '(do (hop! "beta") (sleep 100) (hop! "alpha") (transact! "s" [{:n 1}]) (here))'


async def said(nodes: Fleet, name: str, *statements: Statement) -> None:
    await nodes.nodes[name].members.take(list(statements))


async def rotated(nodes: Fleet, name: str, **fields: object) -> Map:
    answer: Map = await nodes.ask(name, "node.rotate", **fields)
    return answer


async def until_keys(nodes: Fleet, member: str, *keys: str) -> None:
    """Return when every node takes these keys for a member's."""

    def have(membership: Membership) -> bool:
        found = membership.node(member)
        return found is not None and [key.text for key in found.keys] == list(keys)

    with trio.fail_after(10):
        for node in nodes.nodes.values():
            await node.members.wait_for(have)


async def linked(nodes: Fleet, one: str, other: str) -> None:
    with trio.fail_after(5):
        await nodes.nodes[one].peers.channel(other)


async def test_a_node_changes_its_key_and_everything_goes_on(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        token = nodes.token()
        running = await nodes.spawn("alpha", "(loop [] (recur))", token)
        answer = await rotated(nodes, "alpha")
        await until_keys(nodes, "alpha", answer["new"], answer["old"])
        # The command line knows the old key alone, and is answered under it.
        assert (await nodes.ask("alpha", "node.info"))["key"] == answer["new"]
        row = await nodes.ask("alpha", "agent.show", id=running.hex())
        assert row["state"] in ("ready", "running")
        # What the agents hold names the old key: they hop, and come back, all the same.
        assert await nodes.result("alpha", TOUR, nodes.token()) == '"alpha"'
        await nodes.ask("alpha", "agent.migrate", id=running.hex(), node="gamma")
        assert (await nodes.ask("gamma", "agent.show", id=running.hex()))["state"] != "moved"
        await nodes.ask("gamma", "agent.kill", id=running.hex())


async def test_tokens_that_name_the_old_key_hold_for_the_new_one(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        old = nodes.cluster.node("alpha").key
        beta = nodes.cluster.node("beta").key
        operator = nodes.cluster.operator_key.public
        token = nodes.token(at=frozenset({old, beta}), via=frozenset({old, beta, operator}))
        await rotated(nodes, "alpha")
        assert await nodes.result("alpha", TOUR, token) == '"alpha"'


async def test_an_agent_on_its_way_arrives_though_its_target_changes_its_key(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agents = [await nodes.spawn("alpha", TOUR, nodes.token()) for _ in range(8)]
        await rotated(nodes, "beta")
        await rotated(nodes, "alpha")
        with trio.fail_after(20):
            for agent in agents:
                place, row = await nodes.settled("alpha", agent)
                assert (place, row["result"]) == ("alpha", '"alpha"'), row["fault"]


async def test_an_agent_is_taken_under_the_new_key_while_others_are_told_of_it(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        rotation = nodes.nodes["alpha"].rotation
        tell, results = rotation._tell, []

        async def tell_and_look(statements: list[bytes]) -> None:
            await tell(statements)
            results.append(await nodes.result("alpha", TOUR, nodes.token()))

        rotation._tell = tell_and_look
        await rotated(nodes, "alpha")
        assert results == ['"alpha"']


async def test_a_key_that_is_over_is_destroyed_and_opens_no_door(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        answer = await rotated(nodes, "alpha", overlap_s=1)
        await until_keys(nodes, "alpha", answer["new"])
        folder = nodes.cluster.node_folder("alpha")
        assert {path.name for path in folder.glob("node.*")} == {"node.key", "node.crt"}
        with pytest.raises((AuthenticationFailed, Unreachable)):
            await nodes.ask("alpha", "node.info")  # this folder knows the old key alone
        nodes.cluster.say(*nodes.nodes["beta"].members)
        assert (await nodes.ask("alpha", "node.info"))["key"] == answer["new"]
        assert await nodes.result("alpha", TOUR, nodes.token()) == '"alpha"'


async def test_nobody_follows_a_follower(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await rotated(nodes, "alpha")
        with pytest.raises(RemoteError, match="follows a follower"):
            await rotated(nodes, "alpha")


async def test_a_rotation_that_cannot_be_written_has_not_happened(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha = nodes.nodes["alpha"]
        before, known = alpha.identity.now.public, alpha.members.digest()
        Writing(alpha).fail()
        with pytest.raises(RemoteError, match=NO_ROOM):
            await rotated(nodes, "alpha")
        await alpha.members.take([])
        assert alpha.members.digest() == known
        for node in nodes.nodes.values():
            member = node.members.current.node("alpha")
            assert member is not None
            assert member.keys == (before,)
        answer = await rotated(nodes, "alpha")
        await until_keys(nodes, "alpha", answer["new"], answer["old"])


async def test_a_restart_after_a_rotation_finds_the_new_key(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", "(loop [] (recur))", nodes.token())
        answer = await rotated(nodes, "alpha")
        await nodes.crash("alpha")
        node = await nodes.start("alpha")
        assert node.identity.now.public.text == answer["new"]
        await linked(nodes, "beta", "alpha")
        await nodes.ask("alpha", "agent.migrate", id=agent.hex(), node="beta")
        await nodes.ask("beta", "agent.kill", id=agent.hex())


@pytest.mark.parametrize("durable", [False, True], ids=["before it is said", "after it is said"])
async def test_a_crash_in_the_middle_of_a_rotation(tmp_path: Path, durable: bool) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        old, new = alpha.identity.now, alpha.identity.prepare("alpha")
        if durable:
            now = now_s()
            step = Succession(old.public, new.public, now, now + 3600, 1, new.certificate)
            await said(nodes, "alpha", sign(step, old.key, new.key))
        await nodes.crash("alpha")
        alpha = await nodes.start("alpha")
        assert alpha.identity.now.public == (new.public if durable else old.public)
        assert await nodes.result("alpha", "(+ 1 2)") == "3"


async def test_who_is_removed_is_cut_off_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.gossip.GOSSIP_S", 3600)  # they are told, and need not compare
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        agent = await nodes.spawn("gamma", "(loop [] (recur))", nodes.token())
        for name in ("alpha", "beta"):
            await linked(nodes, "gamma", name)
        channels = [await nodes.nodes["gamma"].peers.channel(name) for name in ("alpha", "beta")]
        gamma = nodes.cluster.node("gamma")
        gone = Record("gamma", "node", gamma.key, gamma.certificate, (), 2, now_s(), removed=True)
        await said(nodes, "alpha", sign(gone, nodes.cluster.root_key))
        with trio.fail_after(10):
            for channel in channels:
                await channel.wait_closed()
        assert "gamma" not in nodes.nodes["beta"].peers.node_names()
        # It cannot come back, and nobody takes its agents.
        with pytest.raises(ProtocolError):
            await nodes.nodes["gamma"].peers.channel("beta")
        with pytest.raises(RemoteError, match="beta"):
            await nodes.ask("gamma", "agent.migrate", id=agent.hex(), node="beta")
        await nodes.ask("gamma", "agent.kill", id=agent.hex())


async def another_root(nodes: Fleet, new: PrivateKey, overlap_s: int) -> None:
    """Let a cluster have another root, beside which the old one counts for a time."""
    old, now = nodes.cluster.root_key, now_s()
    records = [
        sign(statement.fact, new)
        for statement in nodes.cluster.ledger
        if isinstance(statement.fact, Record)
    ]
    step = sign(Succession(old.public, new.public, now, now + overlap_s, 1), old, new)
    await said(nodes, "alpha", step, *records)


async def test_what_the_old_root_signed_counts_beside_the_new_one(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        before = nodes.token()
        await another_root(nodes, PrivateKey.generate(), overlap_s=60)
        assert await nodes.result("alpha", TOUR, before) == '"alpha"'


async def test_the_cluster_gets_another_root(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        old, new = nodes.cluster.root_key, PrivateKey.generate()
        before = nodes.token()
        agent = await nodes.spawn("alpha", "(loop [] (recur))", before)
        await another_root(nodes, new, overlap_s=1)
        with trio.fail_after(30):
            await nodes.nodes["beta"].members.wait_for(lambda known: known.roots == {new.public})
            await nodes.until("alpha", agent, "paused")
        found = nodes.nodes["alpha"].agents.get(agent)
        assert found is not None
        assert "block 0 is signed by a key that is no root of this cluster any more" in (
            found.record.reason
        )
        assert f"yin token renew {found.text_id}" in found.record.reason
        with pytest.raises(RemoteError, match="root"):
            await nodes.ask("alpha", "node.info")
        operator = nodes.cluster.operator_key.public
        block = nodes.cluster.operator_token.blocks[0]
        fresh = mint(new, operator, block.caveats)
        for name in ("alpha", "beta"):
            async with nodes.connected(name, fresh) as channel:
                assert (await channel.request("node.info"))["name"] == name
        # The new root may revoke what the old one signed.
        revocation = Revocation.sign(new, before, 0)
        lineage = nodes.nodes["alpha"].members.current.lineage
        assert lineage.successor(old.public) == new.public
        assert revocation.revoker == new.public


async def test_what_two_bring_at_once_counts_when_either_is_answered(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        members, cluster = nodes.nodes["alpha"].members, nodes.cluster
        old, new = cluster.root_key, PrivateKey.generate()
        step = sign(Succession(old.public, new.public, now_s(), now_s() + 60, 1), old, new)
        written, asked = trio.Event(), trio.Event()
        write = members._write_batch

        async def late(work: Work) -> None:
            asked.set()
            await written.wait()
            await write(work)

        members._write_batch = late
        async with trio.open_nursery() as nursery:
            nursery.start_soon(members.take, [step])
            await asked.wait()
            with trio.move_on_after(0.05) as again:
                await members.take([step])
            assert again.cancelled_caught
            written.set()
            await members.take([step])
            assert members.current.root == new.public


async def test_a_record_is_renewed_when_its_key_is_over_and_the_old_key_is_worth_nothing(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        old = nodes.nodes["beta"].identity.now
        now, alpha = now_s(), nodes.cluster.node("alpha").key
        trust = Appointment(alpha, Power.ADMIT, now - 1, now + 3600, 1)
        await said(nodes, "alpha", sign(trust, nodes.cluster.root_key))
        answer = await rotated(nodes, "beta", overlap_s=0)

        def is_renewed(known: Membership) -> bool:
            member = known.node("beta")
            return member is not None and member.seq == 2 and not member.renewable

        with trio.fail_after(10):
            for node in nodes.nodes.values():
                await node.members.wait_for(is_renewed)
        thief = PrivateKey.generate()
        certificate = make_certificate(thief, "beta")
        stolen = Succession(old.public, thief.public, now, now + 3600, 9, certificate)
        await said(nodes, "alpha", sign(stolen, old.key, thief))
        assert [key.text for key in nodes.nodes["alpha"].members.current.node("beta").keys] == [  # type: ignore[union-attr]
            answer["new"]
        ]


async def test_a_node_that_restarts_after_the_old_root_is_over_knows_what_the_others_know(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        old, new = nodes.cluster.root_key, PrivateKey.generate()
        now = now_s()
        facts = [statement.fact for statement in nodes.cluster.ledger]
        step = sign(Succession(old.public, new.public, now, now, 1), old, new)
        await said(nodes, "alpha", step, *(sign(fact, new) for fact in facts))
        with trio.fail_after(10):
            for node in nodes.nodes.values():
                await node.members.wait_for(lambda known: known.roots == {new.public})
        await nodes.crash("beta")
        await nodes.start("beta")
        thief = PrivateKey.generate()
        stolen = Succession(old.public, thief.public, now, now + 3600, 2)
        await said(nodes, "alpha", sign(stolen, old, thief))
        alpha, beta = nodes.nodes["alpha"].members, nodes.nodes["beta"].members
        with trio.fail_after(10):
            while alpha.digest() != beta.digest():
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert alpha.current.roots == beta.current.roots == {new.public}


async def test_a_succession_that_only_one_side_signed_is_not_taken(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        thief = PrivateKey.generate()
        now = now_s()
        forged = Record(
            "beta",
            "node",
            thief.public,
            make_certificate(thief, "beta"),
            (),
            9,
            now,
        )
        async with nodes.connected("alpha") as channel:
            with pytest.raises(RemoteError, match="only a node"):
                await channel.request("cluster.tell", Map({"items": (sign(forged, thief).data,)}))
        peer = await nodes.nodes["beta"].peers.channel("alpha")
        with pytest.raises(RemoteError, match="no say"):
            await peer.request("cluster.tell", Map({"items": (sign(forged, thief).data,)}))
        async with nodes.connected("alpha") as channel:
            with pytest.raises(RemoteError, match="no say"):
                await channel.request("cluster.say", Map({"items": (sign(forged, thief).data,)}))
        audit = nodes.nodes["alpha"].streams.get("audit").db()
        reasons = [datom.v for datom in audit.datoms("aevt", Keyword("audit/reason"))]
        assert sum("no say in this cluster" in str(reason) for reason in reasons) == 2


async def test_a_second_rotation_leaves_nobody_behind(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", "(loop [] (recur))", nodes.token())
        answer = await rotated(nodes, "alpha", overlap_s=0)
        await until_keys(nodes, "alpha", answer["new"])
        nodes.cluster.say(*nodes.nodes["alpha"].members)
        with pytest.raises(RemoteError, match="1 agents hold tokens that name an older key"):
            await rotated(nodes, "alpha")
        await nodes.ask("alpha", "agent.kill", id=agent.hex())
        second = await rotated(nodes, "alpha")
        assert second["old"] == answer["new"]
        assert await nodes.result("alpha", "(here)", nodes.token()) == '"alpha"'
