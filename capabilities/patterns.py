"""Patterns over stream names and over attributes.

Is:     `/`-separated segments compared byte for byte; `*` is one segment, a final `**` one or more.
Is not: regular expressions: a pattern costs time linear in its length, and people can read it.
Fits:   rights and attribute filters of `caveats`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from capabilities.errors import TokenInvalid
from capabilities.limits import PATTERN_BYTES_MAX, PATTERNS_KEPT


@lru_cache(maxsize=PATTERNS_KEPT)
def check_pattern(pattern: str) -> None:
    """Return if a stream pattern is well formed. Raises TokenInvalid."""
    _check_text(pattern)
    segments = pattern.split("/")
    if "" in segments:
        raise TokenInvalid(f"pattern {pattern!r} has an empty segment", why="caveat")
    if "**" in segments[:-1]:
        raise TokenInvalid(f"pattern {pattern!r} has ** before its end", why="caveat")


@lru_cache(maxsize=PATTERNS_KEPT)
def matches(pattern: str, name: str) -> bool:
    """Return whether a well-formed pattern covers a stream name; a name with an empty segment has no pattern."""
    wanted, found = pattern.split("/"), name.split("/")
    if "" in found:
        return False
    if wanted[-1] == "**":
        wanted.pop()
        if len(found) <= len(wanted):
            return False
        found = found[: len(wanted)]
    return len(wanted) == len(found) and all(
        segment in ("*", piece) for segment, piece in zip(wanted, found, strict=True)
    )


def check_attribute_pattern(pattern: str) -> None:
    """Return if an attribute pattern (`ns/*`, `ns/x`, either with `!` in front) is well formed. Raises TokenInvalid."""
    _check_text(pattern)
    positive = pattern.removeprefix("!")
    if not positive or positive.startswith((":", "/")) or "*" in positive.removesuffix("/*"):
        raise TokenInvalid(
            f"attribute pattern {pattern!r} is not ns/*, ns/name or name", why="caveat"
        )


def allows_attribute(patterns: tuple[str, ...], attribute: str) -> bool:
    """Return whether an attribute (without its colon) matches a positive pattern, if any, and no negative one."""
    positive = [pattern for pattern in patterns if not pattern.startswith("!")]
    negative = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    if any(_covers(pattern, attribute) for pattern in negative):
        return False
    return not positive or any(_covers(pattern, attribute) for pattern in positive)


@dataclass(frozen=True, slots=True)
class AttributeFilter:
    """What the blocks of a token, or of several, say of attributes: every one must allow an attribute."""

    blocks: tuple[tuple[int, tuple[str, ...]], ...]  # (index of the block in its token, patterns)

    def refusing(self, attribute: str) -> int | None:
        """Return the index of the first block that does not allow an attribute; None if all do."""
        for index, patterns in self.blocks:
            if not allows_attribute(patterns, attribute):
                return index
        return None

    def allows(self, attribute: str) -> bool:
        """Return whether every block allows an attribute."""
        return self.refusing(attribute) is None

    def __and__(self, other: AttributeFilter) -> AttributeFilter:
        """Return what both allow."""
        return AttributeFilter(tuple(dict.fromkeys((*self.blocks, *other.blocks))))


def _covers(pattern: str, attribute: str) -> bool:
    if pattern.endswith("/*"):
        return attribute.startswith(pattern[:-1]) and len(attribute) > len(pattern) - 1
    return attribute == pattern


def _check_text(pattern: str) -> None:
    try:
        size = len(pattern.encode())
    except UnicodeEncodeError:
        raise TokenInvalid("a pattern is not UTF-8", why="caveat") from None
    if not 1 <= size <= PATTERN_BYTES_MAX:
        raise TokenInvalid(f"a pattern is 1 to {PATTERN_BYTES_MAX} bytes, not {size}", why="caveat")
