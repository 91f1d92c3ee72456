"""A node with policies: whom it takes, what the refused hear, what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from fleet import Fleet, fleet

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.handles import Handle
from capabilities.keys import PrivateKey
from capabilities.revocation import RevocationSet
from capabilities.tokens import agent_id, mint
from capabilities.verify import verify
from cli.faults import fault_text
from datomstore.value import Keyword, Map
from protocol.client import RemoteError
from yang.compile import compile_source
from yang.errors import Source
from yang.session import Session, Unit
from yind.admission import Bearer, proven_owner, read_policies
from yind.config import AdmissionLimits
from yind.errors import ConfigError

POLICY = Path(__file__).parents[2] / "policy"


def with_policies(*names: str, **more: object) -> AdmissionLimits:
    files = tuple(name if name.endswith(".edn") else str(POLICY / f"{name}.edn") for name in names)
    return AdmissionLimits(policies=files, **more)  # type: ignore[arg-type]


async def strict(nodes: Fleet, *names: str, **more: object) -> None:
    """Start the fleet's beta again, with policies."""
    await nodes.stop("beta")
    await nodes.start("beta", admission=with_policies(*names, **more))


async def done(nodes: Fleet, agent: bytes) -> tuple[str, str]:
    with trio.fail_after(30):
        place, row = await nodes.settled("alpha", agent)
    assert row["state"] == "done", (row["state"], row["reason"], row["fault"])
    return place, row["result"]


async def audit(nodes: Fleet, name: str, verb: str) -> list[tuple[bool, str]]:
    query = f"""[:find ?e ?allowed ?reason :where [?e :audit/verb :{verb}] [?e :audit/allowed ?allowed]
                 [(get-else $ ?e :audit/reason "") ?reason]]"""
    rows = (await nodes.ask(name, "query", query=query, stream="audit"))["value"]
    return [(allowed, reason) for _, allowed, reason in sorted(rows)]


WRITER = """
(defn save [x] (transact! "log" [{:n x}]))
(try (hop! "beta") (save 1)
  (catch Exception e
    (let [v (first (:violations (ex-data e)))]
      [(here) (:policy v) (:source v) (:span v) (:text v) (:count (ex-data e))])))
"""


async def test_a_refused_agent_goes_on_where_it_was_and_knows_why(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes")
        place, result = await done(nodes, await nodes.spawn("alpha", WRITER, nodes.token()))
        assert place == "alpha"
        assert '"no-writes" "test.clj" [2 16 2 42]' in result
        assert '(transact! \\"log\\"' in result
        (refused,) = [
            reason for allowed, reason in await audit(nodes, "beta", "migrate") if not allowed
        ]
        assert "test.clj:2:16: from here it can append to a stream [no-writes]" in refused
        assert any(
            "refused" in reason
            for allowed, reason in await audit(nodes, "alpha", "migrate")
            if not allowed
        )


async def test_what_an_agent_has_done_before_it_came_does_not_count(tmp_path: Path) -> None:
    source = '(transact! "log" [{:n 1}]) (hop! "beta") (here)'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes")
        agent = await nodes.spawn("alpha", source, nodes.token())
        assert await done(nodes, agent) == ("beta", '"beta"')
        assert await audit(nodes, "beta", "admit") == [(True, "by no-writes")]


@pytest.mark.parametrize(
    "source",
    [
        '(def f (atom nil)) (reset! f (fn [] (transact! "log" [{:n 1}]))) (hop! "beta") (@f)',
        '(let [fs [transact!]] (hop! "beta") ((first fs) "log" [{:n 1}]))',
        '(run! (fn [n] (hop! "beta") (transact! "log" [{:n n}])) [1 2])',
        '(let [k (call/cc (fn [c] c))] (hop! "beta") (if (fn? k) (k 1) (transact! "log" [{:n 1}])))',
        '(defmulti act identity) (defmethod act :w [_] (transact! "log" [{:n 1}])) (hop! "beta") (act :w)',
        '(hop! "beta") (apply transact! ["log" [{:n 1}]])',
    ],
)
async def test_a_write_does_not_get_in_by_another_door(tmp_path: Path, source: str) -> None:
    guarded = f'(try {source} (catch Exception e "refused"))' if "def" not in source else source
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes")
        agent = await nodes.spawn("alpha", guarded, nodes.token())
        with trio.fail_after(30):
            place, row = await nodes.settled("alpha", agent)
        assert place == "alpha"
        assert (
            "a policy of node beta refuses it" in str(row["reason"]) or row["result"] == '"refused"'
        )


async def test_code_made_on_the_way_is_asked_about_where_it_is_made(tmp_path: Path) -> None:
    source = """
    (def save (fn [x] (str x)))
    (hop! "beta")
    [(eval (list (symbol "inc") 1))
     (try (eval (list (symbol "transact!") "log" [{:n 1}])) (catch Exception e (:policy (first (:violations (ex-data e))))))]
    """
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes")
        agent = await nodes.spawn("alpha", source, nodes.token())
        assert await done(nodes, agent) == ("beta", '[2 "no-writes"]')
        assert [allowed for allowed, _ in await audit(nodes, "beta", "eval")] == [False]


async def test_code_that_an_agent_made_and_may_not_run_counts_as_its_memory(tmp_path: Path) -> None:
    source = """
    (hop! "beta")
    (loop [i 0]
      (let [text (apply str (cons (str i) (repeat 10000 "0123456789")))
            why (try (eval (list (symbol "transact!") "log" [{:n text}]))
                  (catch Exception e (ex-message e)))]
        (if (or (= i 30) (clojure.string/includes? why "counts as memory")) (< 5 i 30) (recur (inc i)))))
    """
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes")
        agent = await nodes.spawn("alpha", source, nodes.token(), memory_max=8 << 20)
        assert await done(nodes, agent) == ("beta", "true")


async def test_who_makes_code_may_call_whatever_is_defined(tmp_path: Path) -> None:
    source = """
    (defn save [x] (transact! "log" [{:n x}]))
    (try (hop! "beta") (eval (list (symbol (str "sa" "ve")) 1))
      (catch Exception e (:text (first (:violations (ex-data e))))))
    """
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes")
        place, result = await done(nodes, await nodes.spawn("alpha", source, nodes.token()))
        assert place == "alpha"
        assert result.startswith('"(transact!')


async def test_spawning_asks_the_same_policies(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes")
        with pytest.raises(RemoteError) as caught:
            await nodes.spawn("beta", '(transact! "log" [])')
        assert caught.value.code == "admission/refused"
        assert isinstance(caught.value.data, Map)
        (violation,) = caught.value.data[Keyword("violations")]
        assert violation[Keyword("span")] == (1, 1, 1, 21)
        assert [allowed for allowed, _ in await audit(nodes, "beta", "spawn")] == [
            True,
            True,
            False,
        ]  # code.put, too
        assert (await nodes.ask("beta", "node.info"))["agents"] == Map()


async def test_a_session_enters_only_what_the_policies_take(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes")
        agent = await nodes.spawn("beta", "(def x 1)", nodes.token(), session=True)
        await nodes.until("beta", agent, "paused")
        unit = compile_source('(transact! "log" [])', "unit.clj").program
        with pytest.raises(RemoteError, match="no-writes"):
            await nodes.ask("beta", "agent.enter", id=agent.hex(), program=unit.to_bytes())
        unit = compile_source("(+ 1 1)", "unit.clj").program
        await nodes.ask("beta", "agent.enter", id=agent.hex(), program=unit.to_bytes())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('(defn save [x] (transact! "log" x))', "(save [])"),
        ("(def save transact!)", '(save "log" [])'),
        ("(def table {:save transact!})", '((:save table) "log" [])'),
        ('(def save (atom nil)) (reset! save (fn [x] (transact! "log" x)))', "(@save [])"),
        ('(defn made [] (fn [x] (transact! "log" x)))', "((made) [])"),
    ],
)
async def test_what_units_of_a_session_reach_together_is_asked(
    tmp_path: Path, first: str, second: str
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes")
        session = Session()
        start = session.first.program
        agent = await nodes.spawn_program("beta", start, nodes.token(), session=True)
        await nodes.until("beta", agent, "paused")
        units = [*session.units(Source("one", first)), *session.units(Source("two", second))]
        with pytest.raises(RemoteError, match="no-writes"):
            await entered(nodes, agent, units)


async def entered(nodes: Fleet, agent: bytes, units: list[Unit]) -> None:
    for unit in units:
        await nodes.ask("beta", "agent.enter", id=agent.hex(), program=unit.program.to_bytes())
        await nodes.until("beta", agent, "paused")


ROWS = '(q \'[:find ?who ?much :where [?e :who ?who] [?e :much ?much]] "salaries")'
TOTAL = '(q \'[:find (sum ?much) . :with ?e :where [?e :much ?much]] "salaries")'
HIDDEN = "(q (vec (concat [:find '?who] [:where '[_ :who ?who]])) \"salaries\")"


@pytest.mark.parametrize("how", ["configuration", "fact"])
async def test_of_a_private_stream_only_aggregates_are_given(tmp_path: Path, how: str) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        private = ("sal*",) if how == "configuration" else ()
        await strict(nodes, private=private)
        people = [{"who": "ann", "much": 3}, {"who": "bob", "much": 4}]
        data = tuple(Map({Keyword(k): v for k, v in each.items()}) for each in people)
        await nodes.ask("beta", "stream.transact", stream="salaries", data=data)
        if how == "fact":
            assert "ann" in await nodes.result("beta", ROWS, nodes.token())
            mark = (Map({Keyword("db.stream/private"): True}),)
            await nodes.ask("beta", "stream.transact", stream="salaries", data=mark)
        hidden = f'(hop! "beta") [{TOTAL} (try {HIDDEN} (catch Exception e (ex-message e)))]'
        _, result = await done(nodes, await nodes.spawn("alpha", hidden, nodes.token()))
        assert result == '[7 "q: the stream salaries is private: only aggregates leave it"]'
        failing = '(q \'[:find (count ?e) :where [?e :who ?w] [(inc ?w) ?x]] "salaries")'
        source = f'(hop! "beta") (try {failing} (catch Exception e (ex-message e)))'
        _, result = await done(nodes, await nodes.spawn("alpha", source, nodes.token()))
        assert "ann" not in result, "a failing query tells nothing of its rows"
        compare = '(transact! "salaries" [[:db/cas 1000 :who "x" "y"] [:db/cas 1000 :much 0 1]])'
        source = f'(hop! "beta") (try {compare} (catch Exception e (ex-message e)))'
        _, result = await done(nodes, await nodes.spawn("alpha", source, nodes.token()))
        assert result == '"transact!: transaction/cas"'


async def test_all_that_a_refused_hop_is_about_is_told_as_people_read_it(tmp_path: Path) -> None:
    source = """
(try (hop! "beta") (catch Exception e (throw (ex-info "no" (ex-data e)))))
(transact! "log" [{:n 1}])
(transact! "more" [{:n 2}])"""
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes")
        agent = await nodes.spawn("alpha", source, nodes.token())
        await nodes.settled("alpha", agent)
        row = await nodes.ask("alpha", "agent.wait", id=agent.hex())
    text = fault_text(row, {"test.clj": source})
    for number, line in ((3, '(transact! "log" [{:n 1}])'), (4, '(transact! "more" [{:n 2}])')):
        why = f"test.clj:{number}:1: from here it can append to a stream [no-writes]"
        assert f"{why}\n  {line}\n  ^" in text, text
    assert ":violations" not in text


async def test_a_private_read_is_refused_once_and_was_not_allowed_before(tmp_path: Path) -> None:
    both = "[:find ?n ?who :in $ $s :where [_ :n ?n] [$s _ :who ?who]]"
    source = f"""(try (q '{both} "facts" "salaries") (catch Exception e (ex-message e)))"""
    read = """[:find ?e ?where ?allowed :where [?e :audit/verb :read] [?e :audit/effect "q"]
                                     [?e :audit/resource ?where] [?e :audit/allowed ?allowed]]"""
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, private=("salaries",))
        for stream, name in (("facts", "n"), ("salaries", "who")):
            await nodes.ask(
                "beta", "stream.transact", stream=stream, data=(Map({Keyword(name): 1}),)
            )
        assert "is private" in await nodes.result("beta", source, nodes.token())
        rows = (await nodes.ask("beta", "query", stream="audit", query=read))["value"]
        assert [row[1:] for row in rows] == [("beta/salaries", False)]


async def test_who_may_not_read_is_not_told_what_is_private(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, private=("salaries",))
        agent = await nodes.spawn("beta", ROWS, nodes.token((Verb.READ, "beta/facts")))
        _, row = await nodes.settled("beta", agent)
        assert (row["state"], row["denied_right"]) == ("paused", "read beta/salaries")
        assert "private" not in row["reason"]


async def test_rows_of_a_private_stream_are_found_before_the_agent_is_taken(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "only-aggregates", private=("salaries",))
        source = f'(try (hop! "beta") {ROWS} (catch Exception e (:message (first (:violations (ex-data e))))))'
        place, result = await done(nodes, await nodes.spawn("alpha", source, nodes.token()))
        assert (place, result) == (
            "alpha",
            '"the stream salaries is private: only aggregates leave it"',
        )


async def test_only_who_may_change_the_schema_marks_a_stream(tmp_path: Path) -> None:
    source = '(transact! "salaries" [{:db.stream/private true}])'
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token((Verb.APPEND, "alpha/*")))
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["denied_right"]) == ("paused", "schema alpha/salaries")


async def test_tokens_that_hold_too_long_are_refused(tmp_path: Path) -> None:
    short = tmp_path / "short.edn"
    short.write_text((POLICY / "token-limits.edn").read_text().replace("86400", "600"))
    source = '(try (hop! "beta") (catch Exception e (:message (first (:violations (ex-data e))))))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, str(short))
        long = await nodes.spawn("alpha", source, nodes.token(ttl_s=3600))
        place, result = await done(nodes, long)
        assert place == "alpha"
        assert result.endswith('more seconds; at most 600"')
        brief = await nodes.spawn("alpha", source, nodes.token(ttl_s=300))
        assert (await done(nodes, brief))[0] == "beta"


async def test_an_owner_is_one_that_has_signed_for_the_agent(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        owner = nodes.cluster.operator_key.public.text
        trusted = tmp_path / "trusted.edn"
        trusted.write_text(
            (POLICY / "trusted.edn").read_text().replace("the key of an owner", owner)
        )
        await strict(nodes, "no-writes", str(trusted))
        source = '(hop! "beta") (transact! "log" [{:n 1}]) (here)'
        assert (await done(nodes, await nodes.spawn("alpha", source, nodes.token())))[0] == "beta"
        known = nodes.nodes["beta"].admission
        shape = known._shape(_bearer(nodes, b"x" * 32), ())
        assert shape[1] is None, "papers alone prove nothing"


def test_who_hands_an_agent_on_does_not_vouch_for_it() -> None:
    root, node, other = PrivateKey.generate(), PrivateKey.generate(), PrivateKey.generate()
    papers = Papers(node.public.bytes)
    agent = agent_id(node.public, papers.program, papers.nonce, node.public)
    token = mint(root, node.public, Caveats(exp=9, rights=(Rights(Verb.READ, "**"),)))

    def proven(state: bytes | None = None, epoch: int | None = None) -> bool:
        caveats = Caveats(agent=agent, state=state, epoch=epoch)
        given = token.append(node, other.public, caveats)
        chain = verify(given.to_bytes(), roots={root.public}, presenter=other.public)
        handle = Handle(chain, at=other.public, agent=agent, revoked=RevocationSet())
        return proven_owner(Bearer(agent, papers, [handle], node.public), [papers.program])

    assert proven()
    assert not proven(epoch=1)


class Papers:
    program, nonce = b"p" * 32, b"n" * 16

    def __init__(self, owner: bytes) -> None:
        self.owner = self.home_key = owner


def _bearer(nodes: Fleet, agent: bytes) -> Bearer:
    key = nodes.cluster.operator_key.public
    return Bearer(agent, Papers(key.bytes), (), key)


async def test_policies_change_without_a_restart_or_not_at_all(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        own = tmp_path / "own.edn"
        own.write_text('[[(violation ?p "nobody") [?p :ast/type :program]]]')
        settings = nodes.cluster.node_folder("beta") / "yind.toml"
        plain = settings.read_text()
        settings.write_text(f'{plain}\n[admission]\npolicies = ["{own}"]\n')
        await nodes.ask("beta", "policy.reload")
        with pytest.raises(RemoteError, match="nobody"):
            await nodes.spawn("beta", "1")
        own.write_text("[[(violation ?p) [?p :ast/type :program]]]")
        with pytest.raises(RemoteError, match=r"own\.edn:1:3: it has 1 parts"):
            await nodes.ask("beta", "policy.reload")
        nodes.nodes["beta"].reload()
        with pytest.raises(RemoteError, match="nobody"):
            await nodes.spawn("beta", "1")
        settings.write_text(plain)
        nodes.nodes["beta"].reload()
        assert await nodes.result("beta", "1") == "1"


def test_a_node_does_not_start_with_a_broken_policy(tmp_path: Path) -> None:
    broken = tmp_path / "broken.edn"
    broken.write_text('[[(violation ?p "x")\n  [?p :ast/type :program] (reches ?p :log)]]')
    with pytest.raises(ConfigError, match=r"broken\.edn:2:.*no rule reches"):
        read_policies(with_policies(str(broken)), tmp_path)


async def test_what_takes_longer_than_the_budget_is_refused(tmp_path: Path) -> None:
    endless = tmp_path / "endless.edn"
    endless.write_text(
        "[[(n ?x 0) [?x :ast/type :program]]\n"
        " [(n ?x ?n) (n ?x ?m) [(+ ?m 1) ?n]]\n"
        ' [(violation ?x "x") (n ?x -1)]]'
    )
    async with fleet(tmp_path, "beta") as nodes:
        await nodes.stop("beta")
        await nodes.start("beta", admission=with_policies(str(endless), seconds=0.2))
        with pytest.raises(RemoteError, match=r"cannot be evaluated: .*endless\.edn:2"):
            await nodes.spawn("beta", "1")


async def test_an_agent_that_comes_by_again_costs_a_look_up(tmp_path: Path) -> None:
    source = '(loop [i 0] (when (< i 6) (hop! (if (even? i) "beta" "alpha")) (recur (inc i))))'
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        await strict(nodes, "no-writes", "token-limits")
        await done(nodes, await nodes.spawn("alpha", source, nodes.token()))
        admission = nodes.nodes["beta"].admission
        asked = admission.evaluated_count
        await done(nodes, await nodes.spawn("alpha", source, nodes.token()))
        assert admission.evaluated_count <= asked + 1, "lifetimes are rounded up to minutes"
