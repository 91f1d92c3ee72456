"""Values of a peer: any bytes are a value or a RemoteFault, and cost no more than they may."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from fractions import Fraction
from uuid import UUID

import msgpack
import plain_codec
import pytest
from colliding import ALIKE, alike, walking
from hypothesis import example, given
from hypothesis import strategies as st
from values import collections_of

from datomstore.codec import CodecError, check_keys, unpack_trusted
from datomstore.decimals import decimal_of
from datomstore.value import Char, Keyword, List, Map, Set, Symbol, equal
from protocol.codec import check_node_count, pack, unpack
from protocol.errors import LocalFault, RemoteFault
from protocol.limits import MESSAGE_BYTES_MAX, VALUE_NODES_MAX

names = st.sampled_from(["a", "b/c", "db/ident"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.binary(max_size=8),
    names.map(Keyword),
    names.map(Symbol),
    st.characters(codec="utf-8").map(Char),
    st.builds(decimal_of, st.integers(-(1 << 70), 1 << 70), st.integers(-30, 30)),
    st.fractions().filter(lambda ratio: ratio.denominator != 1),
    st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
)
values = collections_of(scalars)


@given(values)
def test_a_value_is_the_same_after_its_bytes(value: object) -> None:
    back = unpack(pack(value))
    assert equal(back, value)
    assert type(back) is type(value)
    assert pack(back) == pack(value)


@given(st.lists(st.tuples(scalars, scalars), max_size=6), st.randoms())
def test_the_order_of_making_a_map_or_a_set_does_not_show(
    pairs: list[tuple[object, object]], random: object
) -> None:
    one = Map(pairs)
    other = Map(sorted(one.items(), key=lambda pair: repr(pair), reverse=True))
    assert pack(one) == pack(other)
    assert pack(Set(one)) == pack(Set(reversed(list(one))))


@given(st.binary(max_size=64))
@example(b"")
@example(b"\xc1")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\x91" * 64)
@example(b"\xc7\x05\x05\x00")
def test_any_bytes_are_a_value_with_just_these_bytes_or_a_fault(data: bytes) -> None:
    with suppress(RemoteFault):
        assert pack(unpack(data)) == data


@given(values, st.data())
def test_damaged_bytes_are_a_value_or_a_fault(value: object, data: st.DataObject) -> None:
    good = bytearray(pack(value))
    position = data.draw(st.integers(0, len(good) - 1))
    good[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RemoteFault):
        assert pack(unpack(bytes(good))) == bytes(good)


@given(values)
def test_the_bytes_are_those_that_the_library_makes(value: object) -> None:
    assert pack(value) == plain_codec.pack(value)


@given(values, st.data())
def test_just_the_bytes_that_the_library_takes_are_taken(
    value: object, data: st.DataObject
) -> None:
    damaged = bytearray(pack(value))
    for _ in range(data.draw(st.integers(0, 2))):
        place = data.draw(st.integers(0, len(damaged)))
        damaged[place : place + data.draw(st.integers(0, 1))] = data.draw(st.binary(max_size=1))
    assert said_of(bytes(damaged), unpack, RemoteFault) == said_of(
        bytes(damaged), plain_codec.unpack, CodecError
    )


def said_of(data: bytes, read: Callable[[bytes], object], fault: type[Exception]) -> str:
    try:
        return repr(read(data))
    except fault:
        return "refused"


@pytest.mark.parametrize(
    "data",
    [
        b"\xcc\x01",  # 1, in two bytes
        b"\xd0\xff",  # -1, in two bytes
        b"\xd9\x01a",  # "a" with a long header
        b"\xc5\x00\x01a",
        b"\xdc\x00\x00",
        b"\xca\x00\x00\x00\x00",  # a single
        b"\x80",  # a map of msgpack's own
        b"\x81\x01\x02",
        b"\x01\x02",  # something follows
        b"\xd4\x01a\x00",
        msgpack.packb(msgpack.ExtType(6, b"\x02\x01")),  # a set out of order
        msgpack.packb(msgpack.ExtType(6, b"\x01\x01")),  # a set with a member twice
        msgpack.packb(msgpack.ExtType(5, b"\x02\x00\x01\x00")),
        msgpack.packb(msgpack.ExtType(5, b"\x01\x00\x01\x00")),
        msgpack.packb(msgpack.ExtType(5, b"\x01")),
        msgpack.packb(msgpack.ExtType(7, b"\x92\x02\x04")),  # 2/4
        msgpack.packb(msgpack.ExtType(8, b"\x01")),  # 1, as a big one
        msgpack.packb(msgpack.ExtType(99, b"")),
        b"\xa1\xff",  # not UTF-8
        b"\xd6\xff\x00\x00\x00\x01",  # an instant of msgpack's own
    ],
)
def test_bytes_that_pack_would_not_make_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteFault):
        unpack(data)


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, {1: 2}, "\ud800", 1 << (8 << 16)],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_value_has_no_bytes(value: object) -> None:
    with pytest.raises(LocalFault):
        pack(value)


def nested(depth: int) -> object:
    value: object = None
    for _ in range(depth):
        value = List([value])
    return value


def test_depth_is_bounded_in_both_directions() -> None:
    assert unpack(pack(nested(100))) == nested(100)
    with pytest.raises(LocalFault):
        pack(nested(101))
    data = b"\xc0"
    for _ in range(101):
        data = msgpack.packb(msgpack.ExtType(4, data))
    with pytest.raises(RemoteFault):
        unpack(data)


def test_vectors_and_lists_inside_each_other_do_not_end_the_process() -> None:
    value: object = None
    for _ in range(100):
        for _ in range(500):
            value = (value,)
        value = List([value])
    with pytest.raises(LocalFault):
        pack(value)
    data = b"\xc0"
    for _ in range(100):
        data = msgpack.packb(msgpack.ExtType(4, b"\x91" * 500 + data))
    with pytest.raises(RemoteFault):
        unpack(data)


def test_arrays_that_promise_more_than_there_is_cost_no_memory() -> None:
    size = 1 << 16
    data = (b"\xdd" + size.to_bytes(4, "big")) * 400 + b"\xc5\xff\xff" + bytes(size - 1)
    tracemalloc.start()
    try:
        with pytest.raises(RemoteFault):
            unpack(data)
        assert tracemalloc.get_traced_memory()[1] < 16 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [b"\x91" * 100_000 + b"\xc0", b"\x92" * 5_000])
def test_deep_arrays_neither_crash_nor_hang(data: bytes) -> None:
    with pytest.raises(RemoteFault):
        unpack(data)


def test_many_small_values_are_refused_before_they_cost_memory() -> None:
    bomb = b"\xdd" + (15 << 20).to_bytes(4, "big") + b"\x90" * (15 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(RemoteFault):
            check_node_count(bomb, 1_000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 16
    finally:
        tracemalloc.stop()
    with pytest.raises(RemoteFault) as refused:
        unpack(bomb)
    assert refused.value.code == "wire/value-size"


def test_bytes_longer_than_a_message_are_refused_unread() -> None:
    with pytest.raises(RemoteFault) as refused:
        unpack(b"\xc6" + MESSAGE_BYTES_MAX.to_bytes(4, "big") + bytes(MESSAGE_BYTES_MAX))
    assert refused.value.code == "wire/value-size"


def test_a_value_of_many_bytes_and_few_values_is_not_refused() -> None:
    big = (b"x" * (2 << 20), Map({"a": b"y" * 70_000}))
    assert unpack(pack(big)) == big


@given(values)
def test_the_count_of_nodes_is_never_below_the_number_of_values(value: object) -> None:
    count = count_of(value)
    data = pack(value)
    check_node_count(data, 4 * count + 4)
    if count > 1:
        with pytest.raises(RemoteFault):
            check_node_count(data, count - 1)


def count_of(value: object) -> int:
    if isinstance(value, Map):
        return 1 + sum(count_of(key) + count_of(item) for key, item in value.items())
    if isinstance(value, tuple | Set):
        return 1 + sum(map(count_of, value))
    return 1


@given(st.binary(max_size=64))
@example(b"\xc1")
@example(b"\x91\xc6\xff")
def test_counting_nodes_ends_for_any_bytes(data: bytes) -> None:
    with contextlib.suppress(RemoteFault):
        check_node_count(data, VALUE_NODES_MAX)


def in_a_set(members: list[object]) -> bytes:
    """Return the bytes of a set, in order, whatever a writer thinks of the members."""
    packed: bytes = msgpack.packb(msgpack.ExtType(6, b"".join(sorted(map(pack, members)))))
    return packed


def in_a_map(keys: list[object]) -> bytes:
    pairs = sorted(pack(key) + b"\xc0" for key in keys)
    packed: bytes = msgpack.packb(msgpack.ExtType(5, b"".join(pairs)))
    return packed


@pytest.mark.parametrize("kind", ALIKE)
@pytest.mark.parametrize("around", [in_a_set, in_a_map])
def test_keys_of_one_hash_are_refused_and_not_written(
    kind: str, around: Callable[[list[object]], bytes]
) -> None:
    keys = alike(kind, 100)
    data = around(keys)
    with pytest.raises(RemoteFault, match="made to collide") as refused:
        unpack(data)
    assert refused.value.code == "wire/value"
    with pytest.raises(LocalFault, match="made to collide"):
        pack(Set(keys) if around is in_a_set else Map(dict.fromkeys(keys)))


@pytest.mark.parametrize("around", [in_a_set, in_a_map])
def test_keys_that_lead_each_other_on_are_refused_though_their_hashes_differ(
    around: Callable[[list[object]], bytes],
) -> None:
    keys = walking()
    assert len(set(map(hash, keys))) == len(keys)
    with pytest.raises(RemoteFault, match="made to collide"):
        unpack(around(keys))
    with pytest.raises(LocalFault, match="made to collide"):
        pack(Set(reversed(keys)) if around is in_a_set else Map(dict.fromkeys(reversed(keys))))


def test_names_among_colliding_keys_do_not_hide_them() -> None:
    keys = [*map(Keyword, "abc"), *"abc", *alike("integers", 100)]
    for data in (in_a_set(keys), in_a_map(keys)):
        with pytest.raises(RemoteFault, match="made to collide"):
            unpack(data)


def test_what_this_process_kept_is_read_however_its_keys_collide() -> None:
    keys = alike("integers", 100)
    assert unpack_trusted(in_a_set(keys)) == Set(keys)
    assert unpack_trusted(in_a_map(keys)) == Map(dict.fromkeys(keys))


@pytest.mark.parametrize("shift", [0, 8, 20, 40, 50])
def test_numbers_that_share_their_low_bits_are_no_attack(shift: int) -> None:
    numbers = Set([k << shift for k in range(1 << min(12, 63 - shift))])
    assert unpack(pack(numbers)) == numbers


def test_few_keys_of_one_hash_are_no_attack() -> None:
    for few in (
        Set(alike("uuids", 8)),
        Set([1 << k for k in range(400)]),
        Set(map(Fraction, "123")),
    ):
        assert unpack(pack(few)) == few


@given(st.lists(st.integers(0, 40).map(lambda k: k * ((1 << 61) - 1)) | st.integers(), unique=True))
def test_just_the_sets_that_are_written_are_read(members: list[int]) -> None:
    data = in_a_set(list(members))
    assert said_of(data, unpack, RemoteFault) == said_of(data, plain_codec.unpack, CodecError)
    with suppress(LocalFault):
        assert pack(Set(members)) == data
        unpack(data)


@given(st.lists(st.integers(0, 3).map(lambda k: k << 20) | st.integers(0, 1 << 12), max_size=300))
@example(list(walking(9)))
def test_keys_are_counted_as_the_plain_codec_does(keys: list[object]) -> None:
    assert collides(check_keys, keys) == collides(plain_codec.check_keys, keys)


def collides(check: Callable[[list[object]], None], keys: list[object]) -> bool:
    try:
        check(keys)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("sign", [1, -1])
def test_a_ratio_is_bounded_above_and_below(sign: int) -> None:
    large = (1 << 8192) - 1
    assert unpack(pack(Fraction(sign * large, 2))) == Fraction(sign * large, 2)
    assert unpack(pack(Fraction(sign, large))) == Fraction(sign, large)
    for numerator, denominator in [(sign * (large + 2), 2), (sign, large + 2)]:
        with pytest.raises(LocalFault, match="a ratio of more than 1024 bytes"):
            pack(Fraction(numerator, denominator))
        data = msgpack.packb(msgpack.ExtType(7, pack((numerator, denominator))))
        with pytest.raises(RemoteFault, match="a ratio of more than 1024 bytes") as refused:
            unpack(data)
        assert refused.value.code == "wire/value"
        assert unpack_trusted(data) == Fraction(numerator, denominator)


def test_values_of_every_kind_have_the_bytes_of_the_format() -> None:
    assert pack((None, True, 1, -1, 1.5, "a", b"b")) == bytes.fromhex(
        "97c0c301ffcb3ff8000000000000a161c40162"
    )
    assert pack(Keyword("a/b")) == b"\xc7\x03\x01a/b"
    assert pack(Symbol("x")) == b"\xd4\x02x"
    assert pack(Char("x")) == b"\xd4\x03x"
    assert pack(List([1])) == b"\xd4\x04\x01"
    assert pack(Map({1: 2})) == b"\xd5\x05\x01\x02"
    assert pack(Set([2, 1])) == b"\xd5\x06\x01\x02"
    assert pack(Fraction(1, 2)) == b"\xc7\x03\x07\x92\x01\x02"
    assert pack(1 << 64) == b"\xc7\x09\x08\x01" + bytes(8)
    assert pack(datetime(1970, 1, 1, tzinfo=UTC)) == b"\xd7\x09" + bytes(8)
    assert pack(UUID(int=1)) == b"\xd8\x0a" + bytes(15) + b"\x01"
