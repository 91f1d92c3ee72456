"""Daemons killed with -9 at any moment: nothing committed is lost, nothing is done twice."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from capabilities.caveats import Caveats, Rights
from capabilities.tokens import Token, mint
from cli.cluster import ALL_VERBS, Cluster, add_node, create
from cli.commands.agents import await_agent, spawn_agent
from cli.connect import connected
from cli.errors import CliError
from cli.fleet import start_node, stop_node
from datomstore.value import Keyword, Map
from yind.clock import System

KILLS = 50
NOW_S = System().now_ms() // 1000

COUNTER = """
(defn noise []
  (let [bag {:time (now) :chance (rand) (rand-int 1000) :key}]
    (str (first (keys bag)) "/" (rand))))

(defn stopped? [] (pos? (count (q '[:find ?e :where [?e :control/stop true]] "control"))))

(loop [i 1]
  (transact! "counter" [{:counter/number i :counter/noise (noise)}])
  (if (stopped?) i (recur (inc i))))
"""

SUM = """
(let [n (fn [] (q '[:find (count ?e) . :where [?e :n _]] "facts"))]
  (+ (n) (do (hop! "beta") (n))))
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = create(tmp_path / "cluster", name="test", now_s=NOW_S)
    for name in ("alpha", "beta"):
        add_node(made, name, listen="127.0.0.1:0")
    yield made
    for name in ("alpha", "beta"):
        stop_node(made.node_folder(name))


def kill(cluster: Cluster, name: str) -> None:
    """Kill a node's process and wait until it is gone."""
    assert stop_node(cluster.node_folder(name), signal_number=signal.SIGKILL), f"{name} was dead"


def token(cluster: Cluster) -> Token:
    caveats = Caveats(exp=NOW_S + 3600, rights=(Rights(ALL_VERBS, "**"),))
    return mint(cluster.root_key, cluster.operator_key.public, caveats)


def spawn(cluster: Cluster, source: str) -> bytes:
    return spawn_agent(
        cluster,
        "alpha",
        source,
        "test.clj",
        tokens=[token(cluster)],
        arguments=Map(),
        name="test",
    )


def transact(cluster: Cluster, node: str, stream: str, *facts: Mapping[str, object]) -> None:
    data = tuple(Map({Keyword(key): value for key, value in fact.items()}) for fact in facts)
    with connected(cluster, node) as client:
        client.request("stream.transact", Map({"stream": stream, "data": data}))


@pytest.mark.timeout(400)
def test_an_agent_killed_fifty_times_appends_everything_exactly_once(cluster: Cluster) -> None:
    chance = random.Random(2)
    start_node(cluster, "alpha")
    transact(cluster, "alpha", "control", {"control/started": True})
    agent = spawn(cluster, COUNTER)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 0.25))  # the moment of death, not a wait for anything
        kill(cluster, "alpha")
        start_node(cluster, "alpha")
    transact(cluster, "alpha", "control", {"control/stop": True})
    _, row = await_agent(cluster, "alpha", agent, follow=False)
    assert row["state"] == "done", row["reason"]
    last = int(row["result"])
    with connected(cluster, "alpha") as client:
        query = "[:find ?e ?n :where [?e :counter/number ?n]]"
        answer = client.request("query", Map({"stream": "counter", "query": query}))["value"]
        query = """[:find (count ?e) . :where [?e :audit/effect "transact!"] [?e :audit/allowed true]
                                             [?e :audit/resource "alpha/counter"]]"""
        allowed = client.request("query", Map({"stream": "audit", "query": query}))["value"]
    assert sorted(number for _, number in answer) == list(range(1, last + 1))
    assert allowed == last, "each append was committed with the decision that allowed it"


def test_the_sum_is_right_when_the_source_is_killed_after_the_hop(cluster: Cluster) -> None:
    for name in ("alpha", "beta"):
        start_node(cluster, name)
    transact(cluster, "alpha", "facts", *({"n": number} for number in range(3)))
    transact(cluster, "beta", "facts", *({"n": number} for number in range(40)))
    agent = spawn(cluster, SUM)
    with connected(cluster, "alpha") as client:
        row = client.request("agent.wait", Map({"id": agent.hex()}))
    assert row["state"] == "moved"
    kill(cluster, "alpha")
    place, row = await_agent(cluster, "beta", agent, follow=False)
    assert (place, row["state"], row["result"]) == ("beta", "done", "43")


EVALUATES = """
(defmacro unless [test x] `(if ~test nil ~x))
(eval (list 'defn 'price '[n] (list '* 'n 1.25M)))
(hop! "beta")
(let [before (eval (list 'unless false '(price 4)))]
  (sleep 2000)
  [before (eval (list 'price (list 'price 4))) (load-string "(unless false [(price 1)])")])
"""


def test_evaluated_code_is_there_after_a_hop_and_a_kill(cluster: Cluster) -> None:
    for name in ("alpha", "beta"):
        start_node(cluster, name)
    agent = spawn(cluster, EVALUATES)
    with connected(cluster, "alpha") as client:
        row = client.request("agent.wait", Map({"id": agent.hex()}))
    assert row["state"] == "moved"
    kill(cluster, "alpha")
    kill(cluster, "beta")
    start_node(cluster, "beta")
    place, row = await_agent(cluster, "beta", agent, follow=False)
    assert (place, row["state"], row["result"]) == ("beta", "done", "[5.00M 6.2500M [1.25M]]")


@pytest.mark.timeout(200)
def test_an_agent_under_way_arrives_once_whoever_is_killed(cluster: Cluster) -> None:
    chance = random.Random(5)
    for name in ("alpha", "beta"):
        start_node(cluster, name)
    source = """
    (defn travel [to]  ; a dead node is an error that a program may catch
      (when-not (try (hop! to) (catch Exception e nil))
        (sleep 20)
        (recur to)))
    (loop [i 0]
      (if (= i 60)
        (here)
        (do (transact! "steps" [{:step i}])
            (travel (if (= (here) "alpha") "beta" "alpha"))
            (recur (inc i)))))
    """
    agent = spawn(cluster, source)
    for _ in range(8):
        time.sleep(chance.uniform(0, 0.1))
        victim = chance.choice(["alpha", "beta"])
        kill(cluster, victim)
        start_node(cluster, victim)
    place, row = await_agent(cluster, "alpha", agent, follow=False)
    assert (row["state"], row["result"]) == ("done", f'"{place}"'), row["reason"] or row["fault"]
    steps: list[int] = []
    for name in ("alpha", "beta"):
        with connected(cluster, name) as client:
            query = "[:find ?e ?s :where [?e :step ?s]]"
            answer = client.request("query", Map({"stream": "steps", "query": query}))["value"]
        steps += [step for _, step in answer]
    assert sorted(steps) == list(range(60))


def test_what_was_acknowledged_is_there_after_a_kill(cluster: Cluster) -> None:
    start_node(cluster, "alpha")
    acknowledged: list[int] = []
    many = threading.Event()

    def write() -> None:
        number = 0
        try:
            with connected(cluster, "alpha") as client:
                while True:
                    fact = Map({Keyword("n"): number})
                    client.request("stream.transact", Map({"stream": "facts", "data": (fact,)}))
                    acknowledged.append(number)
                    number += 1
                    if number == 20:
                        many.set()
        except CliError:
            pass  # the node was killed

    writer = threading.Thread(target=write)
    writer.start()
    assert many.wait(60)
    kill(cluster, "alpha")
    writer.join()
    start_node(cluster, "alpha")
    with connected(cluster, "alpha") as client:
        query = "[:find [?n ...] :where [_ :n ?n]]"
        answer = client.request("query", Map({"stream": "facts", "query": query}))["value"]
    assert set(acknowledged) <= set(answer)
    assert len(answer) <= len(acknowledged) + 1
