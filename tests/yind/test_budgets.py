"""Budgets over real daemons: what was granted is spent once, wherever the agent goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from dishonest import audit
from fleet import Fleet, fleet, until

from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.keys import PrivateKey
from capabilities.revocation import Revocation
from capabilities.tokens import Token, mint
from cli.cluster import ALL_VERBS
from cli.ended_tokens import least_left
from datomstore import edn
from datomstore.value import Keyword, Map
from protocol.errors import RemoteError
from yind.agent import Agent
from yind.estates import Return

ASK = '(count (q \'[:find ?n :where [_ :n ?n]] "facts"))'
TOUR = f"""
(loop [at ["alpha" "beta" "gamma" "alpha" "beta"] seen []]
  (if (empty? at)
    seen
    (do (hop! (first at)) (recur (rest at) (conj seen {ASK})))))
"""


def budgeted(nodes: Fleet, **budget: int) -> Token:
    return nodes.token(budget={Resource[name.upper()]: n for name, n in budget.items()})


async def load(nodes: Fleet, count: int = 10) -> None:
    data = tuple(Map({Keyword("n"): number}) for number in range(count))
    for name in nodes.nodes:
        await nodes.ask(name, "stream.transact", stream="facts", data=data)


async def settled(nodes: Fleet, agent: bytes, start: str = "alpha") -> tuple[str, Map]:
    with trio.fail_after(30):
        return await nodes.settled(start, agent)


def left(nodes: Fleet, name: str, token: Token, agent: bytes) -> Any:
    """Return what a node would still let a fresh copy of a token spend, by resource."""
    verified = nodes.nodes[name].authority.verify_chain(nodes.delegate(token, name, agent))
    return nodes.nodes[name].authority.left(verified)[0]


async def test_rows_are_spent_over_the_nodes_of_a_journey(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        await load(nodes)
        enough = await nodes.spawn("alpha", TOUR, budgeted(nodes, rows=50))
        place, row = await settled(nodes, enough)
        assert (place, row["result"]) == ("beta", "[10 10 10 10 10]"), row["reason"]
        short = await nodes.spawn("alpha", TOUR, budgeted(nodes, rows=35))
        place, row = await settled(nodes, short)
        assert (place, row["state"]) == ("alpha", "paused")
        assert "5 rows left, not 10" in row["reason"]


async def test_a_second_agent_with_the_same_token_gets_what_the_first_leaves(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes)
        token = budgeted(nodes, rows=25)
        first = await nodes.spawn("alpha", f'[{ASK} (hop! "beta") {ASK} (hop! "alpha")]', token)
        _, row = await settled(nodes, first)
        assert row["state"] == "done", row["reason"]
        assert left(nodes, "alpha", token, first) == {Resource.ROWS: 5}
        second = await nodes.spawn("alpha", ASK, token)
        _, row = await settled(nodes, second)
        assert (row["state"], "has 5 rows left" in row["reason"]) == ("paused", True)


async def test_while_it_is_away_nothing_is_left_for_a_copy(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes)
        token = budgeted(nodes, rows=25)
        away = await nodes.spawn("alpha", '(do (hop! "beta") (sleep 600000))', token)
        await nodes.until("alpha", away, "moved")
        copy = await nodes.spawn("alpha", ASK, token)
        _, row = await settled(nodes, copy)
        assert (row["state"], "has 0 rows left" in row["reason"]) == ("paused", True)


async def test_a_refused_hop_gives_the_budget_back(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes)
        token = nodes.token(
            (ALL_VERBS, "alpha/*"),
            (Verb.MIGRATE, "*"),
            budget={Resource.ROWS: 20, Resource.HOPS: 1},
        )
        source = f'[(try (hop! "beta") (catch Exception e :no)) {ASK} {ASK}]'
        await nodes.stop("beta")
        agent = await nodes.spawn("alpha", source, token)
        _, row = await settled(nodes, agent)
        assert row["result"] == "[:no 10 10]", row["reason"]
        assert left(nodes, "alpha", token, agent) == {Resource.ROWS: 0, Resource.HOPS: 1}


async def test_a_target_that_refuses_gives_the_budget_back(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes)
        token = nodes.token(
            (ALL_VERBS, "alpha/*"),
            (Verb.MIGRATE, "*"),
            budget={Resource.ROWS: 20, Resource.HOPS: 1},
            at=frozenset({nodes.cluster.node("alpha").key}),
        )
        source = f'[(try (hop! "beta") (catch Exception e :no)) {ASK} {ASK}]'
        agent = await nodes.spawn("alpha", source, token)
        _, row = await settled(nodes, agent)
        assert row["result"] == "[:no 10 10]", row["reason"]
        assert left(nodes, "alpha", token, agent) == {Resource.ROWS: 0, Resource.HOPS: 1}


async def test_fuel_runs_out_and_a_further_token_lets_it_go_on(tmp_path: Path) -> None:
    source = "(loop [i 0] (if (= i 300000) i (recur (inc i))))"
    async with fleet(tmp_path, "alpha") as nodes:
        token = budgeted(nodes, fuel=100_000)
        agent = await nodes.spawn("alpha", source, token)
        _, row = await settled(nodes, agent)
        assert (row["state"], row["denied_right"]) == ("paused", "fuel")
        assert row["fuel_used"] <= 100_000 + 40_000
        more = nodes.delegate(budgeted(nodes, fuel=10_000_000), "alpha", agent)
        await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(more,))
        _, row = await settled(nodes, agent)
        assert row["result"] == "300000", row["reason"]
        assert left(nodes, "alpha", token, agent) == {Resource.FUEL: 0}


async def test_fuel_that_was_reserved_and_not_used_is_there_again(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = budgeted(nodes, fuel=1_000_000)
        agent = await nodes.spawn("alpha", "(reduce + (range 1000))", token)
        _, row = await settled(nodes, agent)
        assert left(nodes, "alpha", token, agent) == {Resource.FUEL: 1_000_000 - row["fuel_used"]}


async def test_a_share_is_set_aside_and_what_is_left_of_it_returned(tmp_path: Path) -> None:
    source = f"(do (log! (str {ASK})) (loop [] (recur)))"
    async with fleet(tmp_path, "alpha") as nodes:
        await load(nodes)
        token = budgeted(nodes, rows=30)
        agent = await nodes.spawn("alpha", source, paused=True)
        share = nodes.delegate(token, "alpha", agent, budget={Resource.ROWS: 20})
        await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(share,))
        assert left(nodes, "alpha", token, agent) == {Resource.ROWS: 10}
        await nodes.crash("alpha")
        await nodes.start("alpha")
        assert left(nodes, "alpha", token, agent) == {Resource.ROWS: 10}
        with trio.fail_after(10):
            while not (await nodes.ask("alpha", "agent.show", id=agent.hex()))["log"]:
                pass  # an agent that never rests leaves no moment in which all tasks are blocked
        await nodes.ask("alpha", "agent.kill", id=agent.hex())
        assert left(nodes, "alpha", token, agent) == {Resource.ROWS: 20}


@pytest.mark.parametrize("revoked", [True, False])
async def test_a_share_that_is_replaced_goes_back_to_nobody_who_is_to_be_renewed_himself(
    tmp_path: Path, revoked: bool
) -> None:
    """Else who renews both, each by what it has left, would grant the share twice."""
    source = "(do (spawn! (fn [] (sleep 600000)) {:budget {:rows 20}}) (sleep 600000))"
    async with fleet(tmp_path, "alpha") as nodes:
        token = budgeted(nodes, rows=30)
        parent = await nodes.spawn("alpha", source, token)
        with trio.fail_after(10):
            while len(nodes.nodes["alpha"].agents) < 2:
                await trio.testing.wait_all_tasks_blocked(0.01)
        (child,) = (one.record.id for one in nodes.nodes["alpha"].agents if one.record.births)
        await nodes.until("alpha", child, "waiting")
        if revoked:
            said = Revocation.sign(nodes.cluster.root_key, token, 0)
            body = {"revocation": said.to_bytes(), "token": token.to_bytes()}
            await nodes.ask("alpha", "token.revoke", **body)
        await nodes.ask("alpha", "agent.pause", id=child.hex())
        await nodes.until("alpha", child, "paused")
        (row,) = (await nodes.ask("alpha", "agent.tokens", id=child.hex()))["value"]
        assert least_left(row["left"])[Resource.ROWS] == 20
        fresh = nodes.delegate(budgeted(nodes, rows=20), "alpha", child)
        old = Token.from_bytes(row["token"]).ids[-1]
        await nodes.ask("alpha", "agent.renew", id=child.hex(), old=(old,), tokens=(fresh,))
        (row,) = (await nodes.ask("alpha", "agent.tokens", id=parent.hex()))["value"]
        assert least_left(row["left"])[Resource.ROWS] == (10 if revoked else 30)


async def test_a_share_that_is_not_there_is_refused(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", "1", paused=True)
        token = budgeted(nodes, rows=30)
        share = nodes.delegate(token, "alpha", agent, budget={Resource.ROWS: 31})
        with pytest.raises(RemoteError, match="has 30 rows left, not 31"):
            await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(share,))
        assert left(nodes, "alpha", token, agent) == {Resource.ROWS: 30}


async def test_children_are_counted(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        one = nodes.token(budget={Resource.CHILDREN: 1})
        program = await nodes.spawn("alpha", "1", nodes.token())
        hash_ = (await nodes.ask("alpha", "agent.show", id=program.hex()))["program"]
        async with nodes.connected("alpha", one) as channel:
            spawned = Map({"program": hash_, "nonce": b"n" * 16})
            await channel.request("agent.spawn", spawned)
            with pytest.raises(RemoteError, match="has 0 children left, not 1"):
                await channel.request(
                    "agent.spawn", Map({**dict(spawned.items()), "nonce": bytes(16)})
                )


async def test_a_persons_budget_is_spent_by_their_questions(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await load(nodes)
        token = budgeted(nodes, rows=15)
        body = Map({"stream": "facts", "query": "[:find ?n :where [_ :n ?n]]"})
        async with nodes.connected("alpha", token) as channel:
            await channel.request("query", body)
            with pytest.raises(RemoteError, match="has 5 rows left, not 10"):
                await channel.request("query", body)


async def test_memory_is_held_while_the_agent_lives(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = budgeted(nodes, mem=64 << 20)
        agent = await nodes.spawn("alpha", "1", token, memory_max=40 << 20, paused=True)
        assert left(nodes, "alpha", token, agent) == {Resource.MEM: 24 << 20}
        await nodes.ask("alpha", "agent.kill", id=agent.hex())
        assert left(nodes, "alpha", token, agent) == {Resource.MEM: 64 << 20}


async def test_who_begins_when_no_memory_is_left_is_refused(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = budgeted(nodes, mem=30 << 20)
        first = await nodes.spawn("alpha", "1", token, memory_max=20 << 20, paused=True)
        second = await nodes.spawn("alpha", "1", token, paused=True)
        alpha = nodes.nodes["alpha"].agents
        assert [agent.record.memory_max for agent in alpha] == [20 << 20, 10 << 20]
        with pytest.raises(RemoteError, match="memory: block 0 has 0 mem left"):
            await nodes.spawn("alpha", "1", token, paused=True)
        assert len(alpha) == 2
        for agent in (first, second):
            await nodes.ask("alpha", "agent.kill", id=agent.hex())
        assert left(nodes, "alpha", token, first) == {Resource.MEM: 30 << 20}


async def test_who_could_not_begin_holds_no_memory(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = budgeted(nodes, mem=100)
        for _ in range(2):
            with pytest.raises(RemoteError, match="100 bytes of memory"):
                await nodes.spawn("alpha", "1", token)


async def test_who_gets_other_tokens_holds_memory_of_those(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        first, second = budgeted(nodes, mem=30 << 20), budgeted(nodes, mem=40 << 20)
        agent = await nodes.spawn("alpha", "(sleep 600000)", first, paused=True)
        (old,) = (await nodes.ask("alpha", "agent.tokens", id=agent.hex()))["value"]
        tip = Token.from_bytes(old["token"]).ids[-1]
        fields = {"id": agent.hex(), "old": (tip,)}
        short = nodes.delegate(first, "alpha", agent, budget={Resource.MEM: 31 << 20})
        with pytest.raises(RemoteError, match="mem left, not"):
            await nodes.ask("alpha", "agent.renew", **fields, tokens=(short,))
        assert left(nodes, "alpha", first, agent) == {Resource.MEM: 0}, "it is held as before"
        more = nodes.delegate(second, "alpha", agent)
        await nodes.ask("alpha", "agent.renew", **fields, tokens=(more,))
        assert left(nodes, "alpha", first, agent) == {Resource.MEM: 30 << 20}
        assert left(nodes, "alpha", second, agent) == {Resource.MEM: 10 << 20}


LACKED = """
[:find ?e ?budget ?needed :where [?e :audit/allowed false] [?e :audit/budget ?budget] [?e :audit/needed ?needed]]
"""


@pytest.mark.parametrize(
    ("source", "budget", "shortage"),
    [
        (ASK, {"rows": 5}, ("rows", 10)),
        ("(loop [] (recur))", {"fuel": 10_000}, ("fuel", 1)),
        ("(sleep 600000)", {"rows": 5}, None),
    ],
)
async def test_which_budget_has_run_out_is_told_as_data(
    tmp_path: Path, source: str, budget: dict[str, int], shortage: tuple[str, int] | None
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes)
        agent = await nodes.spawn("alpha", source, budgeted(nodes, **budget))
        with trio.fail_after(20):
            await nodes.until("alpha", agent, "waiting" if shortage is None else "paused")
            await nodes.ask("alpha", "agent.pause", id=agent.hex())
        for _ in range(2):
            row = await nodes.ask("alpha", "agent.show", id=agent.hex())
            assert (row["state"], row["shortage"]) == ("paused", shortage)
            await nodes.stop("alpha")
            await nodes.start("alpha")
        rows = (await nodes.ask("alpha", "query", stream="audit", query=LACKED))["value"]
        effects = [] if shortage is None else [(Keyword(shortage[0]), shortage[1])]
        assert [row[1:] for row in rows] == effects
        await nodes.ask("alpha", "agent.migrate", id=agent.hex(), node="beta")
        await nodes.until("beta", agent, "paused")
        row = await nodes.ask("beta", "agent.show", id=agent.hex())
        assert row["shortage"] == shortage


ENDLESS = "(loop [] (recur))"
PURSE = {Resource.ROWS: 100, Resource.FUEL: 5_000_000, Resource.MEM: 100 << 20}


@pytest.mark.parametrize("how", ["revoked", "expired", "not yet"])
async def test_who_holds_a_token_that_is_no_good_keeps_nothing_from_who_narrowed_it(
    tmp_path: Path, how: str
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        ann, bob, now_s = PrivateKey.generate(), nodes.cluster.operator_key, nodes.now_s()
        granted = Caveats(exp=now_s + 600, rights=(Rights(ALL_VERBS, "**"),), budget=PURSE)
        purse = mint(nodes.cluster.root_key, ann.public, granted)
        less = {"expired": Caveats(exp=now_s - 10), "not yet": Caveats(nbf=now_s + 300)}
        bobs = purse.append(ann, bob.public, less.get(how, Caveats()))
        if how == "revoked":
            said = Revocation.sign(ann, bobs, 1)
            await nodes.nodes["alpha"].revocations.take([said])
        agent = await nodes.spawn("alpha", ENDLESS, paused=True)
        given = nodes.delegate(bobs, "alpha", agent, budget={Resource.ROWS: 100})
        with pytest.raises(RemoteError, match="a token that holds: block 1"):
            await nodes.spawn("alpha", ENDLESS, bobs)
        with pytest.raises(RemoteError, match="a token that holds: block 1"):
            await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(given,))
        found = await nodes.ask("alpha", "token.left", token=purse.to_bytes())
        assert dict(found["left"][0]) == {one.name.lower(): most for one, most in PURSE.items()}
        refused = "[:find (count ?e) . :where [?e :audit/verb :fund] [?e :audit/allowed false]]"
        answer = await nodes.ask("alpha", "query", stream="audit", query=refused)
        assert answer["value"] == 2


async def test_a_token_that_was_revoked_pays_no_fuel_whatever_else_an_agent_is_given(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = budgeted(nodes, fuel=5_000_000)
        agent = await nodes.spawn("alpha", ENDLESS, token, paused=True)
        await nodes.nodes["alpha"].revocations.take(
            [Revocation.sign(nodes.cluster.root_key, token, 0)]
        )
        other = nodes.delegate(nodes.token((Verb.READ, "alpha/none")), "alpha", agent)
        await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(other,))
        _, row = await settled(nodes, agent)
        assert (row["state"], row["denied_right"], row["fuel_used"]) == ("paused", "fuel", 0)
        assert left(nodes, "alpha", token, agent) == {Resource.FUEL: 5_000_000}


async def test_a_token_for_another_node_neither_pays_nor_limits_here(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        beta = frozenset({nodes.cluster.node("beta").key})
        bound = nodes.token(
            at=beta, budget={Resource.FUEL: 5_000_000, Resource.MEM: 50 << 20, Resource.ROWS: 10}
        )
        travels = nodes.token((Verb.MIGRATE, "**"))
        await load(nodes)
        source = f'(do (loop [i 0] (when (< i 100000) (recur (inc i)))) (hop! "beta") {ASK})'
        agent = await nodes.spawn("alpha", source, bound, travels)
        place, row = await settled(nodes, agent)
        assert (place, row["result"]) == ("beta", "10"), row["reason"]
        there = nodes.nodes["beta"].authority
        arrived = nodes.nodes["beta"].agents.get(agent)
        assert arrived is not None
        (handle,) = (one for one in there.handles_of(arrived) if one.limited)
        spent = 5_000_000 - there.left(handle.token)[0][Resource.FUEL]
        assert 0 < spent < 100_000


MANY = "[{:db/ident :many :db/cardinality :db.cardinality/many}]"
TEN = "{:db/id 4001 :many [1 2 3 4 5 6 7 8 9 10]}"
# data, and how many rows it costs after what stands before it
WRITES = [
    ("[{:db/id -1 :n 1}]", 1),
    ("[]", 1),
    (f"[{TEN}]", 10),
    (f"[{TEN}]", 2),  # it is so already; as many as stand there
    ('[{:db/id 4002 :many #{"a" "b" "c"}}]', 3),
    ("[{:db/id 4003 :n 1}]", 1),
    ("[{:db/id 4003 :n 2}]", 1),  # in place of the other
    ("[[:db/retractEntity 4001]]", 10),
]


async def test_facts_cost_what_the_store_makes_of_them(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="facts", data=edn.read(MANY))
        for text, rows in WRITES:
            for most in (rows - 1, rows):
                token = budgeted(nodes, rows=most)
                body = Map({"stream": "facts", "data": edn.read(text)})
                async with nodes.connected("alpha", token) as channel:
                    if most < rows:
                        with pytest.raises(RemoteError, match=f"has {most} rows left, not {rows}"):
                            await channel.request("stream.transact", body)
                    else:
                        await channel.request("stream.transact", body)
                found = await nodes.ask("alpha", "token.left", token=token.to_bytes())
                assert found["left"][0]["rows"] == (most if most < rows else 0)


async def test_facts_of_an_agent_cost_what_the_store_makes_of_them(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="facts", data=edn.read(MANY))
        source = (
            f"""(do (transact! "facts" [{TEN}]) (transact! "facts" [[:db/retractEntity 4001]]))"""
        )
        short = await nodes.spawn("alpha", source, budgeted(nodes, rows=19))
        _, row = await settled(nodes, short)
        assert (row["state"], row["shortage"]) == ("paused", ("rows", 10))
        rest = nodes.delegate(budgeted(nodes, rows=10), "alpha", short)
        await nodes.ask("alpha", "agent.resume", id=short.hex(), tokens=(rest,))
        _, row = await settled(nodes, short)
        assert row["state"] == "done", row["reason"]
        enough = await nodes.spawn("alpha", source, budgeted(nodes, rows=20))
        _, row = await settled(nodes, enough)
        assert row["state"] == "done", row["reason"]


async def test_a_renewal_that_is_refused_leaves_memory_where_it_is_held(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        first, second = (budgeted(nodes, mem=30 << 20) for _ in range(2))
        other = await nodes.spawn("alpha", "1", first, paused=True)
        agent = await nodes.spawn("alpha", "1", first, second, paused=True, memory_max=30 << 20)
        await nodes.ask("alpha", "agent.kill", id=other.hex())
        rows = (await nodes.ask("alpha", "agent.tokens", id=agent.hex()))["value"]
        old = (Token.from_bytes(rows[0]["token"]).ids[-1],)
        short = nodes.delegate(second, "alpha", agent, budget={Resource.MEM: 31 << 20})
        with pytest.raises(RemoteError, match="mem left, not"):
            await nodes.ask("alpha", "agent.renew", id=agent.hex(), old=old, tokens=(short,))
        assert left(nodes, "alpha", first, agent) == {Resource.MEM: 30 << 20}
        assert left(nodes, "alpha", second, agent) == {Resource.MEM: 0}


async def test_who_gets_tokens_with_less_memory_pauses(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        first, second = budgeted(nodes, mem=30 << 20), budgeted(nodes, mem=20 << 20)
        agent = await nodes.spawn("alpha", "(loop [] (recur))", first)
        (old,) = (await nodes.ask("alpha", "agent.tokens", id=agent.hex()))["value"]
        tip = Token.from_bytes(old["token"]).ids[-1]
        less = nodes.delegate(second, "alpha", agent)
        await nodes.ask("alpha", "agent.renew", id=agent.hex(), old=(tip,), tokens=(less,))
        _, row = await settled(nodes, agent)
        assert (row["state"], row["denied_right"]) == ("paused", "memory")
        assert row["shortage"] == ("mem", 30 << 20)
        more = nodes.delegate(first, "alpha", agent)
        await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(more,))
        assert left(nodes, "alpha", first, agent) == {Resource.MEM: 0}
        await nodes.ask("alpha", "agent.kill", id=agent.hex())


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_around_a_hop_refunds_nothing_twice(tmp_path: Path, when: str) -> None:
    """The node dies right before or after the hand-off's first record is durable; what was spent stays spent."""
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes)
        token = budgeted(nodes, rows=20)
        agent = await nodes.spawn(
            "alpha",
            f'(do {ASK} (transact! "done" [{{:a 1}}]) (sleep 300) (hop! "beta") {ASK})',
            token,
        )
        if when == "before":
            await nodes.until("alpha", agent, "waiting")
        else:
            await nodes.until("alpha", agent, "moved")
        await nodes.crash("alpha")
        await nodes.start("alpha")
        place, row = await settled(nodes, agent)
        assert place == "beta", row["reason"]
        assert (row["state"], "has 9 rows left" in row["reason"]) == ("paused", True)
        assert left(nodes, "alpha", token, agent) == {Resource.ROWS: 0}


async def test_what_is_left_at_an_end_elsewhere_comes_home(tmp_path: Path) -> None:
    source = f'(do (hop! "beta") {ASK} (hop! "gamma") {ASK})'
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        await load(nodes)
        token = budgeted(nodes, rows=100)
        agent = await nodes.spawn("alpha", source, token, paused=True)
        share = nodes.delegate(token, "alpha", agent, budget={Resource.ROWS: 50})
        await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(share,))
        place, row = await settled(nodes, agent)
        assert (place, row["state"]) == ("gamma", "done"), row["reason"]
        await comes_home(nodes, token, agent, 80)
        beta, whose = nodes.cluster.node("beta").key.text, agent.hex()
        rows = [(r["who"], r["resource"], r["reason"]) for r in await returns(nodes, "alpha")]
        assert sorted(rows) == [(beta, whose, "rows=30"), (beta, whose, "rows=50")]


async def returns(nodes: Fleet, name: str) -> list[dict[str, Any]]:
    """Return what a node has decided about budgets that came back."""
    await nodes.nodes[name].agents.decided()
    return [row for row in await audit(nodes, name) if row["verb"] == Keyword("return")]


async def comes_home(nodes: Fleet, token: Token, agent: bytes, rows: int) -> None:
    """Return when so many rows of a token are left at alpha."""
    with trio.fail_after(20):
        while left(nodes, "alpha", token, agent) != {Resource.ROWS: rows}:
            await trio.testing.wait_all_tasks_blocked(0.01)


async def test_what_is_left_at_an_end_comes_home_from_where_it_had_been_before(
    tmp_path: Path,
) -> None:
    hops = " ".join(f'(hop! "{name}") {ASK}' for name in ("beta", "alpha", "beta", "gamma", "beta"))
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        await load(nodes)
        token = budgeted(nodes, rows=100)
        agent = await nodes.spawn("alpha", f"(do {hops})", token)
        place, row = await settled(nodes, agent)
        assert (place, row["state"]) == ("beta", "done"), row["reason"]
        await comes_home(nodes, token, agent, 50)


SHARES = [("{}", 100), ("{:budget {:rows 30}}", 30), ("{:budget {:rows 100}}", 100)]


async def family(nodes: Fleet, source: str) -> tuple[Token, bytes, bytes]:
    """Return the token of an agent that has come to beta from alpha and waits there beside its child, and the ids of both."""
    token = budgeted(nodes, rows=100)
    agent = await nodes.spawn("alpha", source, token)
    await until(lambda: nodes.nodes["beta"].agents.get(agent))
    await until(lambda: len(nodes.nodes["beta"].agents) == 2)
    (child,) = [one.record.id for one in nodes.nodes["beta"].agents if one.record.births]
    return token, agent, child


async def ends(nodes: Fleet, name: str, agent: bytes) -> None:
    """Have an agent end where it is."""
    await until(lambda: nodes.nodes[name].agents.get(agent))
    await nodes.until(name, agent, "waiting")
    await nodes.ask(name, "agent.kill", id=agent.hex())


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("share", "rows"), SHARES)
async def test_what_a_child_leaves_comes_home_though_its_parent_has_ended_before(
    tmp_path: Path, share: str, rows: int, restarted: bool
) -> None:
    """What the parent has left waits for a child that relies on it, and for no other."""
    source = f'(do (hop! "beta") (spawn! (fn [] (sleep 600000)) {share}) (sleep 600000))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token, agent, child = await family(nodes, source)
        if restarted:
            for one in (agent, child):
                await nodes.ask("beta", "agent.pause", id=one.hex())
            await nodes.stop("beta")
            await nodes.start("beta")
            await nodes.ask("beta", "agent.kill", id=agent.hex())
        else:
            await ends(nodes, "beta", agent)
        await comes_home(nodes, token, agent, 0 if share == "{}" else 100 - rows)
        beta = nodes.nodes["beta"]
        known = beta.agents.get(child)
        assert known is not None
        (handle,) = beta.authority.handles_of(known)
        assert beta.authority._meter.left(handle.token) == {Resource.ROWS: rows}
        await nodes.ask("beta", "agent.kill", id=child.hex())
        await comes_home(nodes, token, agent, 100)


@pytest.mark.parametrize(("share", "rows"), SHARES)
async def test_what_a_child_leaves_elsewhere_comes_home_though_its_parent_has_ended_before(
    tmp_path: Path, share: str, rows: int
) -> None:
    source = f'(do (hop! "beta") (spawn! (fn [] (hop! "gamma") 1) {share}) nil)'
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        token = budgeted(nodes, rows=100)
        agent = await nodes.spawn("alpha", source, token)
        await comes_home(nodes, token, agent, 100)


async def test_a_child_keeps_its_share_when_its_parent_ends_elsewhere(tmp_path: Path) -> None:
    source = """
    (do (hop! "beta") (spawn! (fn [] (hop! "gamma") (sleep 600000)) {:budget {:rows 30}})
        (sleep 600000))
    """
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        token = budgeted(nodes, rows=100)
        agent = await nodes.spawn("alpha", source, token)
        gamma, alpha = nodes.nodes["gamma"], nodes.nodes["alpha"]
        await until(lambda: len(gamma.agents) == 1)
        (child,) = (one.record.id for one in gamma.agents)
        await ends(nodes, "beta", agent)
        await comes_home(nodes, token, agent, 70)
        await nodes.until("gamma", child, "waiting")
        await nodes.ask("gamma", "agent.migrate", id=child.hex(), node="alpha")
        await until(lambda: alpha.agents.get(child))
        known = alpha.agents.get(child)
        assert known is not None
        (handle,) = alpha.authority.handles_of(known)
        assert alpha.authority._meter.left(handle.token) == {Resource.ROWS: 30}
        await ends(nodes, "alpha", child)
        await comes_home(nodes, token, agent, 100)


async def test_what_a_child_leaves_comes_home_though_its_parent_has_gone_on(
    tmp_path: Path,
) -> None:
    source = """
    (do (hop! "beta") (spawn! (fn [] (sleep 600000)) {:budget {:rows 30}})
        (hop! "gamma") (sleep 600000))
    """
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        token, agent, child = await family(nodes, source)
        await nodes.until("beta", agent, "moved")
        await ends(nodes, "beta", child)
        await comes_home(nodes, token, agent, 30)
        await ends(nodes, "gamma", agent)
        await comes_home(nodes, token, agent, 100)


async def test_a_share_that_a_child_leaves_beside_its_parent_stays_there(tmp_path: Path) -> None:
    source = """
    (do (hop! "beta") (spawn! (fn [] (sleep 600000)) {:budget {:rows 30}}) (sleep 600000))
    """
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token, agent, child = await family(nodes, source)
        await ends(nodes, "beta", child)
        beta = nodes.nodes["beta"]
        (handle,) = known_at(nodes, "beta", agent).tokens
        assert beta.authority._meter.left(handle.token) == {Resource.ROWS: 100}
        await ends(nodes, "beta", agent)
        await comes_home(nodes, token, agent, 100)


async def test_two_returns_of_one_budget_both_come_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yind.returns.RETURN_RETRY_S", 0.5)
    source = """
    (do (hop! "beta") (spawn! (fn [] (sleep 600000)) {:budget {:rows 30}}) (sleep 600000))
    """
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token, agent, child = await family(nodes, source)
        await nodes.until("alpha", agent, "moved")
        await nodes.stop("alpha")
        await ends(nodes, "beta", agent)
        await ends(nodes, "beta", child)
        await nodes.start("alpha")
        await comes_home(nodes, token, agent, 100)


@pytest.mark.parametrize("first", ["parent", "child"])
async def test_a_share_comes_home_though_its_parent_has_come_back_there_since(
    tmp_path: Path, first: str
) -> None:
    source = """
    (do (hop! "gamma") (hop! "beta") (spawn! (fn [] (sleep 600000)) {:budget {:rows 30}})
        (hop! "gamma") (hop! "beta") (sleep 600000))
    """
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        token, agent, child = await family(nodes, source)
        await until(lambda: known_at(nodes, "beta", agent).record.hop_count == 4)
        for one in (agent, child) if first == "parent" else (child, agent):
            await ends(nodes, "beta", one)
        await comes_home(nodes, token, agent, 100)


@pytest.mark.parametrize("place", ["beta", "gamma"])
async def test_what_waited_for_a_child_comes_home_when_it_ends(tmp_path: Path, place: str) -> None:
    """What its parent had with blocks that the child has not, and did not take along."""
    source = """
    (do (hop! "gamma") (hop! "beta") (spawn! (fn [] (sleep 600000)) {:budget {:rows 30}})
        (hop! "gamma") (hop! "beta") (sleep 600000))
    """
    async with fleet(tmp_path, "alpha", "beta", "gamma") as nodes:
        token = budgeted(nodes, rows=100, children=10)
        agent = await nodes.spawn("alpha", source, token)
        await until(lambda: nodes.nodes["beta"].agents.get(agent))
        await until(lambda: known_at(nodes, "beta", agent).record.hop_count == 4)
        (child,) = [one.record.id for one in nodes.nodes["beta"].agents if one.record.births]
        await ends(nodes, "beta", agent)
        if place == "gamma":
            await nodes.until("beta", child, "waiting")
            await nodes.ask("beta", "agent.migrate", id=child.hex(), node="gamma")
        await ends(nodes, place, child)
        everything = {Resource.ROWS: 100, Resource.CHILDREN: 9}
        with trio.fail_after(20):
            while left(nodes, "alpha", token, agent) != everything:
                await trio.testing.wait_all_tasks_blocked(0.01)


def known_at(nodes: Fleet, name: str, agent: bytes) -> Agent:
    found = nodes.nodes[name].agents.get(agent)
    assert found is not None
    return found


async def test_what_a_replaced_token_has_left_goes_home(tmp_path: Path) -> None:
    source = f'(do (hop! "beta") {ASK} (transact! "locked" [{{:n 1}}]))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await load(nodes)
        rights = ((Verb.READ, "**"), (Verb.MIGRATE, "*"))
        token = nodes.token(*rights, budget={Resource.ROWS: 100})
        agent = await nodes.spawn("alpha", source, token)
        place, row = await settled(nodes, agent)
        assert (place, row["state"]) == ("beta", "paused"), row["reason"]
        (row,) = (await nodes.ask("beta", "agent.tokens", id=agent.hex()))["value"]
        fresh = nodes.delegate(budgeted(nodes, rows=5), "beta", agent)
        old = Token.from_bytes(row["token"]).ids[-1]
        await nodes.ask("beta", "agent.renew", id=agent.hex(), old=(old,), tokens=(fresh,))
        await comes_home(nodes, token, agent, 90)
        assert (await settled(nodes, agent))[1]["state"] == "done"
        assert left(nodes, "alpha", token, agent) == {Resource.ROWS: 90}


async def test_nobody_but_who_was_given_a_budget_returns_it(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        token = budgeted(nodes, rows=100)
        agent = await nodes.spawn("alpha", '(do (hop! "beta") (loop [] (recur)))', token)
        await nodes.until("alpha", agent, "moved")
        (row,) = (await nodes.ask("beta", "agent.tokens", id=agent.hex()))["value"]
        tip = Token.from_bytes(row["token"]).ids[-1]
        for broken in (b"", token.to_bytes()[:-1]):
            body = msgspec.msgpack.encode(Return(bytes(32), bytes(32), tip, broken, {2: 100}))
            with pytest.raises(RemoteError, match="token/"):
                await nodes.ask("alpha", "budget.return", **{"return": body})
        assert [row["allowed"] for row in await returns(nodes, "alpha")] == [False, False]
        forged = Return(bytes(32), bytes(32), tip, row["token"], {2: 100})
        with pytest.raises(RemoteError, match="by who was given it"):
            await nodes.ask("alpha", "budget.return", **{"return": msgspec.msgpack.encode(forged)})
        *_, row = await returns(nodes, "alpha")
        assert (row["allowed"], row["reason"]) == (
            False,
            "a budget is returned by who was given it",
        )
        assert left(nodes, "alpha", token, agent) == {Resource.ROWS: 0}
