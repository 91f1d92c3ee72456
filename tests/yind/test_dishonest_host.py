"""A node of the cluster that lies: what honest nodes refuse, and write down; and what no node can prevent."""

from __future__ import annotations

import dataclasses
import os
import threading
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from dishonest import Dishonest, audit, besieged, fresh_attempt, refusals, visited
from fleet import Fleet, fleet, until
from msgspec.structs import replace

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.journey import Receipt
from capabilities.keys import PrivateKey, PublicKey, load_private
from capabilities.revocation import Revocation
from capabilities.statements import Record, sign
from capabilities.tokens import Token, agent_id
from datomstore.value import Keyword, Map
from protocol import records
from protocol.errors import RemoteError
from protocol.handoff import CHANCE_BYTES
from protocol.messages import CancelOffer, Go, Offer, Own, Refuse
from protocol.transport import Channel
from yang.compile import compile_source
from yind.departures import Departure
from yind.guests import Guests
from yind.limits import ARRIVALS_EACH_MAX, TOKENS_PER_AGENT_MAX
from yind.luggage import opened
from yind.node import Node

FACTS = (Map({Keyword("n"): 1}), Map({Keyword("n"): 2}))
COUNT = '(q \'[:find (count ?e) . :where [?e :n _]] "facts")'
EVERY_VERB = Verb(sum(Verb))
# Whom mallory gives it to counts facts there, and stays.
VISIT = f'(do (hop! "mallory") [{COUNT} (sleep 600000)])'


async def load(nodes: Fleet, *names: str) -> None:
    for name in names:
        await nodes.ask(name, "stream.transact", stream="facts", data=FACTS)


# -- the agent's rights --


async def test_a_host_does_not_use_a_visitors_rights_for_itself(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        await load(nodes, "beta")
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        query = Map({"stream": "facts", "query": "[:find ?e :where [?e :n _]]"})
        async with mallory.connected("beta") as channel:
            await channel.request("session.present", Map({"tokens": offer.tokens}))
            for verb, body in (("query", query), ("agent.list", Map())):
                with pytest.raises(RemoteError, match="belongs to another agent"):
                    await channel.request(verb, body)
        assert any("belongs to another agent" in why for why in await refusals(nodes, "beta"))


async def test_a_host_does_not_give_a_visitors_rights_to_an_agent_of_its_own(
    tmp_path: Path,
) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        await load(nodes, "beta")
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        program = compile_source(COUNT, "mine.clj").program
        beta = mallory.key_of("beta")
        mine = agent_id(mallory.key.public, program.hash, bytes(16), beta)
        stolen = Token.from_bytes(offer.tokens[0])
        token = stolen.append(mallory.key, beta, Caveats(agent=mine))
        async with mallory.connected("beta") as channel:
            await channel.request("session.present", Map({"tokens": offer.tokens}))
            with pytest.raises(RemoteError, match="belongs to another agent"):
                await channel.request("code.put", Map({"program": program.to_bytes()}))
        spawn = {"program": program.hash, "nonce": bytes(16), "tokens": (token.to_bytes(),)}
        await nodes.ask("beta", "code.put", program=program.to_bytes())
        with pytest.raises(RemoteError, match="names the agent"):
            await nodes.ask("beta", "agent.spawn", **spawn)


async def test_a_host_does_not_seal_or_lend_what_via_binds(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        keys = {mallory.key.public, mallory.key_of("alpha"), nodes.cluster.operator_key.public}
        offer = await visited(nodes, mallory, VISIT, nodes.token(via=frozenset(keys)))
        token = Token.from_bytes(offer.tokens[0])
        for laundered in (token.seal(mallory.key), token.with_secret(mallory.key)):
            with pytest.raises(RemoteError, match="via"):
                await nodes.ask("beta", "session.present", tokens=(laundered.to_bytes(),))
        assert "does not let" in await mallory.why_not("beta", mallory.hand_on(offer, "beta"))


@pytest.mark.parametrize(
    ("wider", "why"),
    [
        (Caveats(rights=(Rights(EVERY_VERB, "**"),)), "forbids read on stream beta/facts"),
        (Caveats(exp=1 << 40), "forbids read on stream beta/facts"),
    ],
    ids=["rights", "time"],
)
async def test_a_host_does_not_widen_what_it_hands_on(
    tmp_path: Path, wider: Caveats, why: str
) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        await load(nodes, "beta")
        narrow = nodes.token((Verb.MIGRATE, "*"), (Verb.READ, "alpha/*"))
        offer = await visited(nodes, mallory, VISIT, narrow)
        changes = {"rights": wider.rights, "exp": wider.exp}
        answer = await mallory.offers("beta", mallory.hand_on(offer, "beta", caveats=changes))
        assert isinstance(answer, Own)
        _, row = await nodes.settled("beta", offer.agent)
        assert (row["state"], why in row["reason"]) == ("paused", True), row["reason"]
        assert any(why in reason for reason in await refusals(nodes, "beta"))


async def test_a_host_does_not_hand_on_what_may_go_no_further(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token(hops=2))
        answer = await mallory.offers("beta", mallory.hand_on(offer, "beta"))
        assert isinstance(answer, Refuse)
        assert (answer.code, "hops" in answer.reason) == ("token/bad-hops", True)


async def test_a_host_does_not_go_on_with_what_was_revoked(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        token = nodes.token()
        offer = await visited(nodes, mallory, VISIT, token)
        revocation = Revocation.sign(nodes.cluster.root_key, token, 0)
        await nodes.ask(
            "beta", "token.revoke", revocation=revocation.to_bytes(), token=token.to_bytes()
        )
        assert "revoked" in await mallory.why_not("beta", mallory.hand_on(offer, "beta"))


# -- who the agent is, and what it does --


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"luggage": {"owner": b"\x05" * 32}}, "owner, program and home"),
        ({"luggage": {"program": b"p" * 32}}, "owner, program and home"),
        ({"luggage": {"nonce": b"n" * 16}}, "owner, program and home"),
        ({"luggage": {"fuel_owed": -(10**9)}}, "malformed"),
        ({"agent": b"a" * 32}, "owner, program and home"),
    ],
    ids=["owner", "program", "nonce", "fuel", "agent"],
)
async def test_a_host_does_not_change_who_the_agent_is(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        assert why in await mallory.why_not("beta", mallory.hand_on(offer, "beta", **changes))
        assert any(why in reason for reason in await refusals(nodes, "beta"))
        assert nodes.nodes["beta"].agents.get(offer.agent) is None


async def test_a_request_names_an_owner_who_signed_for_the_agent_or_none(tmp_path: Path) -> None:
    source = '(request-token {:verbs [:read] :streams ["alpha/facts"]})'
    query = (
        "[:find ?owner ?program :where [?r :request/owner ?owner] [?r :request/program ?program]]"
    )
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        node, program = nodes.nodes["alpha"], compile_source(source, "test.clj").program
        await nodes.ask("alpha", "code.put", program=program.to_bytes())
        image = node.code.machine_of(
            program.hash,
            "compiled",
            memory_max=1 << 20,
            fuel_max=None,
            globals={"*args*": Map()},
            hash_key=b"k" * 32,
        ).image()
        alice = nodes.cluster.operator_key.public
        made_up = mallory.own_agent("alpha", image, program.hash, owner=alice)
        assert isinstance(await mallory.offers("alpha", made_up), Own)
        with trio.fail_after(20):
            await nodes.settled("alpha", made_up.agent)
        assert len((await nodes.ask("alpha", "request.list"))["value"]) == 1
        assert not (await nodes.ask("alpha", "query", stream="requests", query=query))["value"]
        with trio.fail_after(20):
            hers = await nodes.spawn("alpha", source, nodes.token((Verb.MIGRATE, "beta")))
            await nodes.settled("alpha", hers)
        found = (await nodes.ask("alpha", "query", stream="requests", query=query))["value"]
        assert list(found) == [(alice.bytes, program.hash)]


async def test_a_host_does_not_exchange_the_agents_program(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        await nodes.spawn("alpha", VISIT, nodes.token())
        with trio.fail_after(20):
            await mallory.went.wait()
        mine, mallory.went = mallory.given[-1], trio.Event()
        await nodes.spawn("alpha", f"(inc {VISIT})", nodes.token())
        with trio.fail_after(20):
            await mallory.went.wait()
        other = mallory.given[-1]
        assert mine.programs != other.programs
        bent = mallory.hand_on(
            replace(mine, body=other.body, digest=other.digest, programs=other.programs), "beta"
        )
        assert "owner, program and home" in await mallory.why_not("beta", bent)


async def test_a_state_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        unsigned = mallory.hand_on(offer, "beta", state=b"s" * 32)
        assert "another state" in await mallory.why_not("beta", unsigned)
        bent = mallory.hand_on(offer, "beta")
        answer = await mallory.offers("beta", replace(bent, body=bent.body[:-1] + b"\0"))
        assert isinstance(answer, Refuse)


async def test_what_is_no_agent_harms_nobody(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        for changes in (
            {"image": b""},
            {"image": b"\xc1" * 100},
            {"luggage": {"home": "\0" * 5_000}, "image": b"x"},
        ):
            answer = await mallory.offers("beta", mallory.hand_on(offer, "beta", **changes))
            assert isinstance(answer, Refuse), changes
        little = mallory.hand_on(offer, "beta", luggage={"memory_max": 1})
        assert "an agent has at least" in await mallory.why_not("beta", little)
        assert (await nodes.ask("beta", "node.info"))["name"] == "beta"
        answer = await mallory.offers("beta", mallory.hand_on(offer, "beta"))
        assert isinstance(answer, Own)


# -- old images, copies, and the way the agent went --


async def test_an_old_image_is_not_taken_again(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        assert isinstance(await mallory.offers("beta", mallory.hand_on(offer, "beta")), Own)
        for _ in range(3):  # at the epoch that beta has had, however often
            await mallory.offers("beta", mallory.hand_on(offer, "beta"), ignored=True)
        passed = [why for why in await refusals(nodes, "beta") if "has passed" in why]
        assert len(passed) == 1
        assert mallory.key.public.text in passed[0]
        for epoch in (3, 4, 9):  # at a later one, that mallory never had to give
            answer = await mallory.offers("beta", mallory.hand_on(offer, "beta", epoch=epoch))
            assert isinstance(answer, Refuse)


async def test_an_old_image_is_not_taken_where_the_agent_was_given_away_or_has_ended(
    tmp_path: Path,
) -> None:
    source = '(do (hop! "mallory") (hop! "beta") (hop! "alpha") :done)'
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, source, nodes.token())
        assert isinstance(await mallory.offers("beta", mallory.hand_on(offer, "beta")), Own)
        with trio.fail_after(20):
            place, row = await nodes.settled("beta", offer.agent)
        assert (place, row["state"]) == ("alpha", "done"), row["reason"]
        for name, epoch in (("beta", 3), ("alpha", 2), ("alpha", 3), ("alpha", 4)):
            old = mallory.hand_on(offer, name, epoch=epoch, signed_epoch=2)
            late = epoch <= nodes.nodes[name].agents.get(offer.agent).record.epoch  # type: ignore[union-attr]
            answer = await mallory.offers(name, old, ignored=late)
            assert late or isinstance(answer, Refuse), (name, epoch)
        whys = [*await refusals(nodes, "alpha"), *await refusals(nodes, "beta")]
        assert any("has passed" in why for why in whys)
        assert any("gave epoch 3 of agent" in why for why in whys), whys
        assert any("has ended here" in why for why in whys)


async def test_a_copy_for_a_third_node_is_proven_by_what_both_write_down(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta", "gamma") as (nodes, mallory):
        await load(nodes, "beta", "gamma")
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        receipts = []
        for name in ("beta", "gamma"):  # gamma cannot know: this is not prevented
            answer = await mallory.offers(name, mallory.hand_on(offer, name))
            assert isinstance(answer, Own)
            arrivals = await nodes.ask(
                name,
                "query",
                stream="audit",
                query="[:find ?who ?epoch ?from ?receipt :where [?e :audit/verb :arrive]"
                " [?e :audit/who ?who] [?e :audit/epoch ?epoch] [?e :audit/from ?from]"
                " [?e :audit/receipt ?receipt]]",
            )
            ((who, epoch, giver, receipt),) = arrivals["value"]
            assert (who, epoch, giver) == (offer.agent.hex()[:12], 2, mallory.key.public.text)
            receipts.append(Receipt.from_bytes(receipt, PublicKey.parse(giver)))
        assert receipts[0].contradicts(receipts[1])
        assert {receipt.leg.taker for receipt in receipts} == {
            mallory.key_of("beta"),
            mallory.key_of("gamma"),
        }


async def test_a_host_does_not_tell_another_way_than_the_agent_went(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        token, good = Token.from_bytes(offer.tokens[0]), mallory.hand_on(offer, "beta")
        made = Token.from_bytes(good.tokens[0])
        dropped = dataclasses.replace(made, signed=(*made.signed[:-2], made.signed[-1]), blocks=())
        forged = made.signed[-2]._replace(signature=mallory.key.sign(b"yin/1/sig\0" + made.ids[-2]))
        renamed = dataclasses.replace(made, signed=(*made.signed[:-2], forged, made.signed[-1]))
        for tokens in (
            (dropped.to_bytes(),),  # it was never with mallory
            (renamed.to_bytes(),),  # mallory signs for alpha
            offer.tokens,  # alpha gave it to beta
            (),
        ):
            answer = await mallory.offers("beta", replace(good, tokens=tokens))
            assert isinstance(answer, Refuse), tokens
        detour = token.append(mallory.key, mallory.key.public, Caveats(epoch=7, state=b"s" * 32))
        detour = detour.append(
            mallory.key,
            mallory.key_of("beta"),
            Caveats(agent=offer.agent, epoch=2, state=good.digest),
        )
        assert "hands over epoch" in await mallory.why_not(
            "beta", replace(good, tokens=(detour.to_bytes(),))
        )


async def test_an_agent_comes_with_a_receipt_that_names_it(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        unnamed = mallory.hand_on(offer, "beta", caveats={"agent": None})
        assert "for another agent" in await mallory.why_not("beta", unnamed)


async def test_who_offers_an_agent_is_who_signed_for_it(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        good = mallory.hand_on(offer, "beta")
        alpha = load_private(nodes.cluster.node_folder("alpha") / "node.key")
        hop = Caveats(agent=offer.agent, epoch=2, state=good.digest)
        given = Token.from_bytes(nodes.delegate(nodes.token(), "alpha", offer.agent))
        by_alpha = given.append(alpha, mallory.key_of("beta"), hop)  # but it is mallory who offers
        assert "another node than the one that offers" in await mallory.why_not(
            "beta", replace(good, tokens=(by_alpha.to_bytes(),))
        )


# -- what no node can prevent, and where it is seen --


async def test_a_host_that_keeps_the_agent_is_named_where_it_was_given_away(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())  # and nobody hears of it again
        await nodes.until("alpha", offer.agent, "moved")
        record = nodes.nodes["alpha"].agents.get(offer.agent)
        assert record is not None
        assert record.record.moved_to == "mallory"
        hops: tuple[Map, ...] = ()
        with trio.fail_after(10):
            while not hops:
                hops = (await nodes.ask("alpha", "agent.hops", id=offer.agent.hex()))["value"]
        (hop,) = hops
        assert (hop["to"], hop["epoch"]) == ("mallory", 1)


async def test_a_host_that_never_answers_leaves_the_agent_where_it_is_frozen(
    tmp_path: Path,
) -> None:
    async with besieged(tmp_path, "alpha") as (nodes, mallory):
        mallory.answers_own = False
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        agent = nodes.nodes["alpha"].agents.get(offer.agent)
        assert agent is not None
        assert (agent.record.state, agent.record.epoch) == ("waiting", 0)
        assert "mallory" in agent.record.reason


async def test_what_a_host_leaves_out_of_its_audit_the_next_node_has(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        assert isinstance(await mallory.offers("beta", mallory.hand_on(offer, "beta")), Own)
        (arrival,) = [row for row in await audit(nodes, "beta") if row["verb"] == Keyword("arrive")]
        assert arrival["from"] == mallory.key.public.text
        agent = nodes.nodes["beta"].agents.get(offer.agent)
        assert agent is not None
        way = [block.key for block in agent.tokens[0].token.blocks[1:]]
        assert way == [mallory.key_of("alpha"), mallory.key.public, mallory.key_of("beta")]


async def test_an_agent_that_runs_here_is_not_taken_again(tmp_path: Path) -> None:
    source = '(do (hop! "mallory") (sleep 600000))'
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, source, nodes.token())
        assert isinstance(await mallory.offers("beta", mallory.hand_on(offer, "beta")), Own)
        token = nodes.nodes["beta"].agents.get(offer.agent)
        assert token is not None
        # With a token that was given to it later, whose chain tells nothing of the way before.
        later = Token.from_bytes(nodes.delegate(nodes.token(), "mallory", offer.agent))
        fresh = mallory.hand_on(replace(offer, tokens=(later.to_bytes(),)), "beta", epoch=3)
        assert "runs here already" in await mallory.why_not("beta", fresh)


GO_AND_STAY = '(try (hop! "mallory") (catch Exception e nil)) (sleep 600000)'


async def stays(node: Node, agent: bytes) -> int:
    """Return at which epoch an agent does what it does at the end, and is on no way."""
    with trio.fail_after(20):
        while (found := node.agents.get(agent)) is None or not found.record.wake_ms:
            await trio.testing.wait_all_tasks_blocked()
    return found.record.epoch


async def brought_and_refused(nodes: Fleet, mallory: Dishonest, channel: Channel) -> Offer:
    """Have mallory bring an agent back to alpha, which holds it then, and refuse it; return what it brings."""
    mallory.answers_own = False
    given = await visited(nodes, mallory, GO_AND_STAY, nodes.token())
    brought = replace(mallory.hand_on(given, "alpha"), attempt=fresh_attempt(b"m" * 10))
    await channel.send(brought)
    with trio.fail_after(20):
        while nodes.nodes["alpha"].migration._arrivals._target(given.agent).held is None:
            await trio.testing.wait_all_tasks_blocked()
    await channel.send(Refuse(given.agent, given.epoch, given.attempt, "node/full", "no room"))
    return brought


@pytest.mark.parametrize("hurried", [False, True], ids=["once it runs", "at once"])
async def test_an_agent_that_a_host_both_refuses_and_brings_back_runs_once(
    tmp_path: Path, *, hurried: bool
) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        alpha = nodes.nodes["alpha"]
        async with mallory.connected("alpha") as channel:
            brought = await brought_and_refused(nodes, mallory, channel)
            if not hurried:
                assert await stays(alpha, brought.agent) == 0
            await channel.send(Go(brought.agent, brought.epoch, brought.attempt))
            await channel.request("node.info")  # what came before has been taken
        # Whichever of both the disk has first; of one that runs already nothing more is taken.
        assert await stays(alpha, brought.agent) in ({0, 2} if hurried else {0})
        assert await nodes.result("beta", '(hop! "alpha") (here)', nodes.token()) == '"alpha"'


async def test_an_offer_with_too_many_tokens_is_refused(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        good = mallory.hand_on(offer, "beta")
        many = replace(good, tokens=good.tokens * (TOKENS_PER_AGENT_MAX + 1))
        assert f"at most {TOKENS_PER_AGENT_MAX}" in await mallory.why_not("beta", many)


async def test_a_host_does_not_send_another_program_than_it_is_asked_for(tmp_path: Path) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        mallory.program = compile_source("(+ 1 2)", "mine.clj").program.to_bytes()
        assert "another program" in await mallory.why_not("beta", mallory.hand_on(offer, "beta"))


@pytest.mark.parametrize("large", [False, True], ids=["at once", "in a task"])
async def test_an_offer_at_which_the_node_itself_fails_ends_the_offer_alone(
    tmp_path: Path, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        good, node = mallory.hand_on(offer, "beta"), nodes.nodes["beta"]
        if not large:  # the program is known there, so that nothing has to wait
            await nodes.result("beta", "1")
            for program in offer.programs:
                found = nodes.nodes["alpha"].code.find(program)
                if found is not None:
                    await node.code.admit(found, node.agents.write)
        with monkeypatch.context() as patched:
            patched.setattr(node.code, "restore", lambda *_, **__: 1 // 0)
            answer = await mallory.offers("beta", good)
        assert isinstance(answer, Refuse)
        assert answer.code == "node/internal"
        assert isinstance(await mallory.offers("beta", good), Own)


async def test_a_host_does_not_give_itself_the_agent_to_have_later_epochs_to_give(
    tmp_path: Path,
) -> None:
    """With those its copy would be ahead of the true one, and that could go nowhere any more."""
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        ahead = replace(offer, tokens=to_itself(mallory, offer))
        why = await mallory.why_not("beta", mallory.hand_on(ahead, "beta", epoch=offer.epoch + 2))
        assert "to itself" in why


async def test_a_host_does_not_give_later_epochs_by_way_of_a_key_that_it_made_up(
    tmp_path: Path,
) -> None:
    """It signs each epoch once, so that nobody could prove anything; and no node was ever there."""
    async with besieged(tmp_path, "alpha", "beta", "gamma") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        assert isinstance(await mallory.offers("beta", mallory.hand_on(offer, "beta")), Own)
        ghost = PrivateKey.generate()
        ahead = replace(offer, tokens=by_way_of(mallory, ghost, offer))
        copy = mallory.hand_on(ahead, "gamma", epoch=offer.epoch + 3)
        why = await mallory.why_not("gamma", copy)
        assert ghost.public.text in why
        assert "not known as a node's" in why
        assert nodes.nodes["gamma"].agents.get(offer.agent) is None


async def test_an_agent_goes_on_by_way_of_a_node_that_was_put_out_since(tmp_path: Path) -> None:
    """What a node gave away when it was one was given away."""
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        source = '(do (hop! "beta") (hop! "alpha") (sleep 600000) nil)'
        agent = await nodes.spawn("alpha", source, nodes.token())
        await nodes.until("alpha", agent, "moved")
        alpha = nodes.nodes["alpha"]
        await until(lambda: alpha.agents.get(agent).record.epoch == 2)  # type: ignore[union-attr]
        beta = nodes.cluster.node("beta")
        gone = Record(
            "beta", "node", beta.key, beta.certificate, (), 2, nodes.now_s(), removed=True
        )
        for name in ("alpha", "gamma"):
            await nodes.nodes[name].members.take([sign(gone, nodes.cluster.root_key)])
            assert nodes.nodes[name].peers.node("beta") is None
        await nodes.ask("alpha", "agent.migrate", id=agent.hex(), node="gamma")
        assert nodes.nodes["gamma"].agents.get(agent) is not None


async def test_two_offers_under_one_number_are_two(tmp_path: Path) -> None:
    """One is held, and makes room for the other: what is then forgotten is the first."""
    async with besieged(tmp_path, "alpha", "beta", "gamma") as (nodes, mallory):
        beta = nodes.nodes["beta"]
        held = beta.migration._arrivals._guests
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        number = fresh_attempt(bytes(CHANCE_BYTES))
        first = replace(mallory.hand_on(offer, "beta"), attempt=number)
        tokens = to_itself(mallory, offer)
        second = mallory.hand_on(replace(offer, tokens=tokens), "beta", epoch=offer.epoch + 2)
        second = replace(second, attempt=number)
        beta.authority.check_legs = lambda token, agent, epoch: None  # type: ignore[method-assign]
        async with mallory.connected("beta") as channel:
            for one in (first, second):
                await channel.send(one)
                await channel.request("node.info")
                await until(partial(held_at, held, one.epoch))
            await channel.send(Go(second.agent, second.epoch, second.attempt))
            await channel.request("node.info")
        found = beta.agents.get(offer.agent)
        assert found is not None
        assert found.record.epoch == second.epoch


async def test_who_has_not_been_given_away_for_good_is_not_taken_back(tmp_path: Path) -> None:
    """Nobody honest can have it yet: until its source has said Go, there it is."""
    async with besieged(tmp_path, "alpha") as (nodes, mallory):
        alpha, go = nodes.nodes["alpha"], threading.Event()
        departures = alpha.migration._departures
        real = departures._persist

        def persist(departure: Departure, record: records.Record, *, later: bool) -> None:
            alpha.agents.submit(lambda batch: _wait(go), lambda error: None)  # before Given
            real(departure, record, later=later)

        departures._persist = persist  # type: ignore[method-assign]
        mallory.answers_own = False
        try:
            agent = await nodes.spawn("alpha", VISIT, nodes.token())
            await until(lambda: mallory.given)
            back = mallory.hand_on(mallory.given[-1], "alpha")
            async with mallory.connected("alpha") as channel:
                await channel.send(replace(back, given=True))
                await channel.send(Go(back.agent, back.epoch, back.attempt))
                await trio.testing.wait_all_tasks_blocked(0.05)
                found = alpha.agents.get(agent)
                assert found is not None
                assert (found.record.epoch, found.travelling_to) == (0, "mallory")
        finally:
            departures._persist = real  # type: ignore[method-assign]
            go.set()
        assert any("has not given" in why for why in await refusals(nodes, "alpha"))


async def test_a_host_that_sends_no_program_keeps_nobody_out_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.arrivals.FETCH_S", 0.2)
    monkeypatch.setattr("yind.departures.HAND_OFF_RETRY_S", 0.1)
    source = '(do (hop! "mallory") (hop! "beta") (here))'
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, source, nodes.token())
        mallory.silent = True
        async with mallory.connected("beta") as channel:
            await channel.send(mallory.hand_on(offer, "beta"))  # it has no program of it
            await channel.request("node.info")
            arrivals = nodes.nodes["beta"].migration._arrivals
            assert arrivals.expects(offer.agent)
            hear = nodes.nodes["beta"].peers.message
            nodes.nodes["beta"].peers.message = lambda channel, message: (
                hear(channel, message) if channel.peer == mallory.key.public else None
            )
            assert isinstance(await mallory.offers("alpha", mallory.hand_on(offer, "alpha")), Own)
            await until(lambda: (mallory.key.public, offer.agent) in arrivals._tardy)
            for _ in range(3):  # it tries again, before alpha is heard
                number = fresh_attempt(os.urandom(CHANCE_BYTES))
                await channel.send(replace(mallory.hand_on(offer, "beta"), attempt=number))
                await channel.request("node.info")
                assert mallory.key.public not in arrivals._checks
            nodes.nodes["beta"].peers.message = hear
            with trio.fail_after(20):
                place, row = await nodes.settled("alpha", offer.agent)
        assert (place, row["state"]) == ("beta", "done"), row


async def test_one_host_does_not_take_up_all_checks(tmp_path: Path) -> None:
    """Of as many offers as it makes, each without its program, the node looks at some at a time."""
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        mallory.silent = True
        arrivals = nodes.nodes["beta"].migration._arrivals
        async with mallory.connected("beta") as channel:
            for _ in range(ARRIVALS_EACH_MAX + 8):
                await channel.send(mallory.own_agent("beta"))
            await channel.request("node.info")
            assert arrivals._checks.total() == ARRIVALS_EACH_MAX
            agent = await nodes.spawn("alpha", '(do (hop! "beta") (here))', nodes.token())
            with trio.fail_after(20):
                place, row = await nodes.settled("alpha", agent)
        assert (place, row["state"]) == ("beta", "done"), row


async def test_one_host_does_not_fill_a_node_with_what_it_never_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what is its own to fill it is not answered; who gives what he offers gets in."""
    monkeypatch.setattr("yind.guests.HELD_EACH_MAX", 3)
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        offer = await visited(nodes, mallory, VISIT, nodes.token())
        image = mallory.arrived(opened(offer)[1])
        arrivals = nodes.nodes["beta"].migration._arrivals
        agent = await nodes.spawn("alpha", '(do (hop! "beta") (here))', nodes.token())
        with trio.fail_after(20):
            assert (await nodes.settled("alpha", agent))[0] == "beta"  # which has its program now
        async with mallory.connected("beta") as channel:
            for _ in range(5):
                await channel.send(mallory.own_agent("beta", image, offer.programs[0]))
            await until(lambda: len(list(arrivals._guests)) >= 3 and not arrivals._checks)
            assert len(list(arrivals._guests)) == 3
            again = await nodes.spawn("alpha", '(do (hop! "beta") (here))', nodes.token())
            with trio.fail_after(20):
                assert (await nodes.settled("alpha", again))[0] == "beta"
            assert len(list(arrivals._guests)) == 3
        arrivals.give_up_holds(1 << 62)
        assert not list(arrivals._guests)
        assert arrivals._guests.has_room(mallory.key.public.bytes, 1)


def held_at(guests: Guests, epoch: int) -> bool:
    return [guest.attempt.epoch for guest in guests] == [epoch]


def to_itself(mallory: Dishonest, offer: Offer) -> tuple[bytes, ...]:
    """Return the tokens of an agent with a block more, with which mallory gives it to itself."""
    hop = Caveats(agent=offer.agent, epoch=offer.epoch + 1, state=offer.digest)
    return tuple(
        Token.from_bytes(data).append(mallory.key, mallory.key.public, hop).to_bytes()
        for data in offer.tokens
    )


def by_way_of(mallory: Dishonest, ghost: PrivateKey, offer: Offer) -> tuple[bytes, ...]:
    """Return the tokens of an agent with two blocks more, with which mallory gives it to another key, and that back."""
    there, back = (
        Caveats(agent=offer.agent, epoch=offer.epoch + more, state=offer.digest) for more in (1, 2)
    )
    return tuple(
        Token.from_bytes(data)
        .append(mallory.key, ghost.public, there)
        .append(ghost, mallory.key.public, back)
        .to_bytes()
        for data in offer.tokens
    )


def _wait(go: threading.Event) -> None:
    assert go.wait(20)


@pytest.mark.parametrize("restarted", [False, True])
async def test_why_an_agent_has_not_gone_is_on_record_whenever_it_is_heard(
    tmp_path: Path, restarted: bool
) -> None:
    """With an offer that it has refused a host may still show a receipt; and what it calls its refusal is its own affair."""
    async with besieged(tmp_path, "alpha", "beta") as (nodes, mallory):
        refuses, asked = False, trio.Event()

        def message(channel: Channel, heard: object) -> None:
            if isinstance(heard, Go | CancelOffer):
                asked.set()
                if refuses:
                    code = "handoff/forced"
                    channel.send_nowait(
                        Refuse(heard.agent, heard.epoch, heard.attempt, code, "no room")
                    )

        mallory.message = message  # type: ignore[method-assign,assignment]
        agent = await nodes.spawn(
            "alpha", '(do (try (hop! "mallory") (catch Exception e nil)) (here))', nodes.token()
        )
        with trio.fail_after(30):
            await asked.wait()
            if restarted:
                await nodes.stop("alpha")
                await nodes.start("alpha")
            refuses = True
            await nodes.settled("alpha", agent)
        told = [row for row in await audit(nodes, "alpha") if not row["allowed"]]
        reason = "node mallory refused the agent: no room (handoff/forced)"
        tries = 2 if restarted else 1  # after a restart it asks for its hop again
        assert [(row["resource"], row["reason"]) for row in told] == [("mallory", reason)] * tries
