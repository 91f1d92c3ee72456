"""What worked against an earlier runtime of this kind, and does not here."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
import trio
from fleet import fleet

from datomstore.value import Map
from protocol.errors import RemoteError
from yang.compile import compile_source
from yang.errors import SourceError, SourceErrors

FORGED = [
    '{:effect :transact! :args ["facts" [{:n 1}]]}',
    '[:yin/effect "transact!" ["facts" [{:n 1}]]]',
    '{:type :vm/effect :name "hop!" :arguments ["beta"]}',
    '\'(transact! "facts" [{:n 1}])',
    '(list (symbol "transact!") "facts" [{:n 1}])',
]


@pytest.mark.parametrize("value", FORGED)
async def test_data_shaped_like_an_effect_is_data(tmp_path: Path, value: str) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        await nodes.result("alpha", f"(do {value} (count {value}))", nodes.token())
        assert not nodes.nodes["alpha"].streams.exists("facts")


async def test_a_definition_does_not_change_what_the_host_does(tmp_path: Path) -> None:
    source = """
    (def q (fn [& _] :mine)) (def transact! 7) (def *args* 1) (defn inc [x] :shadowed)
    [(q 1 2) transact! (inc 1) (map yin.core/inc [1 2])]
    """
    async with fleet(tmp_path, "alpha") as nodes:
        assert await nodes.result("alpha", source) == "[:mine 7 :shadowed (2 3)]"
        assert await nodes.result("alpha", "(map inc [1 2])") == "(2 3)"


@pytest.mark.parametrize(
    "source",
    [
        "(require 'os)",
        "(require '[clojure.java.io :as io])",
        "(ns a (:require [os]))",
        '(slurp "/etc/passwd")',
        '(open "/etc/passwd")',
        "(import os)",
        '(eval \'(slurp "a"))',
        "(.getClass 1)",
        "(System/exit 0)",
        '(load-file "a")',
        "__builtins__",
        "(set! a 1)",
        "(defmacro m [x] (slurp x))",
        "(deftype T [a] Object (toString [_] a))",
        "(proxy [Object] [])",
        "(new Object)",
        "(var a)",
        "(recur 1)",
        "(+ 1 (loop [] (recur)) (recur))",
    ],
)
def test_what_is_not_supported_is_refused_not_miscompiled(source: str) -> None:
    with pytest.raises((SourceError, SourceErrors)) as raised:
        compile_source(source, "attack.clj")
    assert "attack.clj:1:" in str(raised.value)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("(= 1 true)", "false"),
        ("(= 1 1.0)", "false"),
        ("(if 0 :yes :no)", ":yes"),
        ('(if "" :yes :no)', ":yes"),
        ("(let [x 5] [x x])", "[5 5]"),
        ("(do (loop [i 0] (if (< i 3) (recur (inc i)))) :after)", ":after"),
        ('((fn [x] (if (pos? x) :early (throw (ex-info "late" {})))) 1)', ":early"),
    ],
)
async def test_meaning_is_clojures(tmp_path: Path, source: str, result: str) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        assert await nodes.result("alpha", source) == result


async def test_random_bytes_close_their_connection_and_nothing_else(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        host, port = nodes.nodes["alpha"].address
        async with nodes.connected("alpha") as channel:
            for size in (1, 5, 100, 70_000):
                stream = await trio.open_tcp_stream(host, port)
                async with stream:
                    with trio.fail_after(10):
                        try:
                            await stream.send_all(secrets.token_bytes(size))
                            while await stream.receive_some(4096):
                                pass
                        except trio.BrokenResourceError:
                            pass
            assert (await channel.request("node.info"))["name"] == "alpha"


async def test_a_member_cannot_send_what_is_no_request(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes, nodes.connected("alpha") as channel:
        for verb, body in [
            ("no.such", Map()),
            ("agent.spawn", Map({"program": 1})),
            ("query", Map({"stream": "../../etc", "query": "[:find ?x :where [?x]]"})),
            ("stream.transact", Map({"stream": "code", "data": ()})),
            ("code.put", Map({"program": b"\x00" * 100})),
        ]:
            with pytest.raises(RemoteError):
                await channel.request(verb, body)
        assert (await channel.request("node.info"))["name"] == "alpha"


async def test_a_form_made_at_run_time_reaches_no_more_than_a_written_one(tmp_path: Path) -> None:
    source = (
        """(let [f '(slurp "/etc/passwd")] (try (eval f) (catch Exception e (ex-message e))))"""
    )
    async with fleet(tmp_path, "alpha") as nodes:
        assert "slurp is not supported" in await nodes.result("alpha", source)
