"""The Python standard library as facts, and the demo's question answered without yin.

Is:     a walk over the sources with `ast`: modules, imports, functions and calls as entity maps; the import graph
        as plain dictionaries; a breadth-first search over it.
Is not: anything of yin's: the search here is what the agent's answer is compared with.
Fits:   `yin demo` loads the entities, a third of the modules on each node.
"""

from __future__ import annotations

import ast
import sysconfig
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from datomstore.value import Keyword, Map

SKIPPED = frozenset(
    {"site-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__", "turtledemo"}
)

SCHEMA: tuple[Map, ...] = (
    Map(
        {
            Keyword("db/ident"): Keyword("module/name"),
            Keyword("db/valueType"): Keyword("db.type/string"),
            Keyword("db/cardinality"): Keyword("db.cardinality/one"),
            Keyword("db/unique"): Keyword("db.unique/identity"),
        }
    ),
    *(
        Map(
            {
                Keyword("db/ident"): Keyword(name),
                Keyword("db/valueType"): Keyword("db.type/ref"),
                Keyword("db/cardinality"): Keyword("db.cardinality/one"),
            }
        )
        for name in ("import/module", "function/module", "call/module")
    ),
    Map(
        {
            Keyword("db/ident"): Keyword("import/target"),
            Keyword("db/valueType"): Keyword("db.type/string"),
            Keyword("db/cardinality"): Keyword("db.cardinality/one"),
            Keyword("db/index"): True,
        }
    ),
)


@dataclass(frozen=True)
class Module:
    """One source file, parsed."""

    name: str
    file: Path
    text: str

    @property
    def is_package(self) -> bool:
        """Return whether the file is a package's __init__."""
        return self.file.name == "__init__.py"

    @cached_property
    def tree(self) -> ast.Module:
        """Return the parsed source."""
        return ast.parse(self.text)


def read_modules() -> list[Module]:
    """Return every module of this interpreter's standard library, by name."""
    top = Path(sysconfig.get_paths()["stdlib"])
    found = []
    for file in sorted(top.rglob("*.py")):
        parts = file.relative_to(top).with_suffix("").parts
        if SKIPPED.intersection(parts):
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not all(part.isidentifier() for part in name.split(".")):
            continue
        try:
            module = Module(name, file.relative_to(top), file.read_text(encoding="utf-8"))
            _ = module.tree
        except (SyntaxError, UnicodeDecodeError):  # sources kept broken on purpose
            continue
        found.append(module)
    return found


def imports(module: Module, known: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Yield (imported module, line) of every import statement; names that are no known module stay as written."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            yield base, node.lineno
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                if inner in known:
                    yield inner, node.lineno


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = module.name.split(".")
    kept = package[: len(package) - node.level + (1 if module.is_package else 0)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def entities(module: Module, known: frozenset[str]) -> Iterator[Map]:
    """Yield the entity maps of one module: itself, its imports, functions and calls."""
    key = (Keyword("module/name"), module.name)
    yield Map(
        {
            Keyword("module/name"): module.name,
            Keyword("module/file"): str(module.file),
            Keyword("module/lines"): module.text.count("\n"),
        }
    )
    for target, line in imports(module, known):
        yield Map(
            {
                Keyword("import/module"): key,
                Keyword("import/target"): target,
                Keyword("import/line"): line,
            }
        )
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield Map(
                {
                    Keyword("function/module"): key,
                    Keyword("function/name"): node.name,
                    Keyword("function/line"): node.lineno,
                    Keyword("function/end-line"): node.end_lineno or node.lineno,
                }
            )
        elif isinstance(node, ast.Call):
            yield Map(
                {
                    Keyword("call/module"): key,
                    Keyword("call/callee"): _callee(node.func),
                    Keyword("call/line"): node.lineno,
                    Keyword("call/column"): node.col_offset,
                    Keyword("call/arguments"): len(node.args) + len(node.keywords),
                }
            )


def _callee(function: ast.expr) -> str:
    """Return the dotted name of what is called, `?` for what has none."""
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute):
        return f"{_callee(function.value)}.{function.attr}"
    return "?"


def imports_of_facts(facts: Iterable[tuple[int, Keyword, object]]) -> list[tuple[str, str]]:
    """Return (module, imported module) of every import in (entity, attribute, value) facts."""
    wanted = ("module/name", "import/module", "import/target")
    values: dict[str, dict[int, Any]] = {name: {} for name in wanted}
    for entity, attribute, value in facts:
        if attribute.name in values:
            values[attribute.name][entity] = value
    names, owners, targets = (values[name] for name in wanted)
    return [(names[owners[entity]], target) for entity, target in targets.items()]


def import_graph(modules: list[Module]) -> dict[str, set[str]]:
    """Return module -> imported modules."""
    known = frozenset(module.name for module in modules)
    return {m.name: {target for target, _ in imports(m, known)} for m in modules}


def shortest_chains(graph: dict[str, set[str]], goal: str) -> list[list[str]]:
    """Return for every module that reaches `goal` its shortest chain, the alphabetically first of several.

    Breadth-first from the goal against the direction of imports, then the least neighbour one step nearer.
    """
    importers: dict[str, set[str]] = {}
    for module, targets in graph.items():
        for target in targets:
            importers.setdefault(target, set()).add(module)
    steps = {goal: 0}
    queue = deque([goal])
    while queue:
        module = queue.popleft()
        for importer in importers.get(module, ()):
            if importer not in steps:
                steps[importer] = steps[module] + 1
                queue.append(importer)
    chains = []
    for module in sorted(steps):
        chain = [module]
        while chain[-1] != goal:
            at = chain[-1]
            chain.append(min(t for t in graph[at] if steps.get(t) == steps[at] - 1))
        chains.append(chain)
    return chains
