"""What somebody may have meant by a name that nothing has.

Is:     near names, names of other namespaces, and what a word of another language is here.
Is not: resolution of names.
Fits:   hints of `yang.expand` and `yang.compile`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

_CUTOFF = 0.7
ALIASES = {
    "clojure.string": "str",
    "clojure.set": "set",
    "clojure.walk": "walk",
}  # that always are there

# Words of other languages and dialects, and what is written here.
ELSEWHERE = {
    "append": "conj, into or concat",
    "begin": "do",
    "car": "first",
    "cdr": "rest or next",
    "const": "def",
    "define": "def or defn",
    "defun": "defn",
    "elif": "cond",
    "else": ":else, as the last test of cond",
    "elseif": "cond",
    "foldl": "reduce",
    "foreach": "doseq or run!",
    "function": "fn or defn",
    "lambda": "fn",
    "len": "count",
    "length": "count",
    "null": "nil",
    "None": "nil",
    "True": "true",
    "False": "false",
    "print!": "print",
    "progn": "do",
    "return": "the last form of a body, which is its value",
    "set!": "reset! of an atom",
    "setq": "let, or reset! of an atom",
    "size": "count",
    "undefined": "nil",
    "var": "def or let",
    "&&": "and",
    "||": "or",
    "==": "=",
    "!=": "not=",
    "!": "not",
    "%": "mod or rem",
    "**": "clojure.math/pow",
    "++": "inc",
    "--": "dec",
}


def near_hint(name: str, known: Collection[str]) -> str | None:
    """Return the question whether a near name was meant, None if there is none."""
    found = nearest(name, known)
    return None if found is None else f"did you mean {found}?"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest to one, None if none is near."""
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_CUTOFF)
    return found[0] if found else None


def hint_of(name: str, known: Collection[str], locals_: Collection[str]) -> str | None:
    """Return what may have been meant by an unresolved name.

    In this order: the same name in another namespace, a near name of the same namespace, a local, a near name, the word
    of another language.
    """
    namespace, slash, local = name.rpartition("/")
    if slash and namespace:
        near = {
            other.removeprefix(f"{namespace}/"): other
            for other in known
            if _is_near_to(other, namespace)
        }
        found = nearest(local, near)
        return None if found is None else f"did you mean {_short(near[found])}?"
    if name in locals_:
        return f"{name} is a local, but not here"
    others = sorted([other for other in known if other.endswith(f"/{name}")], key=_rank)
    if others:
        return f"did you mean {' or '.join(map(_short, others[:2]))}?"
    if name in ELSEWHERE:
        return f"here that is {ELSEWHERE[name]}"
    return near_hint(name, locals_) or near_hint(name, known)


def _is_near_to(name: str, namespace: str) -> bool:
    return "/" not in name or name.startswith(f"{namespace}/")


def _rank(name: str) -> tuple[bool, str]:
    return not name.startswith("clojure.string/"), name


def _short(name: str) -> str:
    namespace, slash, local = name.rpartition("/")
    if not slash or not namespace:
        return name
    return f"{ALIASES.get(namespace, namespace)}/{local}"
