"""Each protection removed, one at a time, and who notices.

Is:     the table in tests/mutants, one entry a protection: where it stands, what it becomes, which tests must fail then;
        and the run of each in a process of its own, in which one module is another than on the disk.
Is not: mutation by chance: an entry is a protection that somebody named. `unprotected` finds refusals that nobody did.
Fits:   `make mutants`; tests/test_mutants.py checks the table itself, which takes no time.

A text that does not stand exactly once in its file, or a test that is not there, is an error: who moves a protection moves
its entry along, and who loses one is told.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import io
import json
import multiprocessing
import os
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from multiprocessing.util import Finalize
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests" / "mutants"
Condition = ast.stmt | ast.pattern
TEST_S = 30  # of one test; what hangs has been noticed
# Errors by which something foreign is refused. What is raised elsewhere is about ourselves.
REFUSALS = frozenset(
    {"TokenInvalid", "TokenRefused", "KeyInvalid", "MemberInvalid", "RemoteFault", "HopRefused"}
    | {"AuthenticationFailed", "Denied"}
)
# Where every refusal is of something foreign, and so has an entry.
COMPLETE = [
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "capabilities").glob("*.py")),
    *(f"protocol/{name}.py" for name in ("codec", "connection", "continuation", "framing")),
    *(f"protocol/{name}.py" for name in ("messages", "records", "tls")),
]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One protection, and the file without it."""

    name: str
    file: str  # relative to the repository
    text: str  # stands in the file once
    becomes: str
    noticed_by: tuple[str, ...]  # tests, relative to tests/; each of them fails

    @property
    def module(self) -> str:
        """Return the name of the module that the file is."""
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def source(self) -> str:
        """Return the file without the protection. Raises ValueError when the text is not there, or more than once."""
        source = (ROOT / self.file).read_text()
        if (times := source.count(self.text)) != 1:
            raise ValueError(f"{self.file}: {self.text!r} stands there {times} times, not once")
        return source.replace(self.text, self.becomes)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    survived: tuple[str, ...]  # tests that were to fail and did not
    broken: str  # why it could not be tried; else empty
    seconds: float

    @property
    def noticed(self) -> bool:
        """Return whether every test named for the protection failed."""
        return not self.survived and not self.broken


def table() -> list[Mutant]:
    """Return all entries of tests/mutants."""
    found: list[Mutant] = []
    for path in sorted(TABLE.glob("*.toml")):
        for file, entries in tomllib.loads(path.read_text()).items():
            found += [
                Mutant(
                    entry["protects"],
                    file,
                    entry["text"],
                    entry["becomes"],
                    tuple(entry["noticed"]),
                )
                for entry in entries
            ]
    return found


# ---- what the table must say


def missing_tests(mutants: Sequence[Mutant]) -> list[str]:
    """Return the tests named that no file has."""
    named = {test for mutant in mutants for test in mutant.noticed_by}
    return sorted(test for test in named if not _exists(test))


def _exists(test: str) -> bool:
    path, _, name = test.partition("::")
    file = ROOT / "tests" / path
    if not file.is_file():
        return False
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name == name.partition("[")[0]
        for node in ast.parse(file.read_text()).body
    )


def unprotected(file: str, mutants: Sequence[Mutant]) -> list[str]:
    """Return the refusals of a file that no entry removes, as "file:line"."""
    source = (ROOT / file).read_text()
    spans = [
        (start, start + len(mutant.text))
        for mutant in mutants
        if mutant.file == file and (start := source.find(mutant.text)) >= 0
    ]
    return [
        f"{file}:{line}"
        for line, start, end in _refusals(source)
        if not any(left < end and start < right for left, right in spans)
    ]


def _refusals(source: str) -> Iterator[tuple[int, int, int]]:
    """Yield the line of every refusal, and where it and what it depends on begin and end."""
    lines = [0]
    for line in source.encode().splitlines(keepends=True):
        lines.append(lines[-1] + len(line))

    def place(line: int, column: int) -> int:
        return len(source.encode()[: lines[line - 1] + column].decode())

    def walk(node: ast.AST, condition: Condition | None) -> Iterator[tuple[int, int, int]]:
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            for child in getattr(node, field, ()):
                yield from walk(child, _condition(node, field, condition))
        if isinstance(node, ast.Raise) and _raised(node) in REFUSALS:
            first = condition or node
            start = place(first.lineno, first.col_offset)
            yield node.lineno, start, place(node.end_lineno or 0, node.end_col_offset or 0)

    yield from walk(ast.parse(source), None)


def _condition(node: ast.AST, field: str, outer: Condition | None) -> Condition | None:
    """Return what decides whether a part of a statement is reached."""
    match node:
        case ast.If() | ast.Try() if field != "orelse":
            return node
        case ast.match_case():
            return node.pattern
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return None
    return outer


def _raised(node: ast.Raise) -> str:
    called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return called.id if isinstance(called, ast.Name) else ""


# ---- one module is another than on the disk


class _Mutated(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._name, self._source = mutant.module, mutant.source()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None, name
        assert spec.origin is not None, name
        spec.loader = _Mutated(name, spec.origin, self._source)
        return spec


class _Watcher:
    """A plugin of pytest that notes which tests ran and which failed."""

    def __init__(self) -> None:
        self.ran: set[str] = set()
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.removeprefix("tests/")
        self.ran.add(name)
        if report.failed:
            self.failed.add(name)

    def names(self, test: str, among: set[str]) -> bool:
        return any(name == test or name.startswith(f"{test}[") for name in among)


def _tested(tests: Sequence[str]) -> tuple[_Watcher, int, str]:
    """Run tests in this process; return which failed, pytest's status, and what it printed."""
    import pytest
    from hypothesis import Phase, settings

    # The first counterexample does: nobody reads it, so that it is not made smaller.
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile(
        "mutants", phases=phases, database=None, derandomize=True, deadline=None
    )
    watcher, printed = _Watcher(), io.StringIO()
    options = ["-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
    options += [f"--timeout={TEST_S}", f"--rootdir={ROOT}"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins are loaded already
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            arguments = [*options, *(f"tests/{test}" for test in tests)]
            status = int(pytest.main(arguments, plugins=[watcher]))
        except Warning as warning:  # what a test left behind, found when pytest ends
            status = 1
            print(warning)  # noqa: T201
    return watcher, status, printed.getvalue()


def outcome_of(mutant: Mutant) -> Outcome:
    """Return what the tests say without a protection. Only for a process that does nothing else."""
    began = time.monotonic()
    assert mutant.module not in sys.modules, f"{mutant.module} is loaded already"
    try:
        finder = _Finder(mutant)
        compile(finder._source, mutant.file, "exec", dont_inherit=True)
    except (ValueError, SyntaxError) as error:
        return Outcome(mutant, (), str(error), time.monotonic() - began)
    sys.meta_path.insert(0, finder)
    watcher, status, printed = _tested(mutant.noticed_by)
    seconds = time.monotonic() - began
    unknown = [test for test in mutant.noticed_by if not watcher.names(test, watcher.ran)]
    if unknown or status not in (0, 1):
        tail = " | ".join(printed.strip().splitlines()[-3:])
        return Outcome(
            mutant, (), f"not run: {unknown}, pytest ended with {status}: {tail}", seconds
        )
    survived = [test for test in mutant.noticed_by if not watcher.names(test, watcher.failed)]
    return Outcome(mutant, tuple(survived), "", seconds)


def failing_without_mutant(tests: Sequence[str]) -> list[str]:
    """Return the tests that fail, or are not found, though nothing was removed."""
    watcher, _, printed = _tested(tests)
    unknown = [f"{test}: not found" for test in tests if not watcher.names(test, watcher.ran)]
    return sorted(watcher.failed) + unknown + ([printed] if watcher.failed or unknown else [])


# ---- all of them


def _prepared() -> None:
    """Load what no mutant changes; every process begins as a copy of this one."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    for name in ("pytest", "hypothesis.strategies", "pytest_trio", "pytest_timeout", "trio"):
        importlib.import_module(name)
    for name in ("cryptography.x509", "nacl.bindings", "msgpack", "msgspec", "structlog", "click"):
        importlib.import_module(name)
    for name in ("datomstore.streams", "datomstore.storage.lmdb", "yang.compile", "yang.core"):
        importlib.import_module(name)
    from yang.compile import compile_source
    from yang.core import core_segment

    core_segment()
    compile_source("1", "mutants.clj")


def _end_at_once() -> None:
    """Let this process end though a test that hung has left threads behind, for which it would wait."""
    Finalize(None, os._exit, args=(0,), exitpriority=-1000)


def run(mutants: Sequence[Mutant], processes: int) -> Iterator[Outcome]:
    """Yield what became of each mutant, as it becomes known. Raises SystemExit when a test fails without any.

    In which order the tasks of a node run is chance, and may keep a test from noticing: what survives is tried once more.
    """
    _prepared()
    tests = tuple(dict.fromkeys(test for mutant in mutants for test in mutant.noticed_by))
    context = multiprocessing.get_context("fork")
    with context.Pool(processes, _end_at_once, maxtasksperchild=1) as pool:
        unchanged = pool.apply_async(failing_without_mutant, [tests])
        survivors = []
        for outcome in pool.imap_unordered(outcome_of, mutants):
            if outcome.survived:
                survivors.append(outcome.mutant)
            else:
                yield outcome
        yield from pool.imap_unordered(outcome_of, survivors)
        failing = unchanged.get()
    if failing:
        sys.exit("these fail though nothing was removed:\n" + "\n".join(failing))


def _line(outcome: Outcome) -> str:
    verdict = "noticed" if outcome.noticed else "BROKEN" if outcome.broken else "SURVIVED"
    mutant = outcome.mutant
    text = f"{verdict:8} {outcome.seconds:5.1f} s  {mutant.file:30} {mutant.name}"
    for line in (outcome.broken, *outcome.survived):
        text += f"\n{'':18}{line}" if line else ""
    return text


def main() -> int:
    """Run the command; 1 when a protection is lost, survives, or is not in the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="entries whose file or name has this in it")
    parser.add_argument("--each", type=int, default=1, help="every so manieth entry: a sample")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="one line of JSON an entry")
    options = parser.parse_args()
    entries = table()
    chosen = [m for m in entries if options.only in m.file or options.only in m.name]
    chosen = chosen[:: options.each]
    count: Counter[bool] = Counter()
    began = time.monotonic()
    for outcome in run(chosen, options.processes):
        count[outcome.noticed] += 1
        row = {
            "protects": outcome.mutant.name,
            "file": outcome.mutant.file,
            "noticed": outcome.noticed,
            "survived": outcome.survived,
            "broken": outcome.broken,
        }
        print(json.dumps(row) if options.json else _line(outcome), flush=True)  # noqa: T201
    seconds = time.monotonic() - began
    said = f"{len(chosen)} protections, {count[True]} noticed ({seconds:.0f} s)"
    print(said, file=sys.stderr if options.json else sys.stdout)
    absent = [place for file in COMPLETE for place in unprotected(file, entries)]
    if absent:
        print("refusals that are in no table:", *absent, file=sys.stderr)  # noqa: T201
    return 0 if count[True] == len(chosen) and chosen and not absent else 1


if __name__ == "__main__":
    sys.exit(main())
