"""How much a node holds of each other one."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.handoff import Attempt
from yind.guests import Guest, Guests


def guest(agent: int, source: bytes, size: int) -> Guest:
    nobody: Any = None
    attempt = Attempt(bytes([agent]) * 32, 1, source, agent)
    return Guest(attempt, size, nobody, nobody, [], [], nobody)


def test_room_is_what_is_held_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yind.guests.HELD_BYTES_EACH_MAX", 10)
    guests = Guests()
    guests.put(guest(1, b"a", 4))
    guests.put(guest(2, b"a", 5))
    assert [guests.has_room(b"a", size) for size in (1, 2)] == [True, False]
    assert guests.has_room(b"b", 10)
    guests.put(guest(2, b"a", 2))  # in place of the one before
    assert [guests.has_room(b"a", size) for size in (4, 5)] == [True, False]
    guests.put(guest(2, b"b", 3))  # of the same agent, from another node
    assert [guests.has_room(b"a", size) for size in (6, 7)] == [True, False]
    assert [guests.has_room(b"b", size) for size in (7, 8)] == [True, False]
    for agent in (1, 2, 2):
        guests.pop(bytes([agent]) * 32)
    assert guests._of == {}


def test_an_offer_is_found_room_for_without_looking_at_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unseen(int):
        """A size that is counted once, when it comes."""

        def __radd__(self, other: int) -> int:
            looked.append(other)
            return other + int(self)

    looked: list[int] = []
    guests = Guests()
    for agent in range(5):
        guests.put(guest(agent, b"a", Unseen(1)))
    looked.clear()
    assert guests.has_room(b"a", 1)
    assert looked == []
