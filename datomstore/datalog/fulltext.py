"""Words of texts: which facts of an attribute hold them.

Is:     an inverted index for each attribute marked `:db/fulltext`, shared by all values of one database, and its search.
Is not: stemming, synonyms or a language: a word is a run of letters and digits, without regard to case.
Fits:   `(fulltext $ :attribute "words")` asks it.
Source: Datomic's fulltext function and Lucene's query syntax for its shape; BM25 for the score.

Rows of a database only ever come to it, so the index is brought up to date by reading the new ones; a view of another
time asks the same index and keeps the rows it shows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from math import log
from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from datomstore.database import Database
from datomstore.datalog.builtins import FunctionError
from datomstore.datalog.limits import SEARCH_WORDS_MAX, WORD_LENGTH_MAX
from datomstore.facts import Facts
from datomstore.intern import find, intern, value_of
from datomstore.value import Keyword

MARK = Keyword("db/fulltext")
_WORD = re.compile(r"\w+")
_PART = re.compile(r'([+-]?)(?:"([^"]*)"|(\S+))')
SATURATION = 1.2  # how soon one more of the same word counts for little

Found = tuple[object, object, object, float]  # entity, value, transaction, score


class _Part(NamedTuple):
    """One part of a search: words that stand one after the other."""

    words: tuple[str, ...]
    must: bool
    must_not: bool
    prefix: bool  # the last word only begins so


class _Index:
    """The words of one attribute's texts; `covered` rows of its facts have been read."""

    def __init__(self) -> None:
        self.covered = 0
        self.rows: dict[str, dict[int, int]] = {}  # word -> row -> how often
        self.lock = Lock()

    def read(self, facts: Facts, attribute: int, end: int) -> None:
        """Take the rows below `end` that have not been read."""
        with self.lock:
            for row, words in _texts(facts, attribute, self.covered, end):
                for word, times in words.items():
                    self.rows.setdefault(word, {})[row] = times
            self.covered = max(self.covered, end)


_indexes: WeakKeyDictionary[Facts, dict[int, _Index]] = WeakKeyDictionary()
_lock = Lock()


def search(database: Database, attribute: object, text: object) -> tuple[Found, ...]:
    """Return (entity, value, transaction, score) of the facts that a search finds, best first.

    Raises:
        FunctionError: the attribute is not marked, or the search is no text.
    """
    if isinstance(attribute, Keyword):
        database.check_named(attribute)
    if not isinstance(attribute, Keyword) or not _is_marked(database, attribute):
        raise FunctionError(f"{attribute!r} is not marked :db/fulltext")
    if not isinstance(text, str):
        raise FunctionError("the words to look for are a string")
    a = intern(attribute)
    facts = database.facts
    with _lock:
        index = _indexes.setdefault(facts, {}).setdefault(a, _Index())
    # Rows that are staged may be taken back and others come in their place.
    index.read(facts, a, min(database.count_rows, facts.count))
    staged = dict(_texts(facts, a, min(facts.count, database.count_rows), database.count_rows))
    scores = _scores(index, staged, facts, _parts(text), max(1, database.count_rows))
    rows = np.array(sorted(scores), np.int64)
    shown = database.showing(rows).tolist() if len(rows) else []
    best = max((scores[row] for row in shown), default=1.0)
    found = [
        (
            value_of(int(facts.e[row])),
            value_of(int(facts.v[row])),
            value_of(int(facts.t[row])),
            scores[row] / best,
        )
        for row in shown
    ]
    return tuple(sorted(found, key=lambda one: -one[3]))


def _is_marked(database: Database, attribute: Keyword) -> bool:
    whole = database.since(0)  # a view of what is new does not show what was said of the attribute
    entity, mark, true = whole.entid(attribute), find(MARK), intern(True)
    if entity is None or mark is None or true is None:
        return False
    return bool(len(whole.rows(entity << 1, mark, true)))


def _texts(
    facts: Facts, attribute: int, start: int, end: int
) -> Iterator[tuple[int, Counter[str]]]:
    """Yield the rows of an attribute with the words of their texts."""
    chosen = (facts.a[start:end] == attribute) & facts.added[start:end]
    for row in (np.flatnonzero(chosen) + start).tolist():
        value = value_of(int(facts.v[row]))
        if isinstance(value, str):
            yield row, Counter(words_of(value))


def words_of(text: str) -> list[str]:
    """Return the words of a text in order, in the form in which they are compared."""
    return [word[:WORD_LENGTH_MAX] for word in _WORD.findall(text.casefold())]


def _parts(text: str) -> list[_Part]:
    parts = []
    for sign, phrase, word in _PART.findall(text):
        words = tuple(words_of(phrase or word))
        if words:
            parts.append(_Part(words, sign == "+", sign == "-", word.endswith("*")))
    if len(parts) > SEARCH_WORDS_MAX:
        raise FunctionError(f"a search of more than {SEARCH_WORDS_MAX} words")
    return parts


def _scores(
    index: _Index,
    staged: dict[int, Counter[str]],
    facts: Facts,
    parts: Iterable[_Part],
    size: int,
) -> dict[int, float]:
    """Return the score of each row that has some of the parts, all that it must have and none that it must not."""
    scores: dict[int, float] = {}
    required: list[set[int]] = []
    forbidden: set[int] = set()
    for part in parts:
        rows = _rows_of(index, staged, facts, part)
        if part.must_not:
            forbidden.update(rows)
            continue
        if part.must:
            required.append(set(rows))
        rarity = log(1 + size / (1 + len(rows)))
        for row, times in rows.items():
            scores[row] = scores.get(row, 0.0) + rarity * times / (times + SATURATION)
    return {
        row: score
        for row, score in scores.items()
        if row not in forbidden and all(row in rows for rows in required)
    }


def _rows_of(
    index: _Index, staged: dict[int, Counter[str]], facts: Facts, part: _Part
) -> dict[int, int]:
    """Return the rows that hold one part, and how often they hold its words."""
    found = _rows_with(index, staged, part.words[-1], prefix=part.prefix)
    for word in part.words[:-1]:
        others = _rows_with(index, staged, word, prefix=False)
        found = {row: min(times, others[row]) for row, times in found.items() if row in others}
    if len(part.words) > 1:
        return {row: times for row, times in found.items() if _in_a_row(facts, row, part)}
    return found


def _rows_with(
    index: _Index, staged: dict[int, Counter[str]], word: str, *, prefix: bool
) -> dict[int, int]:
    with index.lock:
        if prefix:
            found: dict[int, int] = {}
            for known, rows in index.rows.items():
                if known.startswith(word):
                    for row, times in rows.items():
                        found[row] = found.get(row, 0) + times
        else:
            found = dict(index.rows.get(word, {}))
    for row, words in staged.items():
        times = sum(n for w, n in words.items() if w == word or (prefix and w.startswith(word)))
        if times:
            found[row] = times
    return found


def _in_a_row(facts: Facts, row: int, part: _Part) -> bool:
    words = words_of(str(value_of(int(facts.v[row]))))
    width = len(part.words)
    *first, last = part.words
    return any(
        words[at : at + width - 1] == first
        and (
            words[at + width - 1] == last
            or (part.prefix and words[at + width - 1].startswith(last))
        )
        for at in range(len(words) - width + 1)
    )
