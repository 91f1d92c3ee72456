"""EDN: what is written reads back as it was, what cannot be read says where."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from colliding import ALIKE, alike, walking
from hypothesis import given
from hypothesis import strategies as st
from values import ATOMS, VALUES

from datomstore import codec, edn
from datomstore.errors import DatomstoreError
from datomstore.intern import intern_many, values_of
from datomstore.value import List, equal

ORDERED = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3).flatmap(
        lambda items: st.sampled_from((tuple(items), List(items)))
    ),
)


@given(VALUES)
def test_a_written_value_reads_back_as_it_was(value: object) -> None:
    assert equal(edn.read(edn.write(value)), value)


@given(VALUES)
def test_bytes_of_a_value_read_back_as_it_was(value: object) -> None:
    data = codec.pack(value)
    assert equal(codec.unpack(data), value)
    assert codec.pack(codec.unpack(data)) == data


@given(st.lists(ORDERED, min_size=1, max_size=8))
def test_an_interned_value_comes_back_as_it_was_written(values: list[object]) -> None:
    texts = [edn.write(value) for value in values]
    assert [edn.write(value) for value in values_of(intern_many(values))] == texts


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        value = codec.unpack(data)
    except DatomstoreError:
        return
    assert codec.pack(value) == data


@given(st.floats(allow_nan=False))
def test_a_double_keeps_its_value(value: float) -> None:
    text = edn.write(value)
    assert edn.read(text) == value
    assert math.copysign(1, edn.read(text)) == math.copysign(1, value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (9999999999.5, "9.9999999995E9"),
        (1e10, "1.0E10"),
        (0.001, "0.001"),
        (1e-4, "1.0E-4"),
        (5e-324, "4.9E-324"),
        (-0.0, "-0.0"),
        (math.inf, "##Inf"),
        (-math.inf, "##-Inf"),
    ],
)
def test_doubles_are_written_as_clojure_writes_them(value: float, text: str) -> None:
    assert edn.write(value) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1 2", "1:1: '[' is not closed"),
        ("[1\n  2)]", "2:4"),
        ("{:a}", "1:1"),
        ('"abc', "1:1"),
        ("#foo 1", "1:1"),
        ("1 2", "2 forms where one is expected"),
        ("", "1:1"),
        ("#{1 1}", "1:"),
        ("{:a 1 :a 2}", "1:"),
        ("[" * 5000, "nested"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, said: str) -> None:
    with pytest.raises(edn.EdnError) as raised:
        edn.read(text)
    assert said in str(raised.value)


@pytest.mark.parametrize("kind", [kind for kind in ALIKE if kind != "maps"])
def test_text_whose_keys_collide_is_refused(kind: str) -> None:
    keys = [edn.write(key) for key in alike(kind, 100)]
    for text in (f"#{{{' '.join(keys)}}}", f"{{{' nil '.join(keys)} nil}}"):
        with pytest.raises(edn.EdnError, match="made to collide"):
            edn.read(text)


def test_text_whose_keys_lead_each_other_on_is_refused() -> None:
    with pytest.raises(edn.EdnError, match="made to collide"):
        edn.read(f"#{{{' '.join(map(str, walking()))}}}")


def test_a_ratio_in_a_text_is_no_longer_than_one_in_bytes() -> None:
    large = (1 << 8192) - 1
    assert edn.read(f"{large}/2") == Fraction(large, 2)
    for text in (f"{large + 2}/2", f"1/{large + 2}"):
        with pytest.raises(edn.EdnError, match="a ratio of more than 1024 bytes"):
            edn.read(text)


@pytest.mark.parametrize("sign", [1, -1], ids=["positive", "negative"])
def test_an_integer_of_thousands_of_digits_is_written_in_base_16(sign: int) -> None:
    long = sign * 10**6_000
    assert edn.write((long, 1)) == f"[{long:#x} 1]"
    assert edn.write(Fraction(long, 3)) == f"{long:#x}/3"
