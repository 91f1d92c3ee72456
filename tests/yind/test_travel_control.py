"""Agents that hop while continuations are captured, kept, and gone on with on another node."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from fleet import Fleet, fleet

HOPS = {
    "from inside a generator": (
        """
        (let [places (generator (fn []
                       (yield (here)) (hop! "beta") (yield (here)) (hop! "alpha") (yield (here))))]
          [(first places) (here) (second places) (here) (vec places) (here)])
        """,
        ("alpha", '["alpha" "alpha" "beta" "beta" ["alpha" "beta" "alpha"] "alpha"]'),
    ),
    "from inside a green thread that others wait for": (
        """
        (run-threads (fn []
          (let [c (chan) done (promise)
                sum (async (loop [sum 0] (let [n (take! c)] (if (nil? n) [sum (here)] (recur (+ sum n))))))
                guide (async (dotimes [i 4] (put! c i) (hop! (if (even? i) "beta" "alpha")) (put! c 10)) (close! c)
                             (hop! "beta"))]
            (await sum))))
        """,
        ("beta", '[46 "beta"]'),
    ),
    "with a part of a continuation that is put back twice": (
        """
        (let [k (prompt :p (reduce (fn [sum x] (+ sum (if (= x 2) (control0 :p k k) x))) 0 [1 2 3]))
              there (do (hop! "beta") (k 10))
              back (do (hop! "alpha") (k 20))]
          [there back (prompt :p (try (hop! "beta") (abort :p (here)) (finally (hop! "alpha")))) (here)])
        """,
        ("alpha", '[14 24 "beta" "alpha"]'),
    ),
    "in the middle of a search": (
        """
        (let [found (solutions (fn [] (let [node (amb "beta" "alpha") x (amb 1 2)] (hop! node) [(here) x])))]
          [(vec found) (here)])
        """,
        ("alpha", '[[["beta" 1] ["beta" 2] ["alpha" 1] ["alpha" 2]] "alpha"]'),
    ),
}


@pytest.mark.parametrize("name", HOPS)
async def test_an_agent_hops(name: str, tmp_path: Path) -> None:
    source, expected = HOPS[name]
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        agent = await nodes.spawn("alpha", source, nodes.token())
        assert await done(nodes, agent) == expected


async def done(nodes: Fleet, agent: bytes) -> tuple[str, str]:
    with trio.fail_after(30):
        place, row = await nodes.settled("alpha", agent)
    assert row["state"] == "done", (row["state"], row["reason"], row["fault"])
    return place, row["result"]
