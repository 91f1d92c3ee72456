"""Code that agents make while they run: on nodes, across crashes and hops."""

from __future__ import annotations

from pathlib import Path

import trio
from fleet import Fleet, fleet

from capabilities.caveats import Resource
from yang.compile import compile_source
from yind.config import AgentLimits

TRAVELLER = """
(defmacro unless [test x] `(if ~test nil ~x))
(def double (eval (list 'fn '[n] (list '* 2 'n))))
(eval (read-string "(defmacro thrice [x] (list '+ x x x))"))
(defn there [] (eval (list 'unless false (list 'thrice '(double 7)))))
[(there) (hop! "beta") (there) (load-string "(defn more [x] (inc (there))) (more 1)") (hop! "alpha")
 (eval (list 'more 1)) (eval (list 'unless true 1))]
"""


async def done(nodes: Fleet, agent: bytes, start: str = "alpha") -> tuple[str, str]:
    with trio.fail_after(60):
        place, row = await nodes.settled(start, agent)
    assert row["state"] == "done", (row["state"], row["reason"], row["fault"])
    return place, row["result"]


async def test_evaluated_code_travels_and_is_compiled_where_it_arrives(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", TRAVELLER, nodes.token())
        assert await done(nodes, agent) == ("alpha", '[42 "beta" 42 43 "alpha" 43 nil]')


async def test_evaluated_code_survives_a_crash(tmp_path: Path) -> None:
    source = """
    (eval (list 'defn 'area '[a b] '(* a b)))
    (eval '(defmacro m [x] (list 'area x x)))
    (let [before (eval (list 'm 3))] (sleep 200) [before (eval (list 'm 4)) (eval (list 'm 3))])
    """
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token())
        await nodes.until("alpha", agent, "waiting")
        await nodes.crash("alpha")
        await nodes.start("alpha")
        assert await done(nodes, agent) == ("alpha", "[9 16 9]")


async def test_an_error_in_an_evaluated_form_can_be_caught(tmp_path: Path) -> None:
    source = """
    (try (eval (list 'let '[a 1] (list 'nope 'a)))
      (catch Exception e [(ex-data e) (subs (ex-message e) 0 34)]))
    """
    async with fleet(tmp_path, "alpha") as nodes:
        assert await nodes.result("alpha", source, nodes.token()) == (
            '[{:fault :compile, :line 1, :column 13} "eval:1:13: unresolved symbol: nope"]'
        )


async def test_an_error_of_evaluated_code_is_told_in_its_text(tmp_path: Path) -> None:
    source = '(load-string "(defn f [x]\\n  (/ x 0))\\n(inc (f 1))")'
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token())
        _, row = await nodes.settled("alpha", agent)
        assert row["fault"].splitlines()[:3] == [
            "Divide by zero",
            "  at f (load-string:2:3)",
            "  at top level (load-string:3:6)",
        ]


async def test_compiling_is_paid_for_before_it_is_done(tmp_path: Path) -> None:
    source = "(eval (vec (range 5000)))"
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token(), fuel_max=2_000_000)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["reason"]) == ("paused", "fuel limit of 2000000 reached")
        assert row["fuel_used"] == 2_000_000
        await nodes.ask("alpha", "agent.resume", id=agent.hex(), fuel=1_000_000_000)
        _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "done", "it was asked for once more"


async def test_a_macro_without_end_stops_with_the_fuel_of_its_agent(tmp_path: Path) -> None:
    source = "(eval '(defmacro m [] (loop [] (recur)))) (eval (list 'm))"
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token(), fuel_max=20_000_000)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["reason"]) == ("paused", "fuel limit of 20000000 reached")


async def test_an_agent_has_at_most_so_many_pieces_of_code(tmp_path: Path) -> None:
    source = "(loop [i 0] (eval (list '+ 1 (mod i 3))) (if (< i 3000) (recur (inc i)) i))"
    async with fleet(tmp_path, "alpha") as nodes:
        assert await nodes.result("alpha", source, nodes.token()) == "3000"


MANY = """
(loop [i 0]
  (if (< i 40)
    (do (eval (list 'fn ['x] (apply str (cons (str i " ") (repeat 10000 "0123456789")))))
        (recur (inc i)))
    i))
"""


async def test_code_that_an_agent_makes_counts_as_its_memory(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        agent = await nodes.spawn("alpha", MANY, memory_max=8 << 20)
        _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "failed"
        assert "code counts as memory" in row["fault"]
        assert 10 < len(nodes.nodes["alpha"].code._programs) < 22
        assert await nodes.result("alpha", MANY) == "40"


async def test_texts_in_what_macros_make_are_paid_for(tmp_path: Path) -> None:
    source = """
    (eval (list 'defmacro 'm [] (list 'apply 'str (list 'repeat {count} "0123456789"))))
    (count (eval '(m)))
    """
    used = []
    async with fleet(tmp_path, "alpha") as nodes:
        for count in (1, 10_000):
            agent = await nodes.spawn("alpha", source.format(count=count))
            _, row = await nodes.settled("alpha", agent)
            assert row["result"] == str(10 * count), row["fault"]
            used.append(row["fuel_used"])
    assert used[1] - used[0] > 100_000 // 64 * 1_000


async def test_direct_and_hybrid_programs_evaluate(tmp_path: Path) -> None:
    source = "(defn f [x] (eval (list '+ x 1))) (reduce + (map f (range 5)))"
    async with fleet(tmp_path, "alpha") as nodes:
        for mode in ("direct", "hybrid"):
            await nodes.stop("alpha")
            await nodes.start("alpha", agents=AgentLimits(mode=mode))
            assert await nodes.result("alpha", source, nodes.token()) == "15"


def test_a_program_without_eval_is_what_it_was() -> None:
    plain = compile_source("(defmacro m [x] x) (defn f [x] x) (f 1)", "p.clj")
    assert plain.segment.globals == ()
    open_ = compile_source("(defn f [x] x) (f 1) eval", "p.clj")
    assert {"f", "namespaces~"} <= set(open_.segment.globals)


async def test_a_token_s_budget_pays_for_compiling(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        token = nodes.token(budget={Resource.FUEL: 900_000})
        source = "[(eval (list '+ 1 2)) (eval (list '+ 1 3))]"
        agent = await nodes.spawn("alpha", source, token)
        _, row = await nodes.settled("alpha", agent)
        assert (row["state"], row["denied_right"]) == ("paused", "fuel")
        more = nodes.delegate(nodes.token(budget={Resource.FUEL: 900_000}), "alpha", agent)
        await nodes.ask("alpha", "agent.resume", id=agent.hex(), tokens=(more,))
        assert await done(nodes, agent) == ("alpha", "[3 4]")
