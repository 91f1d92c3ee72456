"""The reader's tables, made by lark of clojure.lark: one scanner for the terminals, one LALR(1) automaton.

Is:     lark's terminals as one regular expression, lark's parse table with small tuples for its actions.
Is not: what a rule means (`yang.reader.clojure`).
Fits:   loaded once per process. Lark's own loops make an object per token and per rule; reading 10,000 lines with them took
        twice as long as with the two loops that run these tables.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from lark import Lark
from lark.lexer import PatternStr, TerminalDef
from lark.parsers.lalr_analysis import Shift


class Reduce(NamedTuple):
    """Make one value of the last `size` ones; a rule without a name hands its only value on."""

    size: int
    rule: str | None
    origin: str


Action: TypeAlias = int | Reduce  # an int is the state after a shift


class Tables(NamedTuple):
    """What the reader's two loops run."""

    scanner: re.Pattern[str]  # its groups are named as the terminals
    actions: dict[int, dict[str, Action]]
    start: int
    end: int
    rules: frozenset[str]  # that have a meaning


@cache
def tables() -> Tables:
    """Return the tables of Clojure's grammar. Cost: some 20 ms, once."""
    grammar = Path(__file__).with_name("clojure.lark").read_text(encoding="utf-8")
    lark = Lark(grammar, parser="lalr", lexer="basic")
    terminals = sorted(lark.terminals, key=_rank)
    scanner = "|".join(f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in terminals)
    table = lark.parser.parser.parser.parse_table
    actions = {
        state: {symbol: _action(action, argument) for symbol, (action, argument) in row.items()}
        for state, row in table.states.items()
    }
    used = {a for row in actions.values() for a in row.values() if isinstance(a, Reduce)}
    return Tables(
        re.compile(scanner),
        actions,
        table.start_states["start"],
        table.end_states["start"],
        frozenset([action.rule for action in used if action.rule is not None]),
    )


def _rank(terminal: TerminalDef) -> tuple[int, int]:
    """Order as lark does: by priority, then fixed texts, a longer one before its beginnings; else as in the file."""
    pattern = terminal.pattern
    return -terminal.priority, -len(pattern.value) if isinstance(pattern, PatternStr) else 0


def _action(action: object, argument: Any) -> Action:
    if action is Shift:
        return int(argument)
    origin = str(argument.origin.name)
    names = [str(symbol.name) for symbol in argument.expansion]
    rule = {"form": None, "items": f"items_{names[-1] if names else 'none'}"}.get(origin, origin)
    return Reduce(len(names), rule, origin)
