"""What the blocks of a token allow together: a right has to be in every block.

Is:     the rights that all blocks have in common, to see whether there is one at all.
Is not: a decision about a request (`capabilities.authorize`), nor the other caveats.
Fits:   `yin token mint|attenuate|inspect`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from capabilities.caveats import Rights

COMMON_MAX = 1_000  # then it is not looked further: a person has no use for so many


def rights_in_all(blocks: Iterable[Sequence[Rights] | None]) -> list[Rights]:
    """Return the rights that blocks have in common; None is a block that says nothing of rights."""
    common: list[Rights] | None = None
    for rights in blocks:
        if rights is None:
            continue
        if common is None:
            common = list(rights)
        elif len(common) <= COMMON_MAX:
            common = list(dict.fromkeys(_both(common, rights)))
    return common or []


def _both(some: Sequence[Rights], others: Sequence[Rights]) -> Iterable[Rights]:
    for one in some:
        for other in others:
            pattern = common_pattern(one.pattern, other.pattern)
            if one.verbs & other.verbs and pattern is not None:
                yield Rights(one.verbs & other.verbs, pattern)


def common_pattern(one: str, other: str) -> str | None:
    """Return the pattern of the names that two patterns cover; None if there are none."""
    first, second = one.split("/"), other.split("/")
    open_first, open_second = first[-1] == "**", second[-1] == "**"
    begins, ends = first[: len(first) - open_first], second[: len(second) - open_second]
    if len(begins) < len(ends):
        begins, ends, open_first, open_second = ends, begins, open_second, open_first
    # the longer one goes on where the shorter one covers whatever comes
    if len(begins) > len(ends) and not open_second:
        return None
    if len(begins) == len(ends) and open_first != open_second:  # one covers only longer names
        return None
    parts = []
    for here, there in zip(begins, [*ends, *["*"] * (len(begins) - len(ends))], strict=True):
        if "*" not in (here, there) and here != there:
            return None
        parts.append(there if here == "*" else here)
    return "/".join([*parts, "**"] if open_first else parts)
