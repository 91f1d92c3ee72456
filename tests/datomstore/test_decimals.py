"""Decimals: arithmetic against Python's own, text both ways, bytes, and as values of facts."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore import decimals, edn
from datomstore.codec import CodecError, pack, unpack
from datomstore.datalog import q
from datomstore.decimals import DecimalFault, decimal_of
from datomstore.errors import DatomstoreError
from datomstore.limits import DECIMAL_DIGITS_MAX
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Streams
from datomstore.value import Keyword, Map, equal, hash_key

DECIMALS = st.builds(decimal_of, st.integers(-(10**25), 10**25), st.integers(-25, 25))
WIDE = Context(prec=400)


@given(DECIMALS, DECIMALS)
def test_sums_and_products_are_those_of_python(a: Decimal, b: Decimal) -> None:
    with localcontext(WIDE):
        for ours, theirs in (
            (decimals.add(a, b), a + b),
            (decimals.subtract(a, b), a - b),
            (decimals.multiply(a, b), a * b),
        ):
            assert ours == theirs
            assert ours.as_tuple().exponent == theirs.as_tuple().exponent


@given(DECIMALS, DECIMALS.filter(bool))
def test_a_quotient_is_exact_or_has_no_end(a: Decimal, b: Decimal) -> None:
    exact = Fraction(a) / Fraction(b)
    left = exact.denominator
    for prime in (2, 5):
        while left % prime == 0:
            left //= prime
    if left == 1:
        assert Fraction(decimals.divide(a, b)) == exact
    else:
        with pytest.raises(DecimalFault, match="Non-terminating"):
            decimals.divide(a, b)


@given(DECIMALS, DECIMALS.filter(bool))
def test_quotient_and_remainder_make_the_dividend(a: Decimal, b: Decimal) -> None:
    quotient, remainder = decimals.quotient(a, b), decimals.remainder(a, b)
    assert quotient == int(Fraction(a) / Fraction(b))
    assert Fraction(quotient) * Fraction(b) + Fraction(remainder) == Fraction(a)


@given(
    DECIMALS,
    DECIMALS.filter(bool),
    st.integers(1, 30),
    st.sampled_from(sorted(decimals.MODES - {"UNNECESSARY"})),
)
def test_rounded_quotients_are_those_of_python(
    a: Decimal, b: Decimal, precision: int, mode: str
) -> None:
    with localcontext(Context(prec=precision, rounding=f"ROUND_{mode}")):
        assert decimals.divide_rounded(a, b, precision, mode) == a / b


@given(DECIMALS)
def test_text_and_bytes_keep_the_places(value: Decimal) -> None:
    for again in (edn.read(edn.write(value)), unpack(pack(value))):
        assert isinstance(again, Decimal)
        assert decimals.parts(again) == decimals.parts(value)


@given(DECIMALS, st.integers(0, 9))
def test_places_do_not_make_another_number(value: Decimal, more: int) -> None:
    unscaled, scale = decimals.parts(value)
    padded = decimal_of(unscaled * 10**more, scale + more)
    assert equal(value, padded)
    assert Map({value: 1})[padded] == 1
    assert hash_key(value) != hash_key(int(value))


def test_a_decimal_is_bounded() -> None:
    with pytest.raises(DecimalFault, match="more than 2000 digits"):
        decimal_of(10**DECIMAL_DIGITS_MAX, 0)
    for text in ("1e2001M", "1e-2001M", "1e999999999M", f"{'9' * 2001}M"):
        with pytest.raises(edn.EdnError):
            edn.read(text)
    with pytest.raises(CodecError):
        unpack(pack((1, 2)).replace(b"\x92", b"\xd6\x0b\x92"))


def test_facts_have_decimals_as_values() -> None:
    stream = Streams(MemoryStorage(), now_ms=lambda: 1_000).create("s")
    schema = "[{:db/ident :item/price :db/valueType :db.type/bigdec :db/index true}]"
    for text in (schema, "[{:item/price 1.50M} {:item/price 20M} {:item/price 0.1M}]"):
        items = edn.read(text)
        assert isinstance(items, tuple)
        stream.transact(items)
    database = stream.db()
    asked = edn.read("[:find ?p :where [_ :item/price ?p] [(< ?p 2)]]")
    assert edn.write(q(asked, database)) in ("#{[1.50M] [0.1M]}", "#{[0.1M] [1.50M]}")
    found = edn.read("[:find ?e . :in $ ?p :where [?e :item/price ?p]]")
    assert isinstance(q(found, database, edn.read("1.50M")), int)
    prices = [datom.v for datom in database.index_range(Keyword("item/price"))]
    assert [str(price) for price in prices] == ["0.1", "1.50", "20"]
    with pytest.raises(DatomstoreError):
        stream.transact((Map({Keyword("item/price"): 1.5}),))
