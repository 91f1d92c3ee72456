"""Every error of the store has one root and a stable code.

Is:     the root class and the errors that more than one module raises.
Is not: errors of one module only, which stand beside it.
Fits:   callers catch DatomstoreError; codes are listed in docs.
"""

from __future__ import annotations


class DatomstoreError(Exception):
    """Root. `code` is stable and documented."""

    code = "datomstore/error"


class CodecError(DatomstoreError):
    """The value has no encoding, or the bytes are not one that `pack` makes."""

    code = "codec/invalid"


class AttributeForbidden(DatomstoreError):
    """An attribute was named that is hidden; `by` is the `datomstore.filtered.Shown` that hides it."""

    code = "database/attribute"

    def __init__(self, attribute: object, by: object) -> None:
        super().__init__(f"attribute {attribute!r} is not among those that may be used")
        self.attribute = attribute
        self.by = by
