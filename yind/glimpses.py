"""What a message shows of a value that somebody else made.

Is:     a text of bounded length, whatever the value is.
Is not: the text of data (`datomstore.edn`), nor what a machine shows of itself.
Fits:   wherever an agent is told what it asked wrongly.
"""

from __future__ import annotations

_CHARACTERS_MAX = 200


def shown(value: object) -> str:
    """Return the beginning of a value's text; its type where that has none: it is nested too deeply, or a number too long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__} that is too large to show"
    return text if len(text) <= _CHARACTERS_MAX else f"{text[:_CHARACTERS_MAX]}..."
