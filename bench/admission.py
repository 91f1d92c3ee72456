"""What it costs to ask a node's policies about an agent: again, for the first time, and of a large program.

Is:     an agent of fifty frames that waits for its `hop!`, by processor time; the least of several batches.
Is not: a migration (`bench.migration`), of which this is a part.
Fits:   `make bench-admission`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from bench.report import Report
from capabilities.caveats import Caveats, Rights, Verb
from capabilities.keys import PrivateKey
from capabilities.membership import Ledger
from capabilities.tokens import mint
from datomstore.batch import Batch
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from yang.compile import compile_source
from yang.policy import BEGINS, Policy, code_of, judge, read_policy
from yind.admission import Admission, Bearer
from yind.agent import AgentRecord
from yind.audit import Audit
from yind.authority import Authority
from yind.cesk import Machine, Status
from yind.clock import System
from yind.code import CodeLibrary
from yind.config import AdmissionLimits

POLICIES = Path(__file__).parents[1] / "policy"
OF_CODE = ("no-writes", "only-aggregates", "allowed-operators", "loop-nesting")
BATCHES, TIMES = 9, 2_000
DEEP = """
(defn deep [n f] (if (= n 0) (f (do (hop! "beta") 1)) (+ 1 (deep (dec n) f))))
(let [m {:a (fn [x] (inc x)) :b (vec (range 300))}] (deep 50 (fn [x] (str x m))))
"""
FUNCTION = """
(defn f{i} [x y]
  (let [a (* x {i}) b (loop [i 0 s 0] (if (< i y) (recur (inc i) (+ s (* i a))) s))]
    (cond (> a b) (f{j} (dec a) [b {{:k a :v (str "x" b)}}])
          (= a 1) (map (fn [z] (+ z a (f{j} z b))) [1 2 3 x])
          :else (reduce + 0 (filter even? (range a))))))
"""


def run() -> Report:
    """Measure."""
    report = Report("admission: processor time")
    trio.run(_agents, report)
    _large(report, 1_000)
    return report


async def _agents(report: Report) -> None:
    for names in (("no-writes",), OF_CODE, ("no-writes", "token-limits")):
        with TemporaryDirectory() as folder:
            cold_ms, warm_us = await _asked(Path(folder), names)
        what = f"{len(names)} policies" if len(names) > 2 else " and ".join(names)
        report.add(f"{what}, first time", "ms", cold_ms)
        report.add(f"{what}, again", "us", warm_us)


async def _asked(folder: Path, names: Sequence[str]) -> tuple[float, float]:
    """Return what asking costs for the first time, in milliseconds, and again, in microseconds."""
    streams, clock, key = (
        Streams(MemoryStorage(), now_ms=lambda: 1),
        System(),
        PrivateKey.generate(),
    )
    audit = Audit(streams.open("audit"), "beta")
    authority = Authority(roots=frozenset({key.public}), key=key, clock=clock, audit=audit)
    library, members = CodeLibrary(streams), Ledger(key.public).at(0)
    admission = Admission(
        node="beta",
        limits=AdmissionLimits(policies=tuple(str(POLICIES / f"{name}.edn") for name in names)),
        folder=folder,
        code=library,
        streams=streams,
        authority=authority,
        members=lambda: members,
        clock=clock,
    )
    program = compile_source(DEEP, "deep.clj").program

    async def write(stage: Callable[[Batch], None]) -> None:
        with streams.batch() as batch:
            stage(batch)

    await library.admit(program, write)
    machine = Machine(library.code_of(program.hash), memory_max=1 << 26)
    assert machine.run(10**7) is Status.EFFECT, machine.status
    record = AgentRecord(
        b"a" * 32, "a", key.public.bytes, "alpha", program.hash, b"n" * 16, 0, 1 << 26, None
    )
    caveats = Caveats(exp=clock.now_ms() // 1000 + 3600, rights=(Rights(Verb.READ, "**"),))
    own = Caveats(agent=record.id)
    token = mint(key, key.public, caveats).append(key, key.public, own).append(key, key.public, own)
    handle = authority.handle_own(token.to_bytes(), record.id)
    bearer = Bearer(record.id, record, [handle], key.public)
    started = time.process_time()
    await admission.arriving(machine, bearer)
    cold_ms = (time.process_time() - started) * 1e3
    least = min(_batch(admission, machine, bearer, streams, audit) for _ in range(BATCHES))
    return cold_ms, least


def _batch(
    admission: Admission, machine: Machine, bearer: Bearer, streams: Streams, audit: Audit
) -> float:
    started = time.process_time()
    for _ in range(TIMES):
        assert admission.knows(machine, bearer)
    spent = time.process_time() - started
    with streams.batch() as batch:
        audit.stage(batch)  # so that they are not kept
    audit.durable()
    return spent / TIMES * 1e6


def _large(report: Report, functions: int) -> None:
    """Note what a program of many functions costs that nobody has asked about before."""
    texts = [FUNCTION.format(i=i, j=(i * 7 + 1) % functions) for i in range(functions)]
    program = compile_source("".join(texts) + "(f0 1 2)", "large.clj").program
    policies: list[Policy] = [
        read_policy((POLICIES / f"{name}.edn").read_text(), f"{name}.edn") for name in OF_CODE
    ]
    started = time.process_time()
    code = code_of(program)
    read = time.process_time()
    judge(policies, code, [BEGINS])
    nodes = len(code.tree.items)
    report.add(f"{nodes:,} nodes, read", "ms", (read - started) * 1e3)
    report.add(
        f"{nodes:,} nodes, {len(policies)} policies", "ms", (time.process_time() - read) * 1e3
    )
