"""Which keys were ever named to follow which, over any number of steps, as far as records of members ask.

Is:     one pass over all successions, after which each question costs next to nothing.
Is not: who counts: of two that are named as one key's successor neither does, and both follow (`membership`).
Fits:   one reading of a membership asks whether a record may take another one's place. Whoever is appointed may say as
        many records and successions as statements, so no question may cost a walk along a line.
Source: Tarjan, "Depth-first search and linear graph algorithms" (1972): keys that follow each other in a circle have the
        same followers, and each circle is found after those that follow it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from capabilities.keys import PublicKey

Named = Mapping[PublicKey, Collection[PublicKey]]  # of a key, whom it named


class Followers:
    """Who follows whom, among the keys that are asked about."""

    def __init__(self, named: Named, asked: Iterable[PublicKey]) -> None:
        self._bits = {key: 1 << place for place, key in enumerate(dict.fromkeys(asked))}
        self._of: dict[PublicKey, int] = {}  # a key -> the bits of its followers and its own
        for circle in _circles(named):
            found = 0
            for key in circle:
                found |= self._bits.get(key, 0)
                for new in named.get(key, ()):
                    found |= self._of.get(new, 0)
            for key in circle:
                self._of[key] = found

    def is_or_follows(self, key: PublicKey, old: PublicKey) -> bool:
        """Return whether a key that was to be asked about is another one, or was named to follow it, or a follower of it."""
        return key == old or bool(self._of.get(old, 0) & self._bits[key])


def _circles(named: Named) -> Iterator[list[PublicKey]]:
    """Yield the keys, those together that follow each other, each after all that follow it."""
    met: dict[PublicKey, int] = {}  # in which order
    low: dict[PublicKey, int] = {}  # the first that is reached from a key, and not yielded
    open_: dict[PublicKey, None] = {}  # met and not yielded, in order

    def steps(key: PublicKey) -> tuple[PublicKey, Iterator[PublicKey]]:
        met[key] = low[key] = len(met)
        open_[key] = None
        return key, iter(named.get(key, ()))

    for first in named:
        way = [] if first in met else [steps(first)]
        while way:
            key, news = way[-1]
            new = next(news, None)
            if new is None:
                way.pop()
                if way:
                    low[way[-1][0]] = min(low[way[-1][0]], low[key])
                if low[key] == met[key]:
                    yield _taken(open_, key)
            elif new not in met:
                way.append(steps(new))
            elif new in open_:
                low[key] = min(low[key], met[new])


def _taken(keys: dict[PublicKey, None], first: PublicKey) -> list[PublicKey]:
    """Take the last keys out, to a first one; return them."""
    found: list[PublicKey] = []
    while first in keys:
        found.append(keys.popitem()[0])
    return found
