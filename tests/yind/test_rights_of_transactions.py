"""What a transaction needs is known before it is done, and what is not known needs everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import fleet

from capabilities.caveats import Verb
from datomstore import edn
from protocol.errors import RemoteError
from yind.effects import verbs_of

ALL = {Verb.APPEND, Verb.RETRACT, Verb.SCHEMA, Verb.HISTORY}


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("{:n 1}", set()),
        ("{:db/id -1 :n 1 :inner {:m [{:k 2}]}}", set()),
        ("[:db/add -1 :n 1]", set()),
        ("[:db/cas 1000 :n 1 2]", set()),
        ("{:n [:db/retract 1]}", set()),
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
