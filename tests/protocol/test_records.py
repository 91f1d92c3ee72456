"""Records of the hand-off as bytes: what is no record is refused, whatever a disk gives back."""

from __future__ import annotations

import pytest

from datomstore.value import List, Map
from protocol import codec
from protocol.errors import RemoteFault
from protocol.limits import REFUSED_MAX, TAKEN_MAX, TEXT_BYTES_MAX
from protocol.records import Aborted, Given, Gone, Owned, Record, Refused, decode, encode

AGENT, NODE = b"a" * 32, b"n" * 32
RECORDS: list[Record] = [
    Given(AGENT, 1, NODE, 7),
    Aborted(AGENT, 1, NODE, 7, "token/refused", "no"),
    Gone(AGENT, 1, NODE, 7),
    Owned(AGENT, 3, NODE, 9, ((NODE, 1, 7),)),
    Refused(AGENT, 3, NODE, 9, "a", "b", ((3, 8),), (2, 5)),
]
KINDS = [type(record).__name__ for record in RECORDS]


def fields(record: Record) -> tuple[object, ...]:
    array = codec.unpack(encode(record))
    assert isinstance(array, tuple)
    return array


def refused(value: object) -> None:
    with pytest.raises(RemoteFault) as error:
        decode(codec.pack(value))
    assert error.value.code == "wire/record"


@pytest.mark.parametrize(
    "value",
    [None, (), 1, "text", (True, 1), (0, 1), (99, AGENT, 1, NODE, 7), (-1,), Map()],
    ids=str,
)
def test_what_is_no_record_is_refused(value: object) -> None:
    refused(value)


@pytest.mark.parametrize("record", RECORDS, ids=KINDS)
def test_a_field_too_few_or_too_many_is_refused(record: Record) -> None:
    array = fields(record)
    refused(array[:-1])
    refused((*array, 0))


@pytest.mark.parametrize("record", RECORDS, ids=KINDS)
def test_no_field_takes_a_value_of_another_type(record: Record) -> None:
    array = fields(record)
    for position in range(1, len(array)):
        for strange in (None, True, 1.5, -1, 1 << 129, b"x" * 33, List([1]), ((1, 2, 3, 4),)):
            refused((*array[:position], strange, *array[position + 1 :]))


def test_lists_and_texts_of_a_record_are_bounded() -> None:
    refused((4, AGENT, 1, "node", 7))
    refused((2, AGENT, 1, NODE, 7, "x" * (TEXT_BYTES_MAX + 1), ""))
    refused((5, AGENT, 1, NODE, 7, ((NODE, 1, 7),) * (TAKEN_MAX + 1)))
    refused((6, AGENT, 1, NODE, 7, "", "", ((1, 1),) * (REFUSED_MAX + 1), (0, 0)))
