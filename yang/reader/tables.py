"""The reader's tables, made by lark of clojure.lark: one scanner for the terminals, one LALR(1) automaton.

Is:     lark's terminals as one regular expression, lark's parse table with small tuples for its actions.
Is not: what a rule means (`yang.reader.clojure`).
Fits:   loaded once per process, and made once for each version of the grammar: they are kept as a file. Lark's own loops make an object per token and per rule; reading 10,000 lines with them took
        twice as long as with the two loops that run these tables.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgpack

from yang.kept import find, keep

if TYPE_CHECKING:
    from lark.lexer import TerminalDef


class Reduce(NamedTuple):
    """Make one value of the last `size` ones; a rule without a name hands its only value on."""

    size: int
    rule: str | None
    origin: str


Action: TypeAlias = int | Reduce  # an int is the state after a shift or a reduction, or APPEND
APPEND = -1  # put the form into the list of forms before it; the state stays


class Tables(NamedTuple):
    """What the reader's two loops run."""

    scanner: re.Pattern[str]  # its groups are named as the terminals
    actions: dict[int, dict[str, Action]]
    start: int
    end: int
    rules: frozenset[str]  # that have a meaning


@cache
def tables() -> Tables:
    """Return the tables of Clojure's grammar. Cost: some 5 ms, once; the first time ever, some 60 ms."""
    grammar = Path(__file__).with_name("clojure.lark").read_bytes()
    whole = hashlib.sha256(grammar + Path(__file__).read_bytes())
    name = f"reader-{whole.hexdigest()[:32]}.tables"
    kept = find(name)
    if kept is not None:
        return _decoded(kept)
    made = made_of(grammar.decode())
    keep(name, _encoded(made))
    return made


def made_of(grammar: str) -> Tables:
    """Return the tables of a grammar, made now."""
    from lark import Lark  # which takes as long to import as all the rest of the reader

    lark = Lark(grammar, parser="lalr", lexer="basic")
    terminals = sorted(lark.terminals, key=_rank)
    one = "|".join(f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in terminals)
    scanner = f"[ ,]*(?:{one})"  # most of what is blank stands before a form in the same line
    table = lark.parser.parser.parser.parse_table
    actions = {
        state: {symbol: _action(argument) for symbol, (_, argument) in row.items()}
        for state, row in table.states.items()
    }
    return _tables(
        scanner, shortened(actions), table.start_states["start"], table.end_states["start"]
    )


def shortened(actions: dict[int, dict[str, Action]]) -> dict[int, dict[str, Action]]:
    """Return actions without the steps that every form takes on its way into a list of forms.

    A form that is complete goes through states that can only hand it on, and then into the list that stands before it;
    what is there to be done is then APPEND, by a shift or by the way on after a reduction.
    """
    ways = {state: way for state, row in actions.items() if (way := _only_way(row)) is not None}

    def target(row: dict[str, Action], state: int) -> int:
        way = ways.get(state)
        while way is not None and way.rule is None:
            after = row[way.origin]
            assert isinstance(after, int), way
            state = after
            way = ways.get(state)
        return APPEND if way is not None and way.rule == "items_form" else state

    return {
        number: {
            symbol: target(row, action) if isinstance(action, int) else action
            for symbol, action in row.items()
        }
        for number, row in actions.items()
    }


def _only_way(row: dict[str, Action]) -> Reduce | None:
    """Return the reduction that a state makes whatever follows, if it is such a state."""
    way, *others = set(row.values()) or (None,)
    return way if isinstance(way, Reduce) and not others else None


def _tables(scanner: str, actions: dict[int, dict[str, Action]], start: int, end: int) -> Tables:
    used = {a for row in actions.values() for a in row.values() if isinstance(a, Reduce)}
    rules = frozenset([action.rule for action in used if action.rule is not None])
    return Tables(re.compile(scanner), actions, start, end, rules)


def _encoded(made: Tables) -> bytes:
    packed: bytes = msgpack.packb([made.scanner.pattern, made.actions, made.start, made.end])
    return packed


def _decoded(data: bytes) -> Tables:
    scanner, rows, start, end = msgpack.unpackb(data, use_list=False, strict_map_key=False)
    actions = {
        state: {s: a if isinstance(a, int) else Reduce(*a) for s, a in row.items()}
        for state, row in rows.items()
    }
    return _tables(scanner, actions, start, end)


def _rank(terminal: TerminalDef) -> tuple[int, int]:
    """Order as lark does: by priority, then fixed texts, a longer one before its beginnings; else as in the file."""
    pattern = terminal.pattern
    return -terminal.priority, -len(pattern.value) if pattern.type == "str" else 0


def _action(argument: Any) -> Action:
    if isinstance(argument, int):  # a shift
        return int(argument)
    origin = str(argument.origin.name)
    names = [str(symbol.name) for symbol in argument.expansion]
    rule = {"form": None, "items": f"items_{names[-1] if names else 'none'}"}.get(origin, origin)
    return Reduce(len(names), rule, origin)
