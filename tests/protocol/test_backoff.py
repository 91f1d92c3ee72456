"""Waits grow to a bound, are random below it, and are short again after a healthy connection."""

from __future__ import annotations

from protocol.backoff import Backoff
from protocol.limits import RECONNECT_FIRST_S, RECONNECT_HEALTHY_S, RECONNECT_MOST_S


def waits(backoff: Backoff, count: int) -> list[float]:
    return [round(backoff.wait_s(), 6) for _ in range(count)]


def test_the_bound_doubles_up_to_the_most() -> None:
    assert waits(Backoff(lambda: 1.0), 9) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert (RECONNECT_FIRST_S, RECONNECT_MOST_S) == (0.1, 10.0)


def test_a_wait_is_anything_below_the_bound() -> None:
    assert waits(Backoff(lambda: 0.0), 3) == [0.0, 0.0, 0.0]
    assert waits(Backoff(iter([0.5, 0.25]).__next__), 2) == [0.05, 0.05]


def test_only_a_healthy_connection_makes_the_wait_short_again() -> None:
    backoff = Backoff(lambda: 1.0)
    waits(backoff, 5)
    backoff.lived(RECONNECT_HEALTHY_S - 1)
    assert waits(backoff, 1) == [3.2]
    backoff.lived(RECONNECT_HEALTHY_S)
    assert waits(backoff, 2) == [0.1, 0.2]
