"""Revocations reach every node, also one that was away; and nobody can fill the list with noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import trio
from fleet import Fleet, fleet
from writing import NO_ROOM, Writing

from capabilities import revocation
from capabilities.caveats import Caveats, Rights, Verb
from capabilities.errors import TokenInvalid
from capabilities.keys import PrivateKey
from capabilities.revocation import D_REVOCATION, Revocation, RevocationSet, SignerRevocation
from capabilities.tokens import Token, mint
from datomstore.storage import StorageError
from datomstore.value import Keyword, Map
from protocol.errors import RemoteError
from yind.agent import Agent, State
from yind.cesk import Machine
from yind.errors import HopRefused
from yind.offspring import Offspring

ENDLESS = "(loop [] (recur))"


async def test_a_revocation_told_to_one_node_pauses_agents_on_another(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        token = nodes.token()
        agent = await nodes.spawn("gamma", ENDLESS, token)
        revocation = Revocation.sign(nodes.cluster.root_key, token, 0)
        answer = await nodes.ask(
            "alpha", "token.revoke", revocation=revocation.to_bytes(), token=token.to_bytes()
        )
        assert answer["new"]
        with trio.fail_after(10):
            await nodes.until("gamma", agent, "paused")
        row = await nodes.ask("gamma", "agent.show", id=agent.hex())
        assert row["reason"] == "token revoked: block 0"


async def test_every_node_says_how_many_agents_it_pauses_whoever_told_it_first(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token = nodes.token()
        agents = [(name, await nodes.spawn(name, ENDLESS, token)) for name in nodes.nodes]
        await nodes.spawn("beta", ENDLESS, nodes.token())  # another token, which stays good
        said = Revocation.sign(nodes.cluster.root_key, token, 0)
        body = {"revocation": said.to_bytes(), "token": token.to_bytes()}
        counts = [(await nodes.ask("alpha", "token.revoke", **body))["paused"]]
        with trio.fail_after(10):
            for name, agent in agents:
                await nodes.until(name, agent, "paused")  # beta has heard of it from alpha
        counts += [
            (await nodes.ask(name, "token.revoke", **body))["paused"] for name in nodes.nodes
        ]
        assert counts == [1, 1, 1]


async def test_a_node_that_was_away_catches_up(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token = nodes.token()
        agent = await nodes.spawn("beta", ENDLESS, token)
        await nodes.stop("beta")
        revocation = Revocation.sign(nodes.cluster.root_key, token, 0)
        await nodes.ask(
            "alpha", "token.revoke", revocation=revocation.to_bytes(), token=token.to_bytes()
        )
        await nodes.start("beta")
        with trio.fail_after(10):
            await nodes.until("beta", agent, "paused")
        digests = {(await nodes.ask(name, "revocation.digest"))["digest"] for name in nodes.nodes}
        assert len(digests) == 1


async def test_a_revocation_outlives_a_crash(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token()
        revocation = Revocation.sign(nodes.cluster.root_key, token, 0)
        await nodes.ask(
            "alpha", "token.revoke", revocation=revocation.to_bytes(), token=token.to_bytes()
        )
        await nodes.crash("alpha")
        await nodes.start("alpha")
        with pytest.raises(RemoteError, match="a token that holds: block 0 is revoked"):
            await nodes.spawn("alpha", "(streams)", token)
        async with nodes.connected("alpha", token) as channel:
            with pytest.raises(RemoteError, match="block 0 is revoked"):
                await channel.request("stream.transact", Map({"stream": "s", "data": ()}))


async def test_a_revocation_that_could_not_be_written_is_new_when_it_comes_again(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha, token = nodes.nodes["alpha"], nodes.token()
        agent = await nodes.spawn("alpha", ENDLESS, token)
        said = Revocation.sign(nodes.cluster.root_key, token, 0)
        Writing(alpha).fail(lambda: len(alpha.authority.revoked) == 1)
        with pytest.raises(StorageError, match=NO_ROOM):
            await alpha.revocations.take([said])
        assert await alpha.revocations.take([said]) == (1, 1)
        assert await alpha.revocations.take([said]) == (0, 1)
        with trio.fail_after(10):
            await nodes.until("alpha", agent, "paused")
        await nodes.crash("alpha")
        await nodes.start("alpha")
        assert [*nodes.nodes["alpha"].authority.revoked] == [said]


async def test_a_revocation_that_could_not_be_written_is_when_there_is_room_again(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha, token = nodes.nodes["alpha"], nodes.token()
        agents = {name: await nodes.spawn(name, ENDLESS, token) for name in nodes.nodes}
        said = Revocation.sign(nodes.cluster.root_key, token, 0)
        Writing(alpha).fail(lambda: len(alpha.authority.revoked) == 1)
        body = {"revocation": said.to_bytes(), "token": token.to_bytes()}
        with pytest.raises(RemoteError, match=NO_ROOM):
            await nodes.ask("alpha", "token.revoke", **body)
        with trio.fail_after(10):
            for name, agent in agents.items():
                await nodes.until(name, agent, "paused")


async def test_what_is_over_is_dropped_from_the_disk_and_an_earlier_list_is_read(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha, root = nodes.nodes["alpha"], nodes.cluster.root_key
        kept = [Revocation.sign(root, nodes.token(), 0) for _ in range(2)]
        signers = SignerRevocation.sign(root, root.public, nodes.now_s())
        over = Revocation.sign(root, nodes.token(ttl_s=-2 * 86_400), 0)
        earlier = RevocationSet()
        assert all(earlier.add(one) for one in (kept[0], over))
        assert earlier.add_signer(signers)
        await alpha.agents.write(
            lambda batch: batch.put("authority", b"revocations", earlier.encode())
        )
        await alpha.agents.write(
            lambda batch: batch.put("revoked", over.place, bytes(32) + over.to_bytes())
        )
        await alpha.revocations.take([kept[1]])
        for _ in range(2):
            await nodes.stop("alpha")
            alpha = await nodes.start("alpha")
            found = alpha.authority.revoked
            assert {*found, *found.signers()} == {*kept, signers}
        with alpha.streams.batch() as batch:
            assert batch.get("authority", b"revocations") is None
            rows = {place for place, _ in batch.scan("revoked")}
        assert rows == {signers.place, *(one.place for one in kept)}


async def test_a_list_that_becomes_full_keeps_what_it_had_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "REVOCATIONS_MAX", 2)
    async with fleet(tmp_path, "alpha") as nodes:
        alpha, root = nodes.nodes["alpha"], nodes.cluster.root_key
        said = [Revocation.sign(root, nodes.token(), 0) for _ in range(3)]
        with pytest.raises(TokenInvalid, match="already"):
            await alpha.revocations.take(said)
        assert await alpha.revocations.take(said[:2]) == (0, 0)
        await nodes.crash("alpha")
        await nodes.start("alpha")
        assert {*nodes.nodes["alpha"].authority.revoked} == {*said[:2]}


def filler(nodes: Fleet) -> dict[str, Any]:
    """Return what somebody says who revokes what was just made for that, with a token that allows next to nothing."""
    operator = nodes.cluster.operator_key
    token = nodes.token((Verb.READ, "nowhere/nothing"), ttl_s=60)
    token = token.append(operator, operator.public, Caveats())
    said = Revocation.sign(operator, token, 1)
    return {"revocation": said.to_bytes(), "token": token.to_bytes()}


async def test_what_others_fill_the_list_with_keeps_no_root_from_revoking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "REVOCATIONS_MAX", 6)
    monkeypatch.setattr("yind.authority.REVOCATIONS_RESERVED", 2)
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        for _ in range(4):
            await nodes.ask("alpha", "token.revoke", **filler(nodes))
        with trio.fail_after(10):
            while len(nodes.nodes["beta"].authority.revoked) < 4:
                await trio.testing.wait_all_tasks_blocked(0.01)
        for name in nodes.nodes:
            with pytest.raises(RemoteError, match="holds 4 revocations already"):
                await nodes.ask(name, "token.revoke", **filler(nodes))
        await nodes.stop("alpha")
        await nodes.start("alpha")
        for name in nodes.nodes:
            token = nodes.token()
            said = Revocation.sign(nodes.cluster.root_key, token, 0)
            body = {"revocation": said.to_bytes(), "token": token.to_bytes()}
            assert (await nodes.ask(name, "token.revoke", **body))["new"]


async def test_one_person_has_so_many_revocations_in_the_list_and_roots_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.control.REVOCATIONS_PERSON_MAX", 3)
    async with fleet(tmp_path, "alpha") as nodes:
        first = filler(nodes)
        for body in (first, filler(nodes), filler(nodes)):
            await nodes.ask("alpha", "token.revoke", **body)
        for _ in range(2):
            with pytest.raises(RemoteError, match="3 revocations from here already"):
                await nodes.ask("alpha", "token.revoke", **filler(nodes))
            assert not (await nodes.ask("alpha", "token.revoke", **first))["new"]
            token = nodes.token()
            said = Revocation.sign(nodes.cluster.root_key, token, 0)
            body = {"revocation": said.to_bytes(), "token": token.to_bytes()}
            assert (await nodes.ask("alpha", "token.revoke", **body))["new"]
            await nodes.stop("alpha")
            await nodes.start("alpha")
        alpha = nodes.nodes["alpha"]
        ended = nodes.now_s() + 2 * 86_400
        monkeypatch.setattr(alpha.revocations, "_now_s", lambda: ended)
        alpha.revocations._forget()
        monkeypatch.undo()
        monkeypatch.setattr("yind.control.REVOCATIONS_PERSON_MAX", 1)
        assert (await nodes.ask("alpha", "token.revoke", **filler(nodes)))["new"]


async def test_one_node_does_not_fill_the_list_and_what_is_known_is_not_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.revocations.REVOCATIONS_NODE_MAX", 2)
    async with fleet(tmp_path, "alpha") as nodes:
        list_ = nodes.nodes["alpha"].revocations
        items = [filler(nodes)["revocation"] for _ in range(5)]
        hostile, honest = PrivateKey.generate().public, PrivateKey.generate().public
        with pytest.raises(TokenInvalid, match="2 revocations from here already"):
            await list_.take_bytes(items[:3], hostile)
        assert await list_.take_bytes(items[3:], honest) == 2
        known = list_.listed(b"")
        assert sorted(known) == sorted([*items[:2], *items[3:]])
        monkeypatch.setattr("yind.revocations.statement", None)
        assert await list_.take_bytes(known, hostile) == 0


async def test_a_statement_by_somebody_without_the_right_is_refused(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token()
        stranger = Revocation.sign(PrivateKey.generate(), token, 0)
        with pytest.raises(RemoteError, match="does not concern"):
            await nodes.ask(
                "alpha", "token.revoke", revocation=stranger.to_bytes(), token=token.to_bytes()
            )
        with pytest.raises(RemoteError, match="token"):
            await nodes.ask("alpha", "token.revoke", revocation=stranger.to_bytes())
        assert (await nodes.ask("alpha", "revocation.list"))["items"] == ()


def ending(revoker: PrivateKey, token: Token, until: int | None) -> Revocation:
    """Return a revocation of a token's first block that says another end than the block's."""
    told = token.ids[0] + (b"" if until is None else until.to_bytes(8, "big"))
    return Revocation(token.ids[0], revoker.public, revoker.sign(D_REVOCATION + told), until)


async def test_who_has_stolen_a_key_keeps_nobody_from_revoking_with_it(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        holder = PrivateKey.generate()
        rights = (Rights(Verb.QUERY, "**"),)
        caveats = Caveats(exp=nodes.now_s() + 30 * 86_400, rights=rights)
        token = mint(nodes.cluster.root_key, holder.public, caveats).with_secret(holder)
        short = ending(holder, token, nodes.now_s() + 5)
        for strange in (short, ending(holder, token, None)):
            with pytest.raises(RemoteError, match="does not end when its block does"):
                await nodes.ask(
                    "alpha", "token.revoke", revocation=strange.to_bytes(), token=token.to_bytes()
                )
        for node in nodes.nodes.values():  # a node may be the thief, too
            assert await node.revocations.take_bytes([short.to_bytes()]) == 1
        owners = Revocation.sign(holder, token, 0)
        body = {"revocation": owners.to_bytes(), "token": token.to_bytes()}
        assert (await nodes.ask("alpha", "token.revoke", **body))["new"]
        later_s = nodes.now_s() + 2 * 86_400
        with trio.fail_after(10):
            while [*nodes.nodes["beta"].authority.revoked] != [owners]:
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert [node.authority.revoked.forget(later_s) for node in nodes.nodes.values()] == [[], []]
        assert len({node.revocations.digest() for node in nodes.nodes.values()}) == 1
        async with nodes.connected("beta", token) as channel:
            with pytest.raises(RemoteError, match="revoked"):
                await channel.request("agent.list")


async def test_a_token_may_ask_for_a_fresh_list(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token = nodes.token(revage=60)
        with trio.fail_after(10):
            while nodes.nodes["alpha"].gossip[0].age_s() is None:
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert await nodes.result("alpha", "(count (streams))", token) == "3"
        agent = await nodes.spawn("alpha", '(transact! "s" [{:n 1}])', token)
        _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "done"
        await nodes.stop("beta")
        await nodes.stop("alpha")
        await nodes.start("alpha")  # it has not heard of beta since it started
        agent = await nodes.spawn("alpha", '(transact! "s" [{:n 1}])', token)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], "60 s old" in row["reason"]) == ("paused", True)


async def test_long_lists_come_in_parts(tmp_path: Path) -> None:
    from yind.limits import REVOCATIONS_SHOWN_MAX

    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await nodes.stop("beta")
        alpha = nodes.nodes["alpha"]
        token = nodes.token()
        count = REVOCATIONS_SHOWN_MAX + 10
        statements = [Revocation.sign(PrivateKey.generate(), token, 0) for _ in range(count)]
        await alpha.revocations.take(statements)
        await nodes.start("beta")
        with trio.fail_after(30):
            while len(nodes.nodes["beta"].authority.revoked) < count:
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert alpha.revocations.digest() == nodes.nodes["beta"].revocations.digest()
        assert isinstance(await nodes.ask("alpha", "revocation.list"), Map)


async def test_a_revocation_pauses_agents_on_three_nodes_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.gossip.GOSSIP_S", 3600)  # they are told, and need not compare
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        for name in nodes.nodes:  # they are in touch, and have been
            await nodes.ask(name, "node.info")
        with trio.fail_after(10):
            while any(node.authority.revocation_age_s() is None for node in nodes.nodes.values()):
                await trio.testing.wait_all_tasks_blocked(0.01)
        # Of three times the shortest: the machine may have other things to do.
        assert min([await _revoked_everywhere(nodes) for _ in range(3)]) < 1


async def _revoked_everywhere(nodes: Fleet) -> float:
    """Return how many seconds after a revocation was told on one node agents were paused on all."""
    token = nodes.token()
    agents = {name: await nodes.spawn(name, ENDLESS, token) for name in nodes.nodes}
    revocation = Revocation.sign(nodes.cluster.root_key, token, 0)
    body = {"revocation": revocation.to_bytes(), "token": token.to_bytes()}
    async with nodes.connected("beta") as channel:
        began = trio.current_time()
        with trio.fail_after(30):
            await channel.request("token.revoke", Map(body))
            for name, agent in agents.items():
                await nodes.until(name, agent, "paused")
    return trio.current_time() - began


async def test_a_node_pauses_agents_rather_than_trust_an_old_list(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await nodes.stop("alpha")
        await nodes.start("alpha", revage=60)
        agent = await nodes.spawn("alpha", ENDLESS, nodes.token())
        with trio.fail_after(10):
            while nodes.nodes["alpha"].authority.is_stale():
                await trio.testing.wait_all_tasks_blocked(0.01)
            while nodes.nodes["alpha"].agents.get(agent).record.state != "ready":  # type: ignore[union-attr]
                await trio.testing.wait_all_tasks_blocked(0.01)
        await nodes.stop("beta")
        nodes.nodes["alpha"].authority.revage = -1  # as if a minute had gone by
        with trio.fail_after(10):
            await nodes.until("alpha", agent, "paused")
        row = await nodes.ask("alpha", "agent.show", id=agent.hex())
        assert row["reason"] == "waits for a list of revocations that is fresh enough"
        nodes.nodes["alpha"].authority.revage = 60
        with trio.fail_after(10):
            await nodes.until("alpha", agent, "ready")


def known(nodes: Fleet, agent: bytes) -> Agent:
    found = nodes.nodes["alpha"].agents.get(agent)
    assert found is not None
    return found


async def pauses_again(nodes: Fleet, agent: bytes, fuel: int) -> None:
    """Return when an agent that was let go on has paused for its revoked token, at the same step."""
    found = known(nodes, agent)
    with trio.fail_after(10):
        while not (found.settled and "revoked" in found.record.reason):
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert (found.record.state, found.record.reason) == ("paused", "token revoked: block 0")
    assert found.record.denied_right == "a token that is not revoked"
    assert found.record.fuel_used == fuel


async def test_who_is_paused_when_its_token_is_revoked_does_not_go_on(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token()
        agent = await nodes.spawn("alpha", ENDLESS, token)
        await nodes.ask("alpha", "agent.pause", id=agent.hex())
        fuel = known(nodes, agent).record.fuel_used
        said = Revocation.sign(nodes.cluster.root_key, token, 0)
        await nodes.nodes["alpha"].revocations.take([said])
        for _ in range(2):
            await nodes.ask("alpha", "agent.resume", id=agent.hex())
            await pauses_again(nodes, agent, fuel)


async def test_a_child_that_begins_when_its_token_is_revoked_pauses_before_it_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token, alpha = nodes.token(), nodes.nodes["alpha"]
        copy = Offspring._copy

        async def revoked_meanwhile(self: Offspring, image: bytes, most: int) -> Machine:
            await alpha.revocations.take([Revocation.sign(nodes.cluster.root_key, token, 0)])
            return await copy(self, image, most)

        monkeypatch.setattr(Offspring, "_copy", revoked_meanwhile)
        parent = await nodes.spawn("alpha", "(do (spawn! (fn [] (loop [] (recur)))) 1)", token)
        with trio.fail_after(10):
            await nodes.until("alpha", parent, "paused")
        (child,) = (agent for agent in alpha.agents if agent.record.id != parent)
        at_birth = known(nodes, parent).record.fuel_used  # what the copy has used, too
        await pauses_again(nodes, child.record.id, at_birth)


async def test_who_waits_for_a_fresh_list_does_not_go_on_when_that_has_its_token(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token, alpha = nodes.token(), nodes.nodes["alpha"]
        agent = await nodes.spawn("alpha", ENDLESS, token)
        alpha.authority.revage = -1  # as if a minute had gone by
        with trio.fail_after(10):
            await nodes.until("alpha", agent, "paused")
        fuel = known(nodes, agent).record.fuel_used
        await alpha.revocations.take([Revocation.sign(nodes.cluster.root_key, token, 0)])
        alpha.authority.revage = None
        await pauses_again(nodes, agent, fuel)


async def test_a_revocation_is_dropped_when_its_block_has_long_ended(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token(ttl_s=-2 * 86_400)
        lasting = nodes.token()
        alpha = nodes.nodes["alpha"]
        root = nodes.cluster.root_key
        await alpha.revocations.take([Revocation.sign(root, one, 0) for one in (token, lasting)])
        assert len(alpha.authority.revoked) == 1
        alpha.authority.revoked.add(Revocation.sign(root, token, 0))
        assert len(alpha.authority.revoked.forget(nodes.now_s())) == 1
        assert len(alpha.authority.revoked) == 1


async def test_all_that_a_key_signed_is_revoked_at_every_node(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        operator = nodes.cluster.operator_key
        agents = {name: await nodes.spawn(name, ENDLESS, nodes.token()) for name in nodes.nodes}
        said = SignerRevocation.sign(operator, operator.public, 2**40)
        body = {
            "revocation": said.to_bytes(),
            "token": nodes.delegate(nodes.token(), "alpha", b"a" * 32),
        }
        await nodes.ask("alpha", "token.revoke", **body)
        with trio.fail_after(10):
            for name, agent in agents.items():
                await nodes.until(name, agent, "paused")
        await nodes.crash("beta")
        await nodes.start("beta")
        assert len(nodes.nodes["beta"].authority.revoked) == 1


async def test_who_revokes_and_who_stops_for_it_is_on_record_at_every_node(tmp_path: Path) -> None:
    query = """[:find ?verb ?who ?resource ?reason :where [?e :audit/verb ?verb] [?e :audit/who ?who]
                [?e :audit/resource ?resource] [(get-else $ ?e :audit/reason "") ?reason]]"""
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token = nodes.token()
        agent = await nodes.spawn("beta", "(loop [] (recur))", token)
        root = nodes.cluster.root_key
        revocation = Revocation.sign(root, token, 0)
        body = {"revocation": revocation.to_bytes(), "token": token.to_bytes()}
        for _ in range(2):  # what is known already is no fact
            await nodes.ask("alpha", "token.revoke", **body)
        with trio.fail_after(20):
            await nodes.until("beta", agent, "paused")
        said = (Keyword("revoke"), root.public.text, token.ids[0].hex(), "")
        stopped = (Keyword("run"), agent.hex()[:12], "beta", "token revoked: block 0")
        for name, facts in (("alpha", {said}), ("beta", {said, stopped})):
            rows = (await nodes.ask(name, "query", stream="audit", query=query))["value"]
            found = [row for row in rows if row[0] in (Keyword("revoke"), Keyword("run"))]
            assert (len(found), {tuple(row) for row in found}) == (len(facts), facts), name


async def test_that_a_node_knows_of_a_revocation_is_written_with_the_list_or_not_at_all(
    tmp_path: Path,
) -> None:
    """Else its stream would say that it knows, and after a crash it does not."""
    query = "[:find ?e :where [?e :audit/verb :revoke]]"
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        said = Revocation.sign(nodes.cluster.root_key, nodes.token(), 0)

        async def full(stage: object) -> None:
            await alpha.agents.write_decisions([])  # another transaction comes first
            raise StorageError("the disk is full")

        with mock.patch.object(alpha.agents, "write", full), pytest.raises(StorageError):
            await alpha.revocations.take_bytes([said.to_bytes()])
        await alpha.agents.write(lambda batch: None)
        rows = await nodes.ask("alpha", "query", stream="audit", query=query)
        assert not rows["value"]


async def revoke(nodes: Fleet, token: Token) -> None:
    said = Revocation.sign(nodes.cluster.root_key, token, 0)
    body = {"revocation": said.to_bytes(), "token": token.to_bytes()}
    await nodes.ask("alpha", "token.revoke", **body)


async def paused(nodes: Fleet, agent: bytes) -> str:
    with trio.fail_after(10):
        await nodes.until("alpha", agent, "paused")
    found = nodes.nodes["alpha"].agents.get(agent)
    assert found is not None
    return found.record.reason


async def test_who_is_let_go_on_by_a_person_stops_for_what_was_revoked_meanwhile(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token()
        agent = await nodes.spawn("alpha", ENDLESS, token)
        await nodes.ask("alpha", "agent.pause", id=agent.hex())
        await revoke(nodes, token)
        assert await paused(nodes, agent) == "paused by a person"
        await nodes.ask("alpha", "agent.resume", id=agent.hex())
        assert await paused(nodes, agent) == "token revoked: block 0"


async def test_who_waited_for_a_fresh_list_stops_for_what_it_says(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        alpha, token = nodes.nodes["alpha"], nodes.token()
        agent = await nodes.spawn("alpha", ENDLESS, token)
        alpha.authority.revage = -1  # no list is as fresh
        assert "fresh enough" in await paused(nodes, agent)
        await revoke(nodes, token)
        alpha.authority.revage = None
        with trio.fail_after(10):
            while await paused(nodes, agent) != "token revoked: block 0":
                await trio.testing.wait_all_tasks_blocked(0.01)


async def test_who_could_not_be_moved_stops_for_what_was_revoked_meanwhile(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        alpha, token = nodes.nodes["alpha"], nodes.token()
        agent = await nodes.spawn("alpha", ENDLESS, token)
        await nodes.stop("beta")

        async def reach(target: str) -> None:
            await revoke(nodes, token)
            raise HopRefused(f"node {target} is gone")

        departures = alpha.migration._departures
        with (
            mock.patch.object(departures, "reach", reach),
            pytest.raises(RemoteError, match="is gone"),
        ):
            await nodes.ask("alpha", "agent.migrate", id=agent.hex(), node="beta")
        assert await paused(nodes, agent) == "token revoked: block 0"


async def test_who_is_about_to_pause_for_a_person_does_not_do_so_for_an_old_list(
    tmp_path: Path,
) -> None:
    """Else it would go on by itself when the list is fresh again."""
    async with fleet(tmp_path, "alpha") as nodes:
        alpha = nodes.nodes["alpha"]
        agent = await nodes.spawn("alpha", ENDLESS, nodes.token())
        found = alpha.agents.get(agent)
        assert found is not None
        alpha.authority.revage = -1
        found.ask_to_stop(State.PAUSED, "paused by a person")
        alpha.revocations._pause_all()
        assert await paused(nodes, agent) == "paused by a person"
