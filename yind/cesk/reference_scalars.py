"""The host functions of the reference machine on byte strings, instants and uuids.

Is:     that part of `yang.primitives` as Python functions.
Is not: how these look or compare (`reference_values`, `reference_numbers`).
Fits:   `reference_primitives` has the whole table.
Source: Clojure 1.11's clojure.core.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from yind.cesk.reference_arguments import check_string, primitive
from yind.cesk.reference_values import GuestFault, Store, Value, is_integer, type_fault

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@primitive("bytes?")
def _is_bytes(store: Store, value: Value) -> bool:
    return isinstance(value, bytes)


@primitive("inst?")
def _is_inst(store: Store, value: Value) -> bool:
    return isinstance(value, datetime)


@primitive("uuid?")
def _is_uuid(store: Store, value: Value) -> bool:
    return isinstance(value, UUID)


@primitive("inst-ms")
def _inst_ms(store: Store, value: Value) -> int:
    if not isinstance(value, datetime):
        raise type_fault("inst-ms", "an instant", value)
    return (value - _EPOCH) // timedelta(milliseconds=1)


_MS_MIN, _MS_MAX = -62135596800000, 253402300799999  # the years 1 to 9999


@primitive("inst-of-ms")
def _inst_of_ms(store: Store, value: Value) -> datetime:
    if not is_integer(value) or not -(1 << 63) <= value < 1 << 63:
        raise type_fault("inst-of-ms", "an integer", value)
    if not _MS_MIN <= value <= _MS_MAX:
        raise GuestFault("argument", "inst-of-ms: the year is not between 1 and 9999")
    return _EPOCH + timedelta(milliseconds=value)


@primitive("parse-uuid")
def _parse_uuid(store: Store, value: Value) -> UUID | None:
    text = check_string("parse-uuid", value)
    return UUID(text) if _UUID_TEXT.fullmatch(text) else None
