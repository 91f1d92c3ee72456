"""Derived forms, as functions from form to form.

Is:     the table of what expansion rewrites.
Is not: special forms (`yang.expand`).
Fits:   `yang.expand` looks heads up here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from yang.forms import Form

if TYPE_CHECKING:
    from yang.expand import Expander

Derived: TypeAlias = Callable[["Expander", Form], Form]

DERIVED: dict[str, Derived] = {}
