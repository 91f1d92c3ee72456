"""One token, one encoding; whatever is not it is refused, also under a valid signature."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capabilities.caveats import Caveats, Resource, Rights, Verb, decode_caveats, encode_caveats
from capabilities.errors import CapabilityError, KeyInvalid, TokenInvalid
from capabilities.keys import PrivateKey, PublicKey
from capabilities.limits import BLOCKS_MAX, TOKEN_BYTES_MAX
from capabilities.tokens import Block, Token, agent_id, mint
from capabilities.verify import BlockCache, verify

ROOT, FIRST, SECOND, THIRD = (PrivateKey(bytes([n]) * 32) for n in range(1, 5))
ROOTS = {ROOT.public}
RIGHTS = (Rights(Verb.READ | Verb.APPEND, "alpha/**"),)
CAVEATS = Caveats(exp=1000, rights=RIGHTS)
NONCE = b"8 bytes."


def chain() -> Token:
    token = mint(ROOT, FIRST.public, CAVEATS, nonce=NONCE)
    token = token.append(FIRST, SECOND.public, Caveats(hops=3), nonce=NONCE)
    return token.append(SECOND, THIRD.public, Caveats(note="last"), nonce=NONCE)


def check(data: bytes, presenter: PublicKey = THIRD.public) -> None:
    verify(data, roots=ROOTS, presenter=presenter)


def signed(body: bytes) -> bytes:
    """Return a token of one block whose signature over `body`, whatever it is, is right."""
    identity = hashlib.sha256(b"yin/1/blk\0" + ROOT.public.bytes + body).digest()
    signature = ROOT.sign(b"yin/1/sig\0" + identity)
    packed = msgpack.packb([1, ROOT.public.bytes, [[body, signature]], [2]])
    assert isinstance(packed, bytes)
    return packed


def body_of(caveats: bytes, *, key: bytes = b"\xc4\x20" + THIRD.public.bytes) -> bytes:
    return b"\x93" + key + b"\xc4\x08" + NONCE + caveats


# {1: 1000, 3: [[3, "alpha/**"]]}
GOOD = b"\x82\x01\xcd\x03\xe8\x03\x91\x92\x03\xa8alpha/**"


def test_the_handmade_body_is_what_the_encoder_makes() -> None:
    data = signed(body_of(GOOD))
    check(data)
    assert data == mint(ROOT, THIRD.public, CAVEATS, nonce=NONCE).to_bytes()


NOT_CANONICAL = {
    "uint32 for 1000": GOOD.replace(b"\xcd\x03\xe8", b"\xce\x00\x00\x03\xe8"),
    "uint64 for 1000": GOOD.replace(b"\xcd\x03\xe8", b"\xcf\x00\x00\x00\x00\x00\x00\x03\xe8"),
    "int16 for 1000": GOOD.replace(b"\xcd\x03\xe8", b"\xd1\x03\xe8"),
    "uint8 for the caveat number": GOOD.replace(b"\x82\x01", b"\x82\xcc\x01"),
    "float for exp": GOOD.replace(b"\xcd\x03\xe8", b"\xca\x44\x7a\x00\x00"),
    "map16": b"\xde\x00\x02" + GOOD[1:],
    "map32": b"\xdf\x00\x00\x00\x02" + GOOD[1:],
    "array16": GOOD.replace(b"\x03\x91", b"\x03\xdc\x00\x01"),
    "str8": GOOD.replace(b"\xa8alpha", b"\xd9\x08alpha"),
    "bytes for the pattern": GOOD.replace(b"\xa8alpha", b"\xc4\x08alpha"),
    "keys descending": b"\x82\x03\x91\x92\x03\xa8alpha/**\x01\xcd\x03\xe8",
    "a key twice": b"\x83\x01\xcd\x03\xe8" + GOOD[1:],
    "bytes after the end": GOOD + b"\x00",
    "true for a mask": GOOD.replace(b"\x92\x03", b"\x92\xc3"),
    "nil for exp": GOOD.replace(b"\xcd\x03\xe8", b"\xc0"),
    "negative exp": GOOD.replace(b"\xcd\x03\xe8", b"\xff"),
    "ext": GOOD.replace(b"\xcd\x03\xe8", b"\xd4\x01\x00"),
    "timestamp": GOOD.replace(b"\xcd\x03\xe8", b"\xd6\xff\x00\x00\x00\x01"),
    "list as a key": b"\x83\x90\x00" + GOOD[1:],
    "true for caveat 1": GOOD.replace(b"\x82\x01", b"\x82\xc3"),
    "text that is not UTF-8": GOOD.replace(b"alpha", b"alph\xff"),
    "unknown caveat": b"\x83" + GOOD[1:] + b"\x0f\x01",
    "unknown verb": GOOD.replace(b"\x92\x03", b"\x92\xce\x00\x01\x00\x00"),
    "no verb": GOOD.replace(b"\x92\x03", b"\x92\x00"),
    "no exp": b"\x81" + GOOD[5:],
    "no rights": GOOD[:5].replace(b"\x82", b"\x81"),
    "hops over 255": b"\x83" + GOOD[1:] + b"\x07\xcd\x01\x00",
    "empty segment": GOOD.replace(b"alpha/**", b"alpha//*"),
    "** before the end": GOOD.replace(b"alpha/**", b"**/alpha"),
    "unknown resource": b"\x83" + GOOD[1:] + b"\x09\x81\x06\x01",
    "keys of at descending": b"\x83"
    + GOOD[1:]
    + b"\x04\x92"
    + b"".join(
        b"\xc4\x20" + k for k in sorted((FIRST.public.bytes, SECOND.public.bytes), reverse=True)
    ),
    "small-order key in at": b"\x83" + GOOD[1:] + b"\x04\x91\xc4\x20" + b"\x01" + bytes(31),
    "small-order key in via": b"\x83" + GOOD[1:] + b"\x06\x91\xc4\x20" + bytes(32),
}


@pytest.mark.parametrize("variant", NOT_CANONICAL)
def test_a_body_in_another_encoding_is_refused_under_a_valid_signature(variant: str) -> None:
    assert NOT_CANONICAL[variant] != GOOD
    with pytest.raises(TokenInvalid):
        check(signed(body_of(NOT_CANONICAL[variant])))


@pytest.mark.parametrize("key", [b"\x01" + bytes(31), bytes(32), b"\xed" + b"\xff" * 30 + b"\x7f"])
def test_a_holder_of_small_order_is_refused_under_a_valid_signature(key: bytes) -> None:
    with pytest.raises(TokenInvalid, match=r"order|canonical"):
        check(signed(body_of(GOOD, key=b"\xc4\x20" + key)))


ENVELOPES: dict[str, Callable[[bytes], bytes]] = {
    "version 2": lambda data: data.replace(b"\x94\x01", b"\x94\x02", 1),
    "version as uint8": lambda data: data.replace(b"\x94\x01", b"\x94\xcc\x01", 1),
    "version true": lambda data: data.replace(b"\x94\x01", b"\x94\xc3", 1),
    "array16 around": lambda data: b"\xdc\x00\x04" + data[1:],
    "root of small order": lambda data: data.replace(ROOT.public.bytes, b"\x01" + bytes(31), 1),
    "unknown proof": lambda data: data[:-1] + b"\x04",
    "no proof": lambda data: data[:-2] + b"\x90",
    "channel proof with more": lambda data: data[:-2] + b"\x92\x02\x00",
    "proof true": lambda data: data[:-1] + b"\xc3",
    "no blocks": lambda data: data[: 2 + 34] + b"\x90\x91\x02",
    "too long": lambda data: data + bytes(TOKEN_BYTES_MAX),
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("variant", ENVELOPES)
def test_another_envelope_is_refused(variant: str) -> None:
    data = chain().to_bytes()
    check(data)
    with pytest.raises(TokenInvalid):
        check(ENVELOPES[variant](data))


def test_every_flipped_bit_is_refused() -> None:
    data = chain().to_bytes()
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(TokenInvalid):
            check(bytes(changed))


def test_every_truncation_and_every_further_byte_is_refused() -> None:
    data = chain().to_bytes()
    for size in range(len(data)):
        with pytest.raises(TokenInvalid):
            check(data[:size])
    for byte in range(256):
        with pytest.raises(TokenInvalid):
            check(data + bytes([byte]))


def parts(token: Token) -> list[list[bytes]]:
    return [[block.body, block.signature] for block in token.signed]


def rebuilt(blocks: list[list[bytes]]) -> bytes:
    packed = msgpack.packb([1, ROOT.public.bytes, blocks, [2]])
    assert isinstance(packed, bytes)
    return packed


@pytest.mark.parametrize(
    "order", [[1, 2], [0, 2], [0, 2, 1], [1, 0, 2], [0, 1, 1, 2], [2], [0, 1, 2, 2]]
)
def test_blocks_removed_reordered_or_repeated_are_refused(order: list[int]) -> None:
    blocks = parts(chain())
    with pytest.raises(TokenInvalid):
        check(rebuilt([blocks[index] for index in order]))


def test_a_block_of_another_chain_is_refused() -> None:
    mine = parts(chain())
    other = mint(ROOT, FIRST.public, Caveats(exp=9999, rights=RIGHTS), nonce=NONCE)
    with pytest.raises(TokenInvalid, match="block 1"):
        check(rebuilt(parts(other) + mine[1:]))


def test_a_block_cut_off_leaves_a_token_that_its_new_last_holder_alone_can_present() -> None:
    blocks = parts(chain())[:2]
    verify(rebuilt(blocks), roots=ROOTS, presenter=SECOND.public)
    with pytest.raises(TokenInvalid, match="another key"):
        check(rebuilt(blocks))


def test_a_tampered_block_is_named() -> None:
    blocks = parts(chain())
    blocks[2][0] = blocks[2][0].replace(b"last", b"list")
    with pytest.raises(TokenInvalid) as caught:
        check(rebuilt(blocks))
    assert caught.value.block == 2


def test_a_checked_prefix_does_not_lend_its_signature_to_other_blocks() -> None:
    cache = BlockCache()
    data = chain().to_bytes()
    verify(data, roots=ROOTS, presenter=THIRD.public, cache=cache)
    blocks = parts(chain())
    forged = chain().append(THIRD, FIRST.public, Caveats(), nonce=NONCE)
    for bad in (
        [*blocks, [forged.signed[3].body, blocks[2][1]]],
        [blocks[0], blocks[2]],
        [[blocks[0][0].replace(b"alpha", b"gamma"), blocks[0][1]], *blocks[1:]],
    ):
        with pytest.raises(TokenInvalid):
            verify(rebuilt(bad), roots=ROOTS, presenter=FIRST.public, cache=cache)
    with pytest.raises(TokenInvalid, match="not trusted"):
        verify(data, roots=set(), presenter=THIRD.public, cache=cache)


def test_a_signature_made_for_another_purpose_is_refused() -> None:
    token = mint(ROOT, FIRST.public, CAVEATS, nonce=NONCE)
    tip = token.ids[0]
    for domain in (b"", b"yin/1/blk\0", b"yin/1/pop\0", b"yin/1/seal\0", b"yin/1/rev\0"):
        blocks = [[token.signed[0].body, ROOT.sign(domain + tip)]]
        with pytest.raises(TokenInvalid, match="signature"):
            verify(rebuilt(blocks), roots=ROOTS, presenter=FIRST.public)


def test_a_chain_may_have_64_blocks_and_not_65() -> None:
    token = mint(ROOT, FIRST.public, CAVEATS, nonce=NONCE)
    for _ in range(BLOCKS_MAX - 1):
        token = token.append(FIRST, FIRST.public, Caveats(), nonce=NONCE)
    verify(token.to_bytes(), roots=ROOTS, presenter=FIRST.public)
    with pytest.raises(TokenInvalid, match="at most 64"):
        token.append(FIRST, FIRST.public, Caveats())
    body = parts(token)
    with pytest.raises(TokenInvalid, match="64"):
        verify(rebuilt([*body, body[-1]]), roots=ROOTS, presenter=FIRST.public)


def test_a_block_needs_the_key_of_the_one_before() -> None:
    with pytest.raises(KeyInvalid):
        chain().append(SECOND, FIRST.public, Caveats())


def test_a_first_block_without_end_or_rights_is_not_minted() -> None:
    for caveats in (Caveats(), Caveats(exp=1), Caveats(rights=RIGHTS)):
        with pytest.raises(TokenInvalid, match="exp"):
            mint(ROOT, FIRST.public, caveats)


def test_text_has_one_form() -> None:
    text = chain().to_text()
    assert Token.from_text(text).to_text() == text
    for bad in (
        "",
        text[5:],
        "yin2." + text[5:],
        text + "=",
        text + "\n",
        text[:9] + "*" + text[9:],
    ):
        with pytest.raises(TokenInvalid):
            Token.from_text(bad)


def test_a_secret_is_in_no_representation() -> None:
    token = mint(ROOT, FIRST.public, CAVEATS).with_secret(FIRST)
    assert FIRST.seed.hex() not in repr(token)
    assert repr(FIRST.seed) not in repr(token)


def test_an_agents_id_depends_on_everything_about_its_start() -> None:
    starts = [
        (FIRST.public, b"c" * 32, b"n" * 16, SECOND.public),
        (SECOND.public, b"c" * 32, b"n" * 16, SECOND.public),
        (FIRST.public, b"d" * 32, b"n" * 16, SECOND.public),
        (FIRST.public, b"c" * 32, b"m" * 16, SECOND.public),
        (FIRST.public, b"c" * 32, b"n" * 16, THIRD.public),
    ]
    assert len({agent_id(*start) for start in starts}) == len(starts)


KEYS = st.sampled_from([key.public for key in (ROOT, FIRST, SECOND, THIRD)])
UINT = st.integers(0, 2**64 - 1)
PATTERNS = st.sampled_from(["**", "alpha/*", "*/stdlib", "alpha/a/**", "beta"])
ALL_CAVEATS = st.builds(
    Caveats,
    exp=st.none() | UINT,
    nbf=st.none() | UINT,
    rights=st.none()
    | st.lists(st.builds(Rights, st.integers(1, 1023).map(Verb), PATTERNS), max_size=4).map(tuple),
    at=st.none() | st.frozensets(KEYS),
    agent=st.none() | st.binary(min_size=32, max_size=32),
    via=st.none() | st.frozensets(KEYS),
    hops=st.none() | st.integers(0, 255),
    depth=st.none() | st.integers(0, 255),
    budget=st.none() | st.dictionaries(st.sampled_from(Resource), UINT, min_size=1),
    attrs=st.none() | st.just(("person/*", "!person/secret")),
    revage=st.none() | UINT,
    note=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    state=st.none() | st.binary(min_size=32, max_size=32),
    epoch=st.none() | UINT,
    account=st.none() | KEYS,
)


@given(ALL_CAVEATS)
@settings(max_examples=50)
def test_caveats_come_back_as_they_went(caveats: Caveats) -> None:
    assert decode_caveats(encode_caveats(caveats)) == caveats


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_any_bytes_are_a_token_or_refused(data: bytes) -> None:
    with pytest.raises(CapabilityError):
        check(data)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 20), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=100)
def test_any_signed_caveats_are_read_or_refused(value: object) -> None:
    packed = msgpack.packb(value)
    assert isinstance(packed, bytes)
    try:
        check(signed(body_of(packed)))
    except TokenInvalid:
        return
    assert isinstance(value, dict)


def test_a_known_block_with_another_signature_is_refused() -> None:
    cache = BlockCache()
    token = chain()
    verify(token.to_bytes(), roots=ROOTS, presenter=THIRD.public, cache=cache)
    forged = (token.signed[0], token.signed[1]._replace(signature=bytes(64)), token.signed[2])
    data = replace(token, signed=forged).to_bytes()
    with pytest.raises(TokenInvalid, match="block 1: the signature is wrong"):
        verify(data, roots=ROOTS, presenter=THIRD.public, cache=cache)


def beginning(cache: BlockCache, token: Token) -> tuple[Block, ...]:
    """Return the blocks of a token that a cache knows."""
    found = cache.beginning(token.to_bytes())
    return () if found is None else found[0].blocks


def test_a_known_beginning_is_known_by_every_byte() -> None:
    cache = BlockCache()
    verify(chain().to_bytes(), roots=ROOTS, presenter=THIRD.public, cache=cache)
    longer = chain().append(THIRD, FIRST.public, Caveats(), nonce=NONCE)
    assert beginning(cache, longer) == chain().blocks
    blocks = parts(longer)
    wider = [blocks[0][0].replace(b"alpha", b"gamma"), blocks[0][1]]
    with pytest.raises(TokenInvalid, match="block 0: the signature is wrong"):
        verify(rebuilt([wider, *blocks[1:]]), roots=ROOTS, presenter=FIRST.public, cache=cache)
    assert verify(longer.to_bytes(), roots=ROOTS, presenter=FIRST.public, cache=cache) == verify(
        longer.to_bytes(), roots=ROOTS, presenter=FIRST.public
    )


def known_and_longer() -> tuple[BlockCache, bytes]:
    """Return a cache that knows the chain, and a token that goes on from there."""
    cache = BlockCache()
    verify(chain().to_bytes(), roots=ROOTS, presenter=THIRD.public, cache=cache)
    return cache, chain().append(THIRD, FIRST.public, Caveats(), nonce=NONCE).to_bytes()


def refused(data: bytes, cache: BlockCache | None = None) -> str:
    with pytest.raises(TokenInvalid) as refusal:
        verify(data, roots=ROOTS, presenter=FIRST.public, cache=cache)
    return refusal.value.code


COUNT = 4 + 32  # where the encoding says how many blocks there are
LONGER: dict[str, Callable[[bytes], bytes]] = {
    "a long count": lambda data: data[:COUNT] + b"\xdc\x00\x04" + data[COUNT + 1 :],
    "a longer count": lambda data: data[:COUNT] + b"\xdd\x00\x00\x00\x04" + data[COUNT + 1 :],
    "one block more": lambda data: data[:COUNT] + b"\x95" + data[COUNT + 1 :],
    "one block less": lambda data: data[:COUNT] + b"\x93" + data[COUNT + 1 :],
    "two blocks less": lambda data: data[:COUNT] + b"\x92" + data[COUNT + 1 :],
    "no list": lambda data: data[:COUNT] + b"\x84" + data[COUNT + 1 :],
    "bytes after the end": lambda data: data + b"\x00",
    "cut off": lambda data: data[:-1],
    "the beginning alone": lambda data: data[: data.rindex(b"\xc4\x40")],
}


@pytest.mark.parametrize("variant", [*ENVELOPES, *LONGER])
def test_what_is_around_a_known_beginning_is_not_taken_for_granted(variant: str) -> None:
    cache, longer = known_and_longer()
    data = (ENVELOPES | LONGER)[variant](longer)
    assert refused(data, cache) == refused(data)


def test_no_bit_of_a_token_with_a_known_beginning_can_be_changed() -> None:
    cache, longer = known_and_longer()
    for bit in range(8 * len(longer)):
        changed = bytearray(longer)
        changed[bit // 8] ^= 1 << bit % 8
        refused(bytes(changed), cache)
    verify(longer, roots=ROOTS, presenter=FIRST.public, cache=cache)


def test_a_known_beginning_makes_no_room_for_more_blocks() -> None:
    token, cache = mint(ROOT, FIRST.public, CAVEATS, nonce=NONCE), BlockCache()
    while len(token.blocks) < BLOCKS_MAX:
        token = token.append(FIRST, FIRST.public, Caveats(), nonce=NONCE)
    verify(token.to_bytes(), roots=ROOTS, presenter=FIRST.public, cache=cache)
    data = rebuilt([*parts(token), parts(token)[-1]])
    assert refused(data, cache) == refused(data)


def test_a_beginning_is_known_however_the_number_of_blocks_is_written() -> None:
    cache, token = BlockCache(), chain()
    for size in range(3, 20):  # from 16 on the number takes two bytes more
        assert len(token.blocks) == size
        cache.add_token(token.to_bytes(), token)
        longer = token.append(THIRD, THIRD.public, Caveats(epoch=size), nonce=NONCE)
        assert beginning(cache, longer) == token.blocks
        token = longer


def test_a_longer_token_is_encoded_like_any_other() -> None:
    token = chain()
    for size in range(4, 20):
        token = token.append(THIRD, THIRD.public, Caveats(epoch=size), nonce=NONCE)
        assert token.to_bytes() == rebuilt(parts(token))
    proven = token.prove(THIRD, FIRST.public, b"challenge")
    bearer = token.with_secret(THIRD)
    for one in (proven, bearer):
        longer = one.append(THIRD, FIRST.public, Caveats(), nonce=NONCE)
        assert longer.to_bytes() == rebuilt(parts(longer))


def test_of_a_token_that_went_on_further_the_longest_beginning_is_known() -> None:
    cache, token = BlockCache(), chain()
    cache.add_token(token.to_bytes(), token)
    longer = token.append(THIRD, FIRST.public, Caveats(), nonce=NONCE)
    longest = longer.append(FIRST, SECOND.public, Caveats(), nonce=NONCE)
    assert beginning(cache, longest) == token.blocks
    cache.add_token(longer.to_bytes(), longer)
    assert beginning(cache, longest) == longer.blocks


def test_a_block_on_a_known_beginning_has_to_be_signed_by_its_holder() -> None:
    cache = BlockCache()
    verify(chain().to_bytes(), roots=ROOTS, presenter=THIRD.public, cache=cache)
    blocks = parts(chain().append(THIRD, FIRST.public, Caveats(), nonce=NONCE))
    blocks[3][1] = bytes(64)
    with pytest.raises(TokenInvalid, match="block 3: the signature is wrong"):
        verify(rebuilt(blocks), roots=ROOTS, presenter=FIRST.public, cache=cache)


def test_what_a_node_signed_itself_it_knows() -> None:
    cache = BlockCache()
    verify(chain().to_bytes(), roots=ROOTS, presenter=THIRD.public, cache=cache)
    whole = cache.token(chain().to_bytes())
    assert whole == chain()
    handed = chain().append(THIRD, FIRST.public, Caveats(), nonce=NONCE)
    cache.add_signed(handed, handed.to_bytes())
    back = handed.append(FIRST, THIRD.public, Caveats(), nonce=NONCE)
    assert beginning(cache, back) == handed.blocks
    assert cache.token(handed.with_secret(FIRST).to_bytes()) is None, "secrets are not kept"


def test_tokens_that_are_pushed_out_are_not_known_any_more() -> None:
    cache = BlockCache(tokens_max=1)
    token = mint(ROOT, FIRST.public, CAVEATS, nonce=NONCE)
    verify(token.to_bytes(), roots=ROOTS, presenter=FIRST.public, cache=cache)
    verify(chain().to_bytes(), roots=ROOTS, presenter=THIRD.public, cache=cache)
    longer = token.append(FIRST, SECOND.public, Caveats(), nonce=NONCE)
    assert cache.token(token.to_bytes()) is None
    assert beginning(cache, longer) == ()
