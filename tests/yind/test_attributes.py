"""A token for some attributes shows and writes these, and nothing tells of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from fleet import Fleet, fleet

from capabilities.caveats import Resource, Verb
from datomstore import edn
from datomstore.record import decode_record
from datomstore.value import Map, Set
from protocol.errors import RemoteError
from protocol.messages import Item
from protocol.transport import Channel

STREAM = "alpha/staff"
SCHEMA = """[{:db/ident :p/email :db/unique :db.unique/identity}
             {:db/ident :p/ssn :db/unique :db.unique/identity}
             {:db/ident :p/friend :db/valueType :db.type/ref}
             {:db/ident :p/boss :db/valueType :db.type/ref}
             {:db/ident :p/part :db/valueType :db.type/ref :db/isComponent true}]"""
PEOPLE = """[{:db/id 2001 :p/email "a" :p/ssn "1" :p/name "A" :p/friend 2002 :p/boss 2002 :p/pay 7}
             {:db/id 2002 :p/email "b" :p/name "B"}]"""
SOME = ("p/*", "!p/ssn", "!p/pay", "!p/boss")
READ = Verb.READ | Verb.SUBSCRIBE | Verb.HISTORY
WRITE = READ | Verb.APPEND | Verb.RETRACT


@asynccontextmanager
async def staff(folder: Path) -> AsyncIterator[Fleet]:
    """Yield a node with a stream of people."""
    async with fleet(folder, "alpha") as nodes:
        for text in (SCHEMA, PEOPLE):
            await nodes.ask("alpha", "stream.transact", stream="staff", data=edn.read(text))
        yield nodes


async def outcome(nodes: Fleet, source: str, *tokens: Any) -> tuple[str, str]:
    """Return the state and the result, the missing right's reason, or the fault of an agent."""
    agent = await nodes.spawn("alpha", source, *tokens)
    _, row = await nodes.settled("alpha", agent)
    told = {"done": "result", "paused": "reason", "failed": "fault"}[row["state"]]
    return row["state"], str(row[told])


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("[:find ?n . :where [2001 :p/name ?n]]", '"A"'),
        ("[:find (count ?a) (min ?a) (max ?a) :where [2001 ?a]]", "#{[3 :p/email :p/name]}"),
        ('[:find ?e . :where [?e ?a "1"]]', "nil"),
        ("[:find (count ?v) . :where [2001 _ ?v]]", "3"),
        ("[:find (pull 2001 [*]) .]", None),
        ("[:find [?a ...] :where [2002 ?x] [?e ?a 2002]]", "[:p/friend]"),
        ("[:find ?e . :where [?e :db/ident :p/ssn]]", "nil"),
        ("[:find (count ?a) . :where [?a :db/ident]]", "3"),
        ("[:find (count ?e) . :where [?e _ _ ?t]]", None),
    ],
)
async def test_what_is_hidden_is_not_there_for_an_agents_query(
    tmp_path: Path, query: str, answer: str | None
) -> None:
    async with staff(tmp_path) as nodes:
        token = nodes.token((READ, STREAM), attrs=SOME)
        state, told = await outcome(nodes, f'(q \'{query} "staff")', token)
        if answer is None:
            assert not any(hidden in told for hidden in ("ssn", "pay", "boss", "txInstant"))
            return
        assert (state, told) == ("done", answer)


@pytest.mark.parametrize(
    ("query", "attribute"),
    [
        ("[:find ?v :where [_ :p/ssn ?v]]", "p/ssn"),
        ('[:find ?n :where [[:p/ssn "1"] :p/name ?n]]', "p/ssn"),
        ("[:find (pull ?e [:p/name :p/pay]) :where [?e :p/name]]", "p/pay"),
        ("[:find (pull ?e [:p/_boss]) :where [?e :p/name]]", "p/boss"),
        ("[:find ?n :where [?e :p/name ?n] (not [?e :p/pay])]", "p/pay"),
        ("[:find (sum ?v) . :where [_ :p/pay ?v]]", "p/pay"),
        ("[:find ?t :where [_ :db/txInstant ?t]]", "db/txInstant"),
    ],
)
async def test_an_agent_that_names_what_is_hidden_is_paused_and_goes_on_with_the_right(
    tmp_path: Path, query: str, attribute: str
) -> None:
    async with staff(tmp_path) as nodes:
        token = nodes.token((READ, STREAM), attrs=SOME)
        agent = await nodes.spawn("alpha", f'(do (q \'{query} "staff") :seen)', token)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["denied_right"]) == ("paused", "read alpha/staff")
        assert row["reason"].endswith(
            f"block 0 forbids read on stream alpha/staff, attribute :{attribute}"
        )
        more = nodes.delegate(
            nodes.token((READ, STREAM), attrs=("p/*", "db/txInstant")), "alpha", agent
        )
        await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(more,))
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["result"]) == ("done", ":seen")


async def test_a_rule_and_several_sources_hide_what_they_hide_alone(tmp_path: Path) -> None:
    async with staff(tmp_path) as nodes:
        await nodes.ask(
            "alpha", "stream.transact", stream="pay", data=edn.read('[{:p/pay 9 :p/name "A"}]')
        )
        some = nodes.token((READ, STREAM), attrs=SOME)
        pay = nodes.token((READ, "alpha/pay"), attrs=("p/pay", "p/name"))
        rules = "'[[(paid ?n ?v) [?e :p/name ?n] [?e :p/pay ?v]]]"
        both = f"""(q '[:find ?n ?v :in $ $2 % :where [$ _ :p/name ?n] ($2 paid ?n ?v)] "staff" "pay" {rules})"""
        assert await outcome(nodes, both, some, pay) == ("done", '#{["A" 9]}')
        turned = f"""(q '[:find ?n ?v :in $ $2 % :where [$2 _ :p/name ?n] ($ paid ?n ?v)] "staff" "pay" {rules})"""
        state, why = await outcome(nodes, turned, some, pay)
        assert (state, why.partition(", attribute ")[2]) == ("paused", ":p/pay")
        twice = """(q '[:find (count ?n) . :in $ $2 :where [$ ?e :p/name ?n] [$2 ?e :p/email]] "staff" "staff")"""
        assert await outcome(nodes, twice, some) == ("done", "2")
        twice = (
            """(q '[:find ?v :in $ $2 :where [$ ?e :p/name] [$2 ?e :p/pay ?v]] "staff" "staff")"""
        )
        assert (await outcome(nodes, twice, some))[0] == "paused"


async def test_the_token_that_has_the_attribute_is_found_among_several(tmp_path: Path) -> None:
    async with staff(tmp_path) as nodes:
        some = nodes.token((WRITE, STREAM), attrs=SOME)
        pay = nodes.token((WRITE, STREAM), attrs=("p/pay",))
        query = '(q \'[:find ?v . :where [_ :p/pay ?v]] "staff")'
        assert await outcome(nodes, query, some, pay) == ("done", "7")
        mixed = '(q \'[:find ?v . :where [?e :p/pay ?v] [?e :p/name]] "staff")'
        assert (await outcome(nodes, mixed, some, pay))[0] == "paused"
        write = '(:t (transact! "staff" [{:db/id 2001 :p/pay 8}]))'
        assert (await outcome(nodes, write, some, pay))[0] == "done"
        mixed = '(transact! "staff" [{:db/id 2001 :p/pay 9 :p/name "AA"}])'
        assert (await outcome(nodes, mixed, some, pay))[0] == "paused"


async def test_every_block_narrows_and_none_widens(tmp_path: Path) -> None:
    async with staff(tmp_path) as nodes:
        broad = nodes.token((READ, STREAM), attrs=("p/name",))
        agent_token = broad.append(
            nodes.cluster.operator_key,
            nodes.cluster.operator_key.public,
            broad.blocks[0].caveats.__class__(attrs=("p/*", "!p/email")),
        )
        every = '(q \'[:find [?a ...] :where [2001 ?a]] "staff")'
        assert await outcome(nodes, every, agent_token) == ("done", "[:p/name]")
        state, why = await outcome(
            nodes, '(q \'[:find ?v :where [_ :p/ssn ?v]] "staff")', agent_token
        )
        assert (state, why.partition("block ")[2]) == (
            "paused",
            "0 forbids read on stream alpha/staff, attribute :p/ssn",
        )
        none = nodes.token((READ, STREAM), attrs=("p/name",)).append(
            nodes.cluster.operator_key,
            nodes.cluster.operator_key.public,
            broad.blocks[0].caveats.__class__(attrs=("p/email",)),
        )
        assert await outcome(nodes, every, none) == ("done", "[]")


@pytest.mark.parametrize(
    ("data", "attribute"),
    [
        ('[{:p/ssn "9"}]', "p/ssn"),
        ("[{:db/id 2001 :p/friend {:p/pay 1}}]", "p/pay"),
        ("[[:db/add 2001 :p/pay 7]]", "p/pay"),
        ('[{:p/email "n" :p/_boss 2001}]', "p/boss"),
        ("[[:db/cas 2001 :p/pay 7 8]]", "p/pay"),
        ('[[:db/add "datomic.tx" :db/doc "x"]]', "db/doc"),
        ('[{:p/name "x"} [:db/add "datomic.tx" :tx/note "me"]]', "tx/note"),
    ],
)
async def test_what_may_not_be_written_is_refused_to_agents_and_people(
    tmp_path: Path, data: str, attribute: str
) -> None:
    async with staff(tmp_path) as nodes:
        token = nodes.token((WRITE | Verb.SCHEMA, STREAM), attrs=SOME)
        before = nodes.nodes["alpha"].streams.get("staff").t
        state, why = await outcome(nodes, f'(transact! "staff" \'{data})', token)
        assert (state, why.rpartition(", attribute ")[2]) == ("paused", f":{attribute}")
        async with nodes.connected("alpha", token) as channel:
            with pytest.raises(RemoteError, match=f"attribute :{attribute}$"):
                await channel.request(
                    "stream.transact", Map({"stream": "staff", "data": edn.read(data)})
                )
        assert nodes.nodes["alpha"].streams.get("staff").t == before
        query = "[:find ?why :where [?d :audit/allowed false] [?d :audit/reason ?why]]"
        reasons = {
            str(why)
            for (why,) in (await nodes.ask("alpha", "query", stream="audit", query=query))["value"]
        }
        assert sum(f"attribute :{attribute}" in why for why in reasons) >= 1


async def test_a_write_is_told_the_same_whatever_is_hidden(tmp_path: Path) -> None:
    """As for one who asks by lookup refs, upserts, references and removals; the store's tests have more."""
    probes = """[[:db/add [:p/ssn "1"] :p/name "x"]] [[:db/add [:p/ssn "3"] :p/name "x"]]"""
    forms: Any = edn.read(f"[{probes}]")
    async with staff(tmp_path) as nodes:
        token = nodes.token((WRITE, STREAM), attrs=SOME)
        told = []
        async with nodes.connected("alpha", token) as channel:
            for data in forms:
                with pytest.raises(RemoteError) as raised:
                    await channel.request("stream.transact", Map({"stream": "staff", "data": data}))
                told.append(str(raised.value).replace('"3"', '"1"').replace("'3'", "'1'"))
            assert told[0] == told[1]
            assert "no entity" in told[0]
            await channel.request(
                "stream.transact",
                Map({"stream": "staff", "data": edn.read("[[:db/retractEntity 2001]]")}),
            )
        left = nodes.nodes["alpha"].streams.get("staff").db().datoms("eavt", 2001)
        assert {str(datom.a) for datom in left} == {":p/ssn", ":p/pay", ":p/boss"}


async def test_a_persons_queries_show_what_the_token_does(tmp_path: Path) -> None:
    async with staff(tmp_path) as nodes:
        write = edn.read('[{:db/id 2001 :p/pay 8 :p/name "AA"}]')
        await nodes.ask("alpha", "stream.transact", stream="staff", data=write)
        token = nodes.token((READ, STREAM), attrs=SOME)
        async with nodes.connected("alpha", token) as channel:

            async def asked(query: str, **more: object) -> Any:
                body = Map({"stream": "staff", "query": query, **more})
                return (await channel.request("query", body))["value"]

            every = "[:find ?a ?v ?op :where [2001 ?a ?v _ ?op]]"
            names = {str(a) for a, _, _ in await asked(every, history=True)}
            assert names == {":p/email", ":p/name", ":p/friend"}
            assert {v for _, v, _ in await asked(every, as_of=2)} == {"a", "A", 2002}
            assert {v for _, v, _ in await asked(every, since=2)} == {"AA"}
            steps = await asked("[:find ?e ?a :where [?e ?a]]", explain=True)
            shown = await asked("[:find ?e ?a :where [?e ?a]]")
            assert (steps[0]["rows"], steps[0]["estimated"]) == (len(shown), 14)
            for more in ({}, {"explain": True}, {"history": True}):
                with pytest.raises(RemoteError, match="attribute :p/pay"):
                    await asked("[:find ?v :where [_ :p/pay ?v]]", **more)
            (row,) = (await channel.request("stream.list"))["value"]
            assert (row["name"], row["datoms"], row["bytes"]) == ("alpha/staff", 14, None)


async def test_what_was_so_before_is_for_who_may_see_history(tmp_path: Path) -> None:
    async with staff(tmp_path) as nodes:
        token = nodes.token((Verb.READ, STREAM))
        body = {"stream": "staff", "query": "[:find ?v . :where [2001 :p/pay ?v]]"}
        async with nodes.connected("alpha", token) as channel:
            for more in ({"history": True}, {"as_of": 1}):
                with pytest.raises(RemoteError, match="forbids history"):
                    await channel.request("query", Map({**body, **more}))
            for now in ({}, {"since": 1}):
                assert (await channel.request("query", Map({**body, **now})))["value"] == 7


async def test_a_log_has_the_records_of_what_is_seen(tmp_path: Path) -> None:
    async with staff(tmp_path) as nodes:
        for data in ("[{:db/id 2001 :p/pay 8}]", '[{:db/id 2001 :p/pay 9 :p/name "AA"}]'):
            await nodes.ask("alpha", "stream.transact", stream="staff", data=edn.read(data))
        token = nodes.token((READ, STREAM), attrs=SOME)
        got: list[Map] = []
        async with nodes.connected("alpha", token) as channel:

            async def take(item: Map) -> None:
                got.append(item)

            await stream_of(channel, "stream.log", {"stream": "staff"}, take)
        records = [(item["t"], *decode_record("staff", item["t"], item["record"])) for item in got]
        assert [(t, instant) for t, instant, _ in records] == [(1, 0), (2, 0), (4, 0)]
        assert {str(row[1]) for _, _, rows in records for row in rows} == {
            ":db/ident",
            ":db/unique",
            ":db/valueType",
            ":db/isComponent",
            ":p/email",
            ":p/name",
            ":p/friend",
        }


async def test_who_follows_hears_of_what_is_seen(tmp_path: Path) -> None:
    async with staff(tmp_path) as nodes:
        token = nodes.token((READ, STREAM), attrs=SOME)
        got: list[Map] = []
        heard = trio.Event()

        async def take(item: Map) -> None:
            nonlocal heard
            got.append(item)
            heard.set()

        async def follow() -> None:
            async with nodes.connected("alpha", token) as channel:
                body = {"stream": "staff", "query": "[:find ?e ?a ?v :where [?e ?a ?v]]"}
                await stream_of(channel, "query.follow", body, take)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await heard.wait()
            heard = trio.Event()
            for data in ("[{:db/id 2001 :p/pay 8}]", '[{:db/id 2002 :p/pay 9 :p/name "BB"}]'):
                await nodes.ask("alpha", "stream.transact", stream="staff", data=edn.read(data))
            await heard.wait()
            nursery.cancel_scope.cancel()
        assert {str(a) for _, a, _ in got[0]["added"]} & {":p/ssn", ":p/pay", ":p/boss"} == set()
        name = edn.read(":p/name")
        assert (got[1]["t"], got[1]["added"], got[1]["removed"]) == (
            4,
            Set([(2002, name, "BB")]),
            Set([(2002, name, "B")]),
        )


async def test_what_cannot_be_filtered_is_refused(tmp_path: Path) -> None:
    async with staff(tmp_path) as nodes:
        token = nodes.token((WRITE | Verb.SCHEMA, STREAM), attrs=("!p/ssn",))
        async with nodes.connected("alpha", token) as channel:
            body = Map({"stream": "staff", "transactions": ((3, 0, ()),)})
            with pytest.raises(RemoteError, match="of all attributes"):
                await channel.request("stream.restore", body)


async def test_rights_of_two_tokens_show_what_both_do(tmp_path: Path) -> None:
    async with staff(tmp_path) as nodes:
        read = nodes.token((Verb.READ, STREAM), attrs=("p/name", "p/email"))
        history = nodes.token((Verb.HISTORY, STREAM), attrs=("p/name", "p/pay"))
        async with nodes.connected("alpha", read, history) as channel:
            body = {"stream": "staff", "query": "[:find ?a :where [2001 ?a]]"}
            seen = (await channel.request("query", Map({**body, "history": True})))["value"]
            assert {str(a) for (a,) in seen} == {":p/name"}
            seen = (await channel.request("query", Map(body)))["value"]
            assert {str(a) for (a,) in seen} == {":p/name", ":p/email"}


async def stream_of(channel: Channel, verb: str, body: Mapping[str, object], take: Any) -> None:
    """Take the items of a request."""
    async with aclosing(channel.stream(verb, Map(body))) as answers:
        async for answer in answers:
            if isinstance(answer, Item):
                await take(answer.body)


async def test_what_is_hidden_for_another_reason_is_refused_and_not_asked_for_ever(
    tmp_path: Path,
) -> None:
    async with staff(tmp_path) as nodes:
        token = nodes.token((WRITE | Verb.SCHEMA, STREAM), attrs=("!p/ssn",))
        excise = '(transact! "staff" \'[{:db/excise 2001}])'
        state, why = await outcome(nodes, excise, token)
        assert (state, why) == (
            "paused",
            "append alpha/staff: attribute :db/excise of what is hidden",
        )
        odd = '(q [:find \'?e :where [\'?e (keyword ":x")]] "staff")'
        some = nodes.token((READ, STREAM), attrs=SOME)
        state, why = await outcome(nodes, odd, some)
        assert (state, why) == ("paused", "read alpha/staff: attribute ::x of what is hidden")
        about = nodes.nodes["alpha"].streams.get("staff").db().entid(edn.read(":p/ssn"))
        describe = f'(transact! "staff" \'[{{:db/id {about} :db/doc "x"}}])'
        state, why = await outcome(nodes, describe, token)
        assert (state, why) == ("paused", "append alpha/staff: attribute :db/doc of what is hidden")


async def test_what_is_refused_costs_nothing_and_what_is_seen_does(tmp_path: Path) -> None:
    async with staff(tmp_path) as nodes:
        token = nodes.token((WRITE, STREAM), attrs=SOME, budget={Resource.ROWS: 3})
        async with nodes.connected("alpha", token) as channel:
            refused = Map(
                {"stream": "staff", "data": edn.read("[{:p/pay 1} {:p/name 1} {:p/name 2}]")}
            )
            for _ in range(3):
                with pytest.raises(RemoteError, match="attribute :p/pay"):
                    await channel.request("stream.transact", refused)
            names = Map({"stream": "staff", "query": "[:find ?n :where [_ :p/name ?n]]"})
            assert len((await channel.request("query", names))["value"]) == 2
            one = Map({"stream": "staff", "data": edn.read('[{:p/name "C"}]')})
            await channel.request("stream.transact", one)
            with pytest.raises(RemoteError, match="has 0 rows left"):
                await channel.request("stream.transact", one)
