"""Generated queries and pulls answered by this engine and by DataScript: every difference is printed.

Is:     a comparison of results, from one seed; the exit code says whether all agree.
Is not: a test of pytest's: it needs node and npm's datascript.
Fits:   `make peers-datascript` installs the peer and runs it.

Left out is what DataScript is known to get wrong: rules recur to the right over facts without cycles, since other
recursion does not end there, and no variable stands twice in one pattern, where it takes any two values. `(min n ?x)`
stands without :with, under which it gives values twice. What it refuses is counted, not compared.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import QueryError, pull, q
from datomstore.datom import TX_BASE, Datom
from datomstore.value import Keyword, Map

SCHEMA = """{:a {:db/cardinality :db.cardinality/many} :b {:db/cardinality :db.cardinality/many}
             :r {:db/cardinality :db.cardinality/many :db/valueType :db.type/ref}
             :s {:db/valueType :db.type/ref}
             :p {:db/cardinality :db.cardinality/many :db/valueType :db.type/ref :db/isComponent true}}"""
NAMES = ["?a", "?b", "?c", "?d"]
RULES = """[[(up ?x ?y) [?x :r ?y]] [(up ?x ?y) [?x :r ?z] (up ?z ?y)]
            [(both ?x) [?x :a ?v] [?x :b ?v]]
            [(either ?x ?v) [?x :a ?v]] [(either ?x ?v) [?x :b ?v] (not [?x :a ?v])]
            [(odd ?x ?y) [?x :r ?y]] [(odd ?x ?y) [?x :r ?z] (even ?z ?y)]
            [(even ?x ?y) [?x :r ?z] (odd ?z ?y)]
            [(least ?x ?v) [?x :a ?v] (not-join [?x ?v] [?x :a ?w] [(< ?w ?v)])]
            [(top ?x) [?x :a _] (not [?x :r _])]]"""
INPUTS: list[tuple[str, object]] = [
    ("?i", 2),
    ("[?i ...]", [1, 2, 5]),
    ("[?i ?j]", [1, 3]),
    ("[[?i ?j]]", [[1, 2], [2, 2], [3, 1]]),
]
TWICE = re.compile(
    r"(\?\w) (?::\w )?\1(?!\w)(?=[^]]*[])])"
)  # a variable twice in a pattern or a rule's call
AGGREGATES = ["count", "sum", "min", "max", "avg", "median", "count-distinct", "min 2", "max 2"]
Case = dict[str, Any]


class Maker:
    """Cases from one source of chance."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pick = self.random.choice

    def facts(self) -> list[list[Any]]:
        """Return facts [entity, attribute, value]; references lead from small entities to larger ones."""
        found: dict[tuple[int, str, int], None] = {}
        single: set[tuple[int, str]] = set()
        for _ in range(self.random.randint(0, 24)):
            e, a = self.random.randint(1, 6), self.pick("abcrsp")
            v = self.random.randint(1, 4) if a in "abc" else e + self.random.randint(1, 3)
            if a in "cs":
                if (e, a) in single:
                    continue
                single.add((e, a))
            found[e, a, v] = None
        return [list(fact) for fact in found]

    def query(self) -> Case:
        """Return a query over those facts."""
        bound = ["?a", "?b"]
        where = [f"[?a :{self.pick('abcr')} ?b]"]
        made: Case = {"rules": RULES}
        named = ""
        if self.random.random() < 0.3:
            named, value = self.pick(INPUTS)
            made["input"] = value
            bound += [name for name in ("?i", "?j") if name in named]
        if self.random.random() < 0.6:
            where.append(
                f"[{self.pick(['?a', '?b', '?c'])} :{self.pick('abcrs')} {self.pick(['?c', '?d', '?b'])}]"
            )
            bound += [name for name in NAMES if name in where[-1] and name not in bound]
        where += [self.clause(bound, 2) for _ in range(self.random.randint(0, 3))]
        names = self.random.sample(bound, self.random.randint(1, min(2, len(bound))))
        find = " ".join(names)
        with_ = ""
        if self.random.random() < 0.3:
            function = self.pick(AGGREGATES)
            counted = self.pick(bound)
            find = f"{names[0]} ({function} {counted})"
            others = [name for name in bound if name not in (names[0], counted)]
            if others and " 2" not in function and self.random.random() < 0.5:
                with_ = f" :with {self.pick(others)}"
        elif self.random.random() < 0.1:
            find = f"[{names[0]} ...]"
            made["collection"] = True
        elif self.random.random() < 0.1:
            find = "?a (pull ?a [:c {:s [:c]}])"
        query = f"[:find {find}{with_} :in $ % {named} :where {' '.join(where)}]"
        return {**made, "query": query}

    def term(self, bound: list[str]) -> str:
        """Return a bound variable or a small number."""
        return self.pick(bound) if self.random.random() < 0.7 else str(self.random.randint(1, 4))

    def clause(self, bound: list[str], depth: int) -> str:
        """Return a clause whose variables are bound around it."""
        kinds = ["pattern", "predicate", "function", "rule", "get"] + [
            "not",
            "or",
            "not-join",
            "or-join",
        ] * (depth > 0)
        match self.pick(kinds):
            case "predicate":
                return f"[({self.pick(['<', '<=', '>', '>=', '=', 'not='])} {self.term(bound)} {self.term(bound)})]"
            case "function":
                return f"[({self.pick(['+', '-', '*', 'max', 'min'])} {self.term(bound)} {self.term(bound)}) {self.pick(bound)}]"
            case "rule":
                name = self.pick(["up", "either", "odd", "even", "least"])
                return self.pick(
                    [
                        f"({name} {self.pick(bound)} {self.term(bound)})",
                        f"({self.pick(['both', 'top'])} {self.pick(bound)})",
                    ]
                )
            case "get":
                e = self.pick(bound)
                return self.pick(
                    [f"[(get-else $ {e} :c 3) {self.pick(bound)}]", f"[(missing? $ {e} :c)]"]
                )
            case "not":
                return f"(not {self.clause(bound, depth - 1)})"
            case "not-join":
                name = self.pick(bound)
                return f"(not-join [{name}] [{name} :{self.pick('abr')} ?z] {self.clause([name, '?z'], 0)})"
            case "or":
                e, v = self.random.sample(bound, 2)
                return f"(or [{e} :{self.pick('abc')} {v}] (and [{e} :r {v}] [{e} :{self.pick('abc')} _]))"
            case "or-join":
                name = self.pick(bound)
                return f"(or-join [{name}] [{name} :{self.pick('abc')} {self.random.randint(1, 4)}] (and [{name} :r ?z] [?z :a _]))"
        return f"[{self.pick(bound)} :{self.pick('abcrs')} {self.term([*bound, '_'])}]"

    def pattern(self, depth: int) -> str:
        """Return a pull pattern."""
        parts = [
            f":{name}"
            for name in self.random.sample(["a", "b", "c", "s", "p", "_r", "_s", "db/id"], 3)
        ]
        if self.random.random() < 0.3:
            parts.append("*")
        if depth:
            within = self.pick([self.pattern(depth - 1), "...", str(self.random.randint(1, 3))])
            parts.append(f"{{:{self.pick(['r', 's', '_r'])} {within}}}")
        if self.random.random() < 0.3:
            parts.append(
                self.pick(["[:a :limit 1]", "[:c :default 9]", "[:b :limit 2 :default 0]"])
            )
        return f"[{' '.join(dict.fromkeys(parts))}]"


def cases(seed: int, count: int) -> list[Case]:
    """Return queries, and a pull for every third."""
    maker = Maker(seed)
    made = []
    for number in range(count):
        case: Case = {"facts": maker.facts()}
        if number % 3 == 2:
            case |= {"pull": maker.pattern(2), "entity": maker.random.randint(1, 6)}
        else:
            case |= maker.query()
        if not TWICE.search(case.get("query", "")):
            made.append(case)
    return made


def ours(case: Case) -> object:
    """Return our answer in a form that can be compared, or the text of the refusal."""
    facts = [Datom(e, Keyword(a), v, TX_BASE + 1, True) for e, a, v in case["facts"]]
    database = Database.from_datoms(facts, edn.read(SCHEMA))  # type: ignore[arg-type]
    try:
        if "pull" in case:
            return plain(pull(database, case["pull"], case["entity"]))
        given = [case["rules"], *([case["input"]] if "input" in case else [])]
        return rows_of(q(case["query"], database, *given), case)
    except QueryError as error:
        return f"refused: {error}"


def rows_of(answer: Any, case: Case) -> object:
    """Return an answer's rows as a set; entities that were pulled are texts."""
    if case.get("collection"):
        return set(answer)
    return {comparable(row) for row in answer}


def plain(value: object) -> object:
    """Return maps as dictionaries by texts, sequences as sorted lists: DataScript orders values by index."""
    if isinstance(value, Map):
        return {key.name if isinstance(key, Keyword) else key: plain(v) for key, v in value.items()}
    if isinstance(value, dict):
        return {key.removeprefix(":"): plain(v) for key, v in value.items()}
    if isinstance(value, (tuple, list)):
        return sorted(
            (plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True)
        )
    return value


def comparable(row: object) -> object:
    """Return a row as a tuple; a collection in it is sorted: `(max 2 ?x)` begins with the least there."""
    if not isinstance(row, (tuple, list)):
        return row
    return tuple(_comparable(item) for item in row)


def _comparable(item: object) -> object:
    if isinstance(item, (tuple, list)):
        return tuple(sorted(item))
    if isinstance(item, (Map, dict)) or item is None:  # nothing is pulled: null there, no map here
        return json.dumps(plain(item or {}), sort_keys=True)
    # JavaScript has one kind of numbers: 2.0 is written as 2.
    return int(item) if isinstance(item, float) and item.is_integer() else item


def translated(case: Case) -> Case:
    """Return a case for JavaScript, where attributes are texts."""

    def text(source: str) -> str:
        return re.sub(r":(_?[abcrsp])\b", r'"\1"', source)

    names = ("query", "rules", "pull")
    return {key: text(value) if key in names else value for key, value in case.items()}


def main() -> int:
    """Return 1 if any answer differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where npm has installed datascript")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=900)
    parser.add_argument("--refused", action="store_true", help="print what DataScript refuses")
    options = parser.parse_args()
    made = cases(options.seed, options.count)
    script = Path(__file__).with_suffix(".js")
    ran = subprocess.run(
        ["node", str(script), str(options.folder.resolve())],
        input=json.dumps([translated(case) for case in made]),
        capture_output=True,
        text=True,
        check=True,
    )
    refused, different = 0, 0
    for case, answer in zip(made, json.loads(ran.stdout), strict=True):
        if "error" in answer:
            refused += 1
            if options.refused:
                print(case.get("query", case.get("pull")), answer["error"])  # noqa: T201
            continue
        theirs = plain(answer.get("value")) if "pull" in case else rows_of(answer["value"], case)
        mine = ours(case)
        if mine != theirs:
            different += 1
            print(json.dumps(case), "\n  ours  ", mine, "\n  theirs", theirs)  # noqa: T201
    print(  # noqa: T201
        f"{len(made)} cases, {refused} refused by DataScript, {different} different"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
