"""Recursive descent without Python's stack.

Is:     `run`, which drives generators that yield the generators they wait for.
Is not: a scheduler; one walk runs to its end.
Fits:   `yang.expand` and `yang.lower` descend into forms of any depth with it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Walk: TypeAlias = Generator[Any, Any, T]  # yields the walk it waits for, is sent that walk's result


def run(walk: Walk[T]) -> T:
    """Return what a walk returns. An error in an inner walk is raised where it is waited for."""
    stack: list[Walk[Any]] = [walk]
    value: Any = None
    while True:
        try:
            inner = stack[-1].send(value)
        except StopIteration as stop:
            value = stop.value
            stack.pop()
            if not stack:
                return value  # type: ignore[no-any-return]
        except Exception as error:
            stack.pop()
            value = _raised(stack, error)
            if not stack:
                return value  # type: ignore[no-any-return]
        else:
            stack.append(inner)
            value = None


def _raised(stack: list[Walk[Any]], error: Exception) -> Any:
    """Raise an error in the walks that wait, the inner ones first; return what is sent where it was caught."""
    while stack:
        try:
            inner = stack[-1].throw(error)
        except StopIteration as stop:
            stack.pop()
            return stop.value
        except Exception as following:
            error = following
            stack.pop()
        else:
            stack.append(inner)
            return None
    raise error
