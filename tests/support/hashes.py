"""Integers whose first hash in the machine somebody has chosen."""

from __future__ import annotations

WORD = (1 << 64) - 1


def unmixed(word: int) -> int:
    """Return the integer whose first hash is the lower half of a word: the inverse of MurmurHash3's finalizer."""
    word ^= word >> 33
    word = word * pow(0xC4CEB9FE1A85EC53, -1, 1 << 64) & WORD
    word ^= word >> 33
    word = word * pow(0xFF51AFD7ED558CCD, -1, 1 << 64) & WORD
    word ^= word >> 33
    number = (word - 0x9E3779B97F4A7C15) & WORD
    return number - (1 << 64) if number >> 63 else number


def with_hash(hashed: int, number: int) -> int:
    """Return one of the 2 ** 32 integers with a hash."""
    return unmixed(number << 32 | hashed)


def colliding(count: int) -> tuple[int, ...]:
    return tuple(with_hash(0xBAD, number) for number in range(count))
