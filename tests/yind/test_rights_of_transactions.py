"""What a transaction needs is known before it is done, and what is not known needs everything."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from fleet import Fleet, fleet

from capabilities.caveats import Resource, Verb
from capabilities.tokens import Token
from datomstore import edn
from datomstore.value import Keyword, Map
from protocol.errors import RemoteError
from yind.appends import verbs_of

ALL = {Verb.APPEND, Verb.RETRACT, Verb.SCHEMA, Verb.HISTORY}


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("{:n 1}", set()),
        ("{:db/id -1 :n 1 :inner {:m [{:k 2}]}}", set()),
        ("[:db/add -1 :n 1]", set()),
        ("[:db/cas 1000 :n 1 2]", set()),
        ("{:n [:db/retract 1]}", set()),
        ("[:db/cas 1000 :n 1 nil]", {Verb.RETRACT}),
        ("[:db.fn/cas 1000 :n 1 nil]", {Verb.RETRACT}),
        ("[:db/retract 1000 :n 1]", {Verb.RETRACT}),
        ("[:db/retractEntity 1000]", {Verb.RETRACT}),
        ("[:db.fn/retractEntity 1000]", {Verb.RETRACT}),
        ("[:db.fn/retractAttribute 1000 :n]", {Verb.RETRACT}),
        ("{:db/ident :n :db/cardinality :db.cardinality/many}", {Verb.SCHEMA}),
        ("{:db/id 1000 :db/unique :db.unique/identity}", {Verb.SCHEMA}),
        ("[:db/add :n :db/unique :db.unique/identity]", {Verb.SCHEMA}),
        ("{:n 1 :inner {:db/ident :m}}", {Verb.SCHEMA}),
        ("{:n #{{:db/ident :m}}}", {Verb.SCHEMA}),
        ("[:db/retract :n :db/unique :db.unique/identity]", {Verb.RETRACT, Verb.SCHEMA}),
        ("{:db/excise 1000}", {Verb.RETRACT, Verb.HISTORY}),
        ("{:n {:db/excise 1000 :db.excise/attrs [:n]}}", {Verb.RETRACT, Verb.HISTORY}),
        ("[:db/add -1 :db/excise 1000]", {Verb.RETRACT, Verb.HISTORY}),
        ("[:db.fn/call 1]", ALL),
        ("[1 2 3]", ALL),
        ("[:db/add 1000 17 1]", ALL),
        ('{"n" 1}', ALL),
    ],
)
def test_an_item_needs_these_rights_beside_append(text: str, more: set[Verb]) -> None:
    assert verbs_of((edn.read(text),)) == {Verb.APPEND} | more


OF_THE_NODE = [
    '{:n 2 :db/id "datomic.tx" :tx/agent "else"}',
    '[:db/add :db/current-tx :tx/agent "else"]',
    '[:db/add TX :tx/agent "else"]',
    '[:db/cas TX :tx/agent "me" "else"]',
    "[:db/retract TX :tx/agent]",
    '{:n {:m [{:tx/program "else"}]}}',
    '{:n 2 :tx/_agent "datomic.tx"}',
]


@pytest.mark.parametrize("item", OF_THE_NODE)
async def test_who_made_a_transaction_is_said_by_the_node_alone(tmp_path: Path, item: str) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        every = nodes.token()
        first = await nodes.spawn("alpha", '(:tx (transact! "facts" [{:n 1}]))', every)
        _, row = await nodes.settled("alpha", first)
        item = item.replace("TX", row["result"])
        source = f'(try (transact! "facts" [(quote {item})]) (catch Exception e (ex-message e)))'
        assert "by the node alone" in await nodes.result("alpha", source, every)
        with pytest.raises(RemoteError, match="by the node alone"):
            await nodes.ask("alpha", "stream.transact", stream="facts", data=(edn.read(item),))
        query = "[:find ?tx ?agent :where [?tx :tx/agent ?agent]]"
        found = (await nodes.ask("alpha", "query", stream="facts", query=query))["value"]
        assert list(found) == [(int(row["result"]), first.hex()[:12])]


async def test_an_agent_says_of_its_transaction_what_else_it_likes(tmp_path: Path) -> None:
    source = '(do (transact! "facts" [{:db/id "datomic.tx" :tx/note "x"}]) :done)'
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token((Verb.APPEND, "alpha/facts"))
        assert await nodes.result("alpha", source, token) == ":done"


@pytest.mark.parametrize(
    "item",
    [
        "{:db/excise 1000}",
        "[:db.fn/retractAttribute 1000 :n]",
        "[:db/retractEntity 1000]",
        "{:db/id 1000 :db/ident :mine}",
    ],
)
async def test_the_right_to_append_destroys_nothing(tmp_path: Path, item: str) -> None:
    source = f'(do (transact! "facts" [{{:db/id 1000 :n 1}}]) (transact! "facts" [(quote {item})]))'
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token((Verb.APPEND | Verb.READ, "alpha/facts"))
        agent = await nodes.spawn("alpha", source, token)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["denied_right"].split()[1]) == ("paused", "alpha/facts")
        facts = nodes.nodes["alpha"].streams.get("facts").db().datoms("eavt", 1000)
        assert [(str(datom.a), datom.v) for datom in facts] == [(":n", 1)]


OWN = Verb.READ | Verb.APPEND | Verb.RETRACT | Verb.HISTORY
SCHEMA = """[{:db/id 1001 :db.stream/private true}
             {:db/id 1002 :db/ident :user/id :db/unique :db.unique/identity}
             {:db/id 1003 :n 1}]"""


async def refused_to_both(nodes: Fleet, token: Token, item: str) -> list[str]:
    """Return why an agent, and a person, with a token may not transact an item."""
    source = f'(transact! "facts" [(quote {item})])'
    _, row = await nodes.settled("alpha", await nodes.spawn("alpha", source, token))
    assert row["state"] in ("paused", "failed")
    async with nodes.connected("alpha", token) as channel:
        body = Map({"stream": "facts", "data": (edn.read(item),)})
        with pytest.raises(RemoteError) as told:
            await channel.request("stream.transact", body)
    return [row["reason"] if row["state"] == "paused" else row["fault"], str(told.value)]


@pytest.mark.parametrize(
    "item",
    ["[:db/retractEntity 1001]", "[:db/retractEntity :user/id]", "{:db/excise 1001}"],
)
async def test_who_retracts_an_entity_needs_the_rights_for_all_that_it_has(
    tmp_path: Path, item: str
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="facts", data=edn.read(SCHEMA))
        token = nodes.token((OWN, "alpha/facts"))
        for why in await refused_to_both(nodes, token, item):
            assert "forbids schema on stream alpha/facts" in why
        stream = nodes.nodes["alpha"].streams.get("facts")
        assert stream.t == 1
        async with nodes.connected("alpha", token) as channel:
            body = Map({"stream": "facts", "data": (edn.read("[:db/retractEntity 1003]"),)})
            await channel.request("stream.transact", body)
        every = nodes.token()
        source = f'(do (transact! "facts" [(quote {item})]) :done)'
        assert await nodes.result("alpha", source, every) == ":done"


async def test_what_the_node_says_of_a_transaction_is_retracted_by_nobody(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        every = nodes.token()
        tx = await nodes.result("alpha", '(:tx (transact! "facts" [{:n 1}]))', every)
        for why in await refused_to_both(nodes, every, f"[:db/retractEntity {tx}]"):
            assert "by the node alone" in why or "is kept" in why
        own = '(transact! "facts" [{:n 2} [:db/retractEntity "datomic.tx"]])'
        _, row = await nodes.settled("alpha", await nodes.spawn("alpha", own, every))
        assert (row["state"], "by the node alone" in row["fault"]) == ("failed", True)
        assert nodes.nodes["alpha"].streams.get("facts").t == 1


async def test_who_may_only_append_learns_no_values_from_errors(tmp_path: Path) -> None:
    data = '[{:db/ident :k :db/unique :db.unique/value} {:db/id 1000 :n "plum" :k 1}]'
    items = ('[:db/cas 1000 :n "x" "y"]', "[:db/cas 1000 :n 7 8]")
    async with fleet(tmp_path, "alpha") as nodes:
        for text in data.strip("[]").split("} {"):
            item = edn.read("{" + text.strip("{}") + "}")
            await nodes.ask("alpha", "stream.transact", stream="facts", data=(item,))
        tokens = {
            "append": nodes.token((Verb.APPEND, "alpha/facts")),
            "other": nodes.token((Verb.APPEND | Verb.READ, "alpha/facts"), attrs=("n",)),
            "poor": nodes.token((Verb.APPEND | Verb.READ, "**"), budget={Resource.ROWS: 5}),
            "both": nodes.token((Verb.APPEND | Verb.READ, "alpha/facts")),
        }
        for who, token in tokens.items():
            for item in items:
                for why in await refused_to_both(nodes, token, item):
                    assert "cas" in why
                    assert ("plum" in why) is (who in ("both", "other")), (who, why)


async def test_what_is_tried_again_is_decided_once(tmp_path: Path) -> None:
    query = '[:find ?e ?verb ?allowed :in $ ?who :where [?e :audit/who ?who] [?e :audit/resource "alpha/facts"] [?e :audit/verb ?verb] [?e :audit/allowed ?allowed]]'
    append, schema = Keyword("append"), Keyword("schema")
    many = '[{:db/ident :many :db/cardinality :db.cardinality/many} {:db/id 1001 :db/doc "x"}]'
    tags = "{:db/id 4001 :many [1 2 3]}"
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.ask("alpha", "stream.transact", stream="facts", data=edn.read(many))
        operator = nodes.cluster.operator_key.public.text

        async def decided(who: str) -> list[tuple[object, object]]:
            body = {"stream": "audit", "query": query, "inputs": (who,)}
            rows = (await nodes.ask("alpha", "query", **body))["value"]
            return [(verb, allowed) for _, verb, allowed in sorted(rows)]

        before = await decided(operator)
        for rows in (3, 2):
            budget = {Resource.ROWS: rows}
            token, other = (nodes.token((Verb.APPEND, "**"), budget=budget) for _ in range(2))
            mine = tags.replace("4001", f"{4002 + rows}")
            agent = await nodes.spawn("alpha", f'(transact! "facts" [{mine}])', other)
            await nodes.settled("alpha", agent)
            assert await decided(agent.hex()[:12]) == [(append, rows == 3)]
            async with nodes.connected("alpha", token) as channel:
                body = Map(
                    {"stream": "facts", "data": (edn.read(tags.replace("4001", f"{5002 + rows}")),)}
                )
                with nullcontext() if rows == 3 else pytest.raises(RemoteError):
                    await channel.request("stream.transact", body)
        expected = [(append, True), (append, False)]
        assert (await decided(operator))[len(before) :] == expected
        item = "[:db/retractEntity 1001]"
        for why in await refused_to_both(
            nodes, nodes.token((Verb.APPEND | Verb.RETRACT, "alpha/facts")), item
        ):
            assert "schema" in why
        expected += [(Keyword("retract"), True), (schema, False)]
        found = (await decided(operator))[len(before) :]
        assert sorted(map(str, found[2:])) == sorted(map(str, expected[2:]))
