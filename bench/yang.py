"""The compiler: what a program of 1,000 to 100,000 lines costs, pass by pass, and what its code takes as datoms.

Is:     processor time of one core from text to assembled code, and bytes of source, tree, datoms and execution stream.
Is not: how fast compiled code runs (`bench.machine`).
Fits:   `make bench-yang`; the texts are those of `bench.yang_source`.

A pass is what a station's function takes; macros, which are compiled and run while forms are expanded, count there. The
tree is the same AST as nested msgpack maps, `{"ast/type": "if", "ast/test": {...}, ...}`; the datoms are counted as a stream
on disk after a merge, with log, all orders and dictionary.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack

import yang.compile
import yang.lower
from bench.report import Report
from bench.yang_source import source_of
from datomstore.datalog.rules import Evaluation
from datomstore.datom import Datom
from datomstore.storage.lmdb import LmdbStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword
from yang import rules
from yang.ast_datoms import ENTITY_BASE, datoms_of, expansion_datoms
from yang.canonical import encode
from yang.code_schema import CODE_SCHEMA, code_schema
from yang.compile import Compiled
from yang.core import core_library, core_source
from yang.host import Host
from yang.nodes import Item, Tree
from yang.units import Units
from yind.cesk.evaluate import evaluate

SIZES = (1_000, 10_000, 100_000)
RUNS = {1_000: 5, 10_000: 3, 100_000: 1}
BATCH = 50_000  # facts of one transaction
HOST = Host(evaluate)
RULES = "rules"  # of files, each of which is a pass of its own
# What is timed: where a name is looked up, and the pass it is.
STATIONS: tuple[tuple[Any, str, str], ...] = (
    (yang.lower, "read_on", "read"),
    (yang.lower, "expand", "expand"),
    (yang.lower, "lower", "lower"),
    (yang.compile, "canonical_statements", "hash"),
    (yang.compile, "program_of", "hash"),
    (yang.compile, "Columns", "columns"),
    (yang.compile, "units_of", "units"),
    (yang.compile, "derived", "facts and tables"),
    (Evaluation, "_complete", RULES),
    (yang.compile, "linked", "link"),
    (yang.compile, "arrange", "arrange"),
    (yang.compile, "assemble", "assemble"),
)


def run() -> Report:
    """Return the report; its summary is the last line."""
    core_library()
    yang.compile.compile_source(
        "(+ 1 2)", host=HOST
    )  # rules and grammar are read once for a process
    report = Report("compiler")
    curve: dict[int, float] = {}
    for lines in SIZES:
        text = source_of(lines)
        passes, compiled = _measured(text, RUNS[lines])
        curve[lines] = sum(passes.values())
        _add_passes(report, text, passes, compiled)
        if lines == 10_000:
            passes_s = passes
            over = _add_sizes(report, text, compiled)
        del compiled
    for lines, took in curve.items():
        report.add(f"a line of {lines:,}", "us", took / lines * 1e6)
    _add_library(report)
    report.summary = {
        "compile_10k_s": curve[10_000],
        "compile_100k_s": curve[100_000],
        "passes_s": passes_s,
        **over,
    }
    return report


def _measured(text: str, runs: int) -> tuple[dict[str, float], Compiled]:
    """Return the median seconds of each pass over some runs, and what was compiled."""
    found: list[Mapping[str, float]] = []
    for _ in range(runs):
        gc.collect()
        yang.compile.UNITS = Units()  # nothing is known from the run before
        with _timed() as seconds:
            compiled = yang.compile.compile_source(text, "bench", host=HOST)
        found.append(seconds)
    names = found[0]
    return {name: statistics.median(one[name] for one in found) for name in names}, compiled


def _add_passes(report: Report, text: str, passes: Mapping[str, float], compiled: Compiled) -> None:
    lines = text.count("\n")
    for name, seconds in passes.items():
        report.add(f"{lines:,} lines: {name}", "s", seconds)
    report.add(f"{lines:,} lines: all", "s", sum(passes.values()))
    report.add(f"{lines:,} lines: nodes", "", len(compiled.segment.spans))
    report.add(f"{lines:,} lines: steps", "", len(compiled.segment.nodes))


def _add_library(report: Report) -> None:
    """Add what compiling the core library takes, which is done once for each version of the compiler."""
    source = core_source()
    started = time.process_time()
    yang.compile.compile_core(source)
    took = time.process_time() - started
    report.add(f"core library, {source.text.count(chr(10)):,} lines", "s", took)


# -- time of passes --


class _Clock:
    """Seconds by pass: of stations inside one another the inner one's are its own, but for those inside `expand`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._passes = ["other"]
        self._at = time.process_time()
        self._files = {
            repr(rule[0][0]): f"{file}.dl"  # type: ignore[index]
            for file in rules.FILES
            for rule in rules.load(file)
        }

    def timed(self, work: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return a function that counts its time for a pass."""

        def call(*given: Any, **named: Any) -> Any:
            self.turn()
            is_apart = "expand" in self._passes
            shown = self._files[given[1]] if name == RULES else name
            self._passes.append(self._passes[-1] if is_apart else shown)
            try:
                return work(*given, **named)
            finally:
                self.turn()
                self._passes.pop()

        return call

    def turn(self) -> None:
        """Count the time since the last turn."""
        now = time.process_time()
        self.seconds[self._passes[-1]] += now - self._at
        self._at = now


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """Time the stations while the block runs."""
    clock = _Clock()
    kept = [(owner, name, owner.__dict__[name]) for owner, name, _ in STATIONS]
    try:
        for (owner, name, work), (_, _, shown) in zip(kept, STATIONS, strict=True):
            setattr(owner, name, clock.timed(work, shown))
        yield clock.seconds
        clock.turn()
    finally:
        for owner, name, work in kept:
            setattr(owner, name, work)


# -- bytes --


def _add_sizes(report: Report, text: str, compiled: Compiled) -> dict[str, object]:
    """Add what a program takes in each of its forms; return the ratios to the tree."""
    tree = compiled.tree
    ast = datoms_of(tree, base=compiled.base, tx=0, program_hash=compiled.program.hash)
    ast += expansion_datoms(tree, base=compiled.base, first=ENTITY_BASE * 8, tx=0)
    sizes = {
        "source": len(text.encode()),
        "canonical program and spans": len(compiled.program.to_bytes()),
        "msgpack tree": len(msgpack.packb(_tree(tree))),
        "datoms of the AST": _stored(ast),
        "datoms of the execution stream": _stored(compiled.exec_datoms),
        "assembled code": len(compiled.segment.code),
    }
    for what, size in sizes.items():
        report.add(what, "bytes", size, "tree", sizes["msgpack tree"])
    report.add("datoms of the AST", "", len(ast))
    report.add("datoms of the execution stream", "", len(compiled.exec_datoms))
    whole = sizes["msgpack tree"]
    return {
        "datoms_over_tree": sizes["datoms of the AST"] / whole,
        "exec_over_tree": sizes["datoms of the execution stream"] / whole,
    }


def _tree(tree: Tree) -> dict[str, Any]:
    """Return an AST as nested maps, the names of fields being those of its attributes."""
    built: list[dict[str, Any]] = []
    for item in reversed(tree.items):
        built.append(_node(item, built))
    return built[0]


def _node(item: Item, built: list[dict[str, Any]]) -> dict[str, Any]:
    span = item.span
    node: dict[str, Any] = {
        "ast/type": item.kind.name,
        "ast/source-location": (span.line, span.column),
        "ast/source-end": (span.end_line, span.end_column),
    }
    for scalar, value in zip(item.kind.scalars, item.scalars, strict=True):
        if value is not None:
            node[_name(scalar.attribute)] = _scalar(value)
    for role, count in zip(item.kind.roles, item.counts, strict=True):
        children = [built.pop() for _ in range(count)]
        if not role.single:
            node[_name(role.attribute)] = children
        elif children:
            node[_name(role.attribute)] = children[0]
    return node


def _name(attribute: Keyword) -> str:
    return repr(attribute)[1:]


def _scalar(value: object) -> object:
    is_small = isinstance(value, int) and abs(value) < 1 << 63
    return value if is_small or isinstance(value, str | float) else encode(value)


def _stored(datoms: Sequence[Datom]) -> int:
    """Return the bytes on disk of a stream of these facts after a merge: log, orders, columns and dictionary."""
    with tempfile.TemporaryDirectory(dir=_on_disk()) as folder:
        storage = LmdbStorage(Path(folder))
        streams = Streams(storage, now_ms=lambda: 1)
        stream = streams.create("code")
        stream.transact(code_schema(stream.db()))
        _transact(stream, datoms)
        streams.merge(stream, whole=True)
        streams.close()
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        return sum(path.stat().st_blocks * 512 for path in files)


def _transact(stream: Stream, datoms: Sequence[Datom]) -> None:
    add = Keyword("db/add")
    shift = 1_000 - min(ENTITY_BASE, *(datom.e for datom in datoms))
    refs = {a for a, schema in CODE_SCHEMA.items() if Keyword("db/valueType") in schema}
    for start in range(0, len(datoms), BATCH):
        stream.transact(
            [
                (add, one.e + shift, one.a, one.v + shift if one.a in refs else one.v)  # type: ignore[operator]
                for one in datoms[start : start + BATCH]
            ]
        )


def _on_disk() -> str | None:
    """Return a folder of the project for files, since a system's own folder for them may be in memory."""
    build = Path("build")
    build.mkdir(exist_ok=True)
    return str(build)
