"""An agent asks for a right, waits, and goes on at the same step: granted, refused, or by the rules of the node."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest
import trio
from fleet import Fleet, fleet

from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.tokens import mint
from cli.cluster import ALL_VERBS
from datomstore.value import Keyword, Map
from protocol.errors import RemoteError
from protocol.messages import Item
from yind.config import Answers
from yind.limits import ASK_FUEL
from yind.requests import read_rules

ASK = """
(let [before (str "x" 1)
      got (try (request-token {:verbs [:read] :streams ["alpha/facts"] :reason "to count"})
               (catch Exception e [:refused (ex-message e) (ex-data e)]))]
  [before got (if (true? got) (q '[:find (count ?e) . :where [?e :n _]] "facts") nil)])
"""


async def load(nodes: Fleet) -> None:
    data = tuple(Map({Keyword("n"): number}) for number in range(3))
    await nodes.ask("alpha", "stream.transact", stream="facts", data=data)


async def asking(nodes: Fleet, source: str = ASK) -> tuple[bytes, Map]:
    """Start an agent without any right and return it with its request, when it waits."""
    agent = await nodes.spawn("alpha", source)
    with trio.fail_after(20):
        _, row = await nodes.settled("alpha", agent)
    assert row["state"] == "paused", (row["state"], row["fault"])
    (request,) = (await nodes.ask("alpha", "request.list"))["value"]
    assert request["agent"] == agent
    return agent, request


async def result(nodes: Fleet, agent: bytes) -> str:
    with trio.fail_after(20):
        _, row = await nodes.settled("alpha", agent)
    assert row["state"] == "done", (row["state"], row["reason"], row["fault"])
    return str(row["result"])


async def test_a_request_says_what_is_wanted_and_why(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent, request = await asking(nodes)
        assert (request["verbs"], request["streams"]) == (("read",), ("alpha/facts",))
        row = await nodes.ask("alpha", "agent.show", id=agent.hex())
        assert row["reason"] == "asks for read alpha/facts (to count)"
        query = "[:find ?agent ?why :where [?r :request/agent ?agent] [?r :request/reason ?why]]"
        answer = await nodes.ask("alpha", "query", stream="requests", query=query)
        assert list(answer["value"]) == [(agent.hex()[:12], "to count")]


async def test_what_was_asked_for_is_granted_at_the_same_step(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await load(nodes)
        agent, request = await asking(nodes)
        token = nodes.delegate(nodes.token((Verb.READ, "alpha/facts")), "alpha", agent)
        await nodes.ask("alpha", "request.grant", id=request["id"], tokens=(token,))
        assert await result(nodes, agent) == '["x1" true 3]'
        assert (await nodes.ask("alpha", "request.list"))["value"] == ()
        with pytest.raises(RemoteError, match="no request"):
            await nodes.ask("alpha", "request.grant", id=request["id"], tokens=(token,))


async def test_a_refusal_is_an_error_the_agent_can_catch(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent, request = await asking(nodes)
        await nodes.ask("alpha", "request.refuse", id=request["id"], reason="not today")
        said = await result(nodes, agent)
        assert ':refused "the request was refused: not today"' in said
        assert f':request "{request["id"]}"' in said
        query = "[:find ?s ?why :where [?r :request/state ?s] [?r :request/why ?why]]"
        answer = await nodes.ask("alpha", "query", stream="requests", query=query)
        assert list(answer["value"]) == [(Keyword("refused"), "not today")]


@pytest.mark.parametrize("answered", [False, True])
async def test_a_crash_while_a_request_waits_loses_nothing(tmp_path: Path, answered: bool) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await load(nodes)
        agent, request = await asking(nodes)
        token = nodes.delegate(nodes.token((Verb.READ, "alpha/facts")), "alpha", agent)
        if answered:
            await nodes.ask("alpha", "request.grant", id=request["id"], tokens=(token,))
        await nodes.crash("alpha")
        await nodes.start("alpha")
        if not answered:
            assert (await nodes.ask("alpha", "request.list"))["value"] == (request,)
            await nodes.ask("alpha", "request.grant", id=request["id"], tokens=(token,))
        assert await result(nodes, agent) == '["x1" true 3]'


async def test_resuming_without_an_answer_lets_it_wait_on(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent, request = await asking(nodes)
        await nodes.ask("alpha", "agent.resume", id=agent.hex())
        await nodes.until("alpha", agent, "paused")
        assert (await nodes.ask("alpha", "request.list"))["value"][0]["id"] == request["id"]


@pytest.mark.parametrize(
    "wanted",
    [
        "1",
        "{}",
        "{:verbs [:read]}",
        '{:verbs [:fly] :streams ["a"]}',
        '{:verbs [:read] :streams ["a//b"]}',
        '{:verbs [:read] :streams ["facts"]}',
        '{:verbs [:migrate] :streams ["a/b"]}',
        "{:budget {:rows -1}}",
        "{:budget {:gold 1}}",
        "{:budget {:rows 1} :ttl-s 0}",
        "{:budget {:rows 1} :whim 1}",
    ],
)
async def test_a_request_that_makes_no_sense_is_an_error(tmp_path: Path, wanted: str) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        source = f"(try (request-token {wanted}) (catch Exception e :no))"
        assert await nodes.result("alpha", source) == ":no"


async def test_a_budget_that_ran_out_is_asked_for_and_granted(tmp_path: Path) -> None:
    source = """
    (do (q '[:find ?e :where [?e :n _]] "facts")
        (request-token {:verbs [:read] :streams ["alpha/*"] :budget {:rows 3}})
        (count (q '[:find ?e :where [?e :n _]] "facts")))
    """
    async with fleet(tmp_path, "alpha") as nodes:
        await load(nodes)
        agent = await nodes.spawn("alpha", source, nodes.token(budget={Resource.ROWS: 3}))
        await nodes.settled("alpha", agent)
        (request,) = (await nodes.ask("alpha", "request.list"))["value"]
        assert dict(request["budget"].items()) == {"rows": 3}
        purse = nodes.token(budget={Resource.ROWS: 10})
        share = nodes.delegate(purse, "alpha", agent, budget={Resource.ROWS: 3})
        await nodes.ask("alpha", "request.grant", id=request["id"], tokens=(share,))
        assert await result(nodes, agent) == "3"


async def test_who_is_moved_while_it_waits_asks_again_where_it_is(tmp_path: Path) -> None:
    source = '(request-token {:verbs [:read] :streams ["alpha/facts"]})'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token((Verb.MIGRATE, "**")))
        await nodes.until("alpha", agent, "paused")
        (before,) = (await nodes.ask("alpha", "request.list"))["value"]
        await nodes.ask("alpha", "agent.migrate", id=agent.hex(), node="beta")
        await nodes.until("beta", agent, "paused")
        (request,) = (await nodes.ask("beta", "request.list"))["value"]
        assert request["agent"] == agent
        assert request["id"] != before["id"]
        assert (await nodes.ask("alpha", "request.list"))["value"] == ()
        given = nodes.delegate(nodes.token(), "beta", agent)
        await nodes.ask("beta", "request.grant", id=request["id"], tokens=(given,))
        with trio.fail_after(20):
            await nodes.until("beta", agent, "done")


async def test_asking_costs_fuel_once(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent, request = await asking(nodes)
        for _ in range(2):
            (row,) = (await nodes.ask("alpha", "agent.list"))["value"]
            assert ASK_FUEL <= row["fuel_used"] < 2 * ASK_FUEL
            await nodes.ask("alpha", "agent.resume", id=agent.hex())
            await nodes.settled("alpha", agent)
        agent = await nodes.spawn("alpha", ASK, fuel_max=ASK_FUEL // 2)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["reason"]) == ("paused", f"fuel limit of {ASK_FUEL // 2} reached")
        assert (await nodes.ask("alpha", "request.list"))["value"] == (request,)


RULES = """
[[(grant ?r ?verb ?stream)
  [?r :request/agent _] [(ground :read) ?verb] [(ground "alpha/facts") ?stream]]
 [(grant-budget ?r ?resource ?most)
  [?r :request/agent _] [(ground :rows) ?resource] [(ground 50) ?most]]
 [(grant-ttl ?r ?most) [?r :request/agent _] [(ground 7200) ?most]]
 [(refuse ?r ?why) [?r :request/verb :retract] [(ground "nobody retracts here") ?why]]]
"""


async def with_rules(nodes: Fleet, rules: str = RULES) -> None:
    """Restart the node with rules that may grant reading."""
    folder = nodes.cluster.node_folder("alpha")
    (folder / "requests.edn").write_text(rules)
    rights = (Rights(ALL_VERBS, "alpha/*"),)
    key = nodes.cluster.node("alpha").key
    caveats = Caveats(exp=2**32, rights=rights, budget={Resource.ROWS: 100})
    token = mint(nodes.cluster.root_key, key, caveats)
    (folder / "requests.token").write_text(token.to_text() + "\n")
    await nodes.stop("alpha")
    await nodes.start("alpha", requests=Answers("requests.edn", "requests.token"))


async def test_rules_grant_refuse_or_leave_it_to_a_person(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await load(nodes)
        await with_rules(nodes)
        assert await nodes.result("alpha", ASK) == '["x1" true 3]'
        refused = ASK.replace("[:read]", "[:read :retract]")
        assert "nobody retracts here" in await nodes.result("alpha", refused)
        _, request = await asking(nodes, ASK.replace("alpha/facts", "alpha/other"))
        assert request["streams"] == ("alpha/other",)
        query = '[:find (count ?r) . :where [?r :request/answered-by "policy"]]'
        assert (await nodes.ask("alpha", "query", stream="requests", query=query))["value"] == 2


READ = ':verbs [:read] :streams ["alpha/facts"]'


@pytest.mark.parametrize(
    ("wanted", "granted"),
    [
        (f"{{{READ}}}", True),
        (f"{{{READ} :budget {{:rows 50}} :ttl-s 7200}}", True),
        ('{:verbs [:read :append] :streams ["alpha/facts"]}', False),
        ('{:verbs [:read] :streams ["alpha/facts" "alpha/other"]}', False),
        ('{:verbs [:read] :streams ["alpha/facts" "alpha/*"]}', False),
        ('{:verbs [:read] :streams ["alpha/*"]}', False),
        (f"{{{READ} :budget {{:rows 51}}}}", False),
        (f"{{{READ} :budget {{:rows 50 :fuel 1}}}}", False),
        (f"{{{READ} :ttl-s 7201}}", False),
    ],
)
async def test_rules_grant_what_they_say_of_each_part_or_nothing(
    tmp_path: Path, wanted: str, granted: bool
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await with_rules(nodes)
        agent = await nodes.spawn("alpha", f"(request-token {wanted})")
        with trio.fail_after(20):
            _, row = await nodes.settled("alpha", agent)
        assert row["state"] == ("done" if granted else "paused"), row["fault"]
        known = nodes.nodes["alpha"].agents.get(agent)
        assert known is not None
        assert len(known.record.tokens) == granted


async def test_without_a_rule_of_time_what_is_granted_ends_within_the_hour(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await with_rules(nodes, RULES.replace("grant-ttl", "for-so-long"))
        assert await nodes.result("alpha", f"(request-token {{{READ} :ttl-s 3600}})") == "true"
        await asking(nodes, f"(request-token {{{READ} :ttl-s 3601}})")


@pytest.mark.parametrize("head", ["(grant ?r)", "(grant-budget ?r ?most)", "(refuse ?r)"])
def test_rules_that_grant_more_than_a_part_are_no_rules(head: str) -> None:
    with pytest.raises(ValueError, match=r"the head of such rules is \("):
        read_rules(f"[[{head} [?r :request/most ?most]]]", "rules.edn")


async def test_who_follows_requests_hears_of_each(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes, nodes.connected("alpha") as channel:
        first, _ = await asking(nodes)
        heard: list[bytes] = []
        with trio.fail_after(20):
            async with aclosing(channel.stream("request.follow", Map())) as rows:
                async for row in rows:
                    assert isinstance(row, Item)
                    heard.append(row.body["agent"])
                    if len(heard) == 2:
                        break
                    second = await nodes.spawn("alpha", ASK)
        assert heard == [first, second]


async def test_without_the_right_nobody_answers(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent, request = await asking(nodes)
        token = nodes.delegate(nodes.token(), "alpha", agent)
        async with nodes.connected("alpha", nodes.token((Verb.QUERY, "**"))) as channel:
            for verb, body in [
                ("request.grant", {"id": request["id"], "tokens": (token,)}),
                ("request.refuse", {"id": request["id"]}),
            ]:
                with pytest.raises(RemoteError, match="spawn alpha"):
                    await channel.request(verb, Map(body))
