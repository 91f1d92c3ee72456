"""The stations of the compiler as text.

Is:     forms, Universal AST, AST datoms and execution steps of a source text, for people to read.
Is not: an interchange format: what is kept and sent is the program's canonical bytes.
Fits:   `yin compile --emit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from datomstore import edn
from datomstore.datom import Datom
from datomstore.value import Keyword, Symbol
from yang.analysis import TX
from yang.ast_datoms import datoms_of, expansion_datoms
from yang.clojure import clojure_of
from yang.compile import Compiled, compile_source
from yang.disassemble import disassemble
from yang.errors import Source
from yang.execution import CONTAINS
from yang.expand import expand
from yang.forms import text_of
from yang.host import ALONE, Host
from yang.lower import tree_of_source
from yang.nodes import Item, Tree
from yang.program import program_of
from yang.reader.clojure import read


def render(text: str, source_name: str, emit: str, host: Host = ALONE) -> str:
    """Return one station of the compiler as text; `emit` is one of `STATIONS`.

    Raises:
        SourceError, SourceErrors: the source does not get that far.
        KeyError: there is no such station.
    """
    return STATIONS[emit](text, source_name, host)


def render_forms(text: str, source_name: str, host: Host = ALONE) -> str:
    """Return the forms that were read, as source text."""
    return "\n".join(text_of(form) for form in read(text, source_name))


def render_expanded(text: str, source_name: str, host: Host = ALONE) -> str:
    """Return the core forms, as source text."""
    forms = expand(read(text, source_name), Source(source_name, text), host=host).forms
    return "\n".join(text_of(form) for form in forms)


def render_ast(text: str, source_name: str, host: Host = ALONE) -> str:
    """Return the tree, one node a line: type, scalars, place in the source."""
    return tree_text(tree_of_source(text, source_name, host))


def tree_text(tree: Tree) -> str:
    """Return a tree, one node a line."""
    lines: list[str] = []
    for item, place in zip(tree.items, tree.places, strict=True):
        role = f"{place.role.name.removeprefix('ast/')}: " if place.role else ""
        line = f"{'  ' * place.depth}{role}{item.kind.name}{_scalars(item)}"
        lines.append(f"{line:60} ; {item.span.line}:{item.span.column}")
    return "\n".join(lines)


def render_datoms(text: str, source_name: str, host: Host = ALONE) -> str:
    """Return the facts of the tree, one a line, as EDN; entities count from the program's root."""
    tree = tree_of_source(text, source_name, host)
    facts = datoms_of(tree, base=0, tx=TX, program_hash=program_of(tree).hash)
    facts += expansion_datoms(tree, base=0, first=len(tree.items), tx=TX)
    return "\n".join(_datom_text(datom) for datom in facts)


def render_exec(text: str, source_name: str, host: Host = ALONE) -> str:
    """Return the execution stream: a heading per body, a line per step."""
    return "\n".join(_exec_lines(compile_source(text, source_name, host=host)))


def render_asm(text: str, source_name: str, host: Host = ALONE) -> str:
    """Return the packed instructions of the segment."""
    return disassemble(compile_source(text, source_name, host=host).segment)


def render_clojure(text: str, source_name: str, host: Host = ALONE) -> str:
    """Return source text that compiles to the same hash."""
    source = Source(source_name, text)
    tree = tree_of_source(text, source_name, host)
    return clojure_of(tree, source=source, host=host).removesuffix("\n")


STATIONS: dict[str, Callable[[str, str, Host], str]] = {
    "forms": render_forms,
    "expanded": render_expanded,
    "ast": render_ast,
    "datoms": render_datoms,
    "exec": render_exec,
    "asm": render_asm,
    "clojure": render_clojure,
}


def _scalars(item: Item) -> str:
    values = [
        edn.write(value)
        for scalar, value in zip(item.kind.scalars, item.scalars, strict=True)
        if value is not None or scalar.type is object
    ]
    return "".join(f" {value}" for value in values)


def _datom_text(datom: Datom) -> str:
    return edn.write((datom.e, datom.a, datom.v))


# What a step's line shows of its facts, in this order, and how.
_SHOWN = ("exec/a", "exec/b", "exec/c", "exec/n", "exec/name", "exec/target", "exec/constant")


def _exec_lines(compiled: Compiled) -> Iterator[str]:
    first = compiled.base + len(compiled.segment.spans)  # entity of step 0
    facts: dict[int, dict[str, object]] = {}
    for datom in compiled.exec_datoms:
        if datom.a is not CONTAINS:
            facts.setdefault(datom.e, {})[datom.a.name] = datom.v
    headings = {
        arity.entry: f"; {function.name or ('top level' if number == 0 else 'fn')}"
        f" ({arity.parameter_count}{'+' if arity.variadic else ''} parameters,"
        f" {arity.slot_count} slots{_captures(function.capture_names)})"
        for number, function in enumerate(compiled.segment.functions)
        for arity in function.arities
    }
    for step in compiled.stream.steps(compiled.base):
        if step.order in headings:
            yield headings[step.order]
        known = facts[first + step.order]
        shown = [_shown(name, known[name], first) for name in _SHOWN if name in known]
        kind = known.get("exec/constant-kind")
        if kind is Keyword("nil"):
            shown.append("nil")
        if "exec/lambda" in known:
            shown.append(f"function=#{known['exec/lambda'] - compiled.base}")  # type: ignore[operator]
        span = compiled.segment.spans[step.node - compiled.base]
        place = f"{span.line}:{span.column}"
        yield (
            f"{step.order:5}  {step.instruction:13} {' '.join(shown):40}"
            f" ; node {step.node - compiled.base} at {place}"
        )


def _captures(names: tuple[str, ...]) -> str:
    return f", captures {' '.join(names)}" if names else ""


def _shown(name: str, value: object, first: int) -> str:
    short = name.removeprefix("exec/")
    if name == "exec/target":
        return f"target={value - first}"  # type: ignore[operator]
    if isinstance(value, str | Symbol) and name == "exec/name":
        return f"name={value}"
    return f"{short}={edn.write(value)}"
