"""Tokens that must be refused, each with the code it is refused with, and some that must not: for every implementation.

Is:     the making of `tests/vectors/tokens.json`, from fixed keys; `python -m token_vectors` writes it.
Is not: the test (`tests/capabilities/test_vectors.py`).
Fits:   attacks are made by hand where the library would not make them: blocks whose bytes are signed as they are.

A vector: name; token in hex; given {roots, presenter, challenge, at, agent, now, verb, stream, attribute, cost, age,
revoked}, keys and bytes in hex; code, and block or null. Code is null where the request is allowed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

from capabilities.caveats import Caveats, Resource, Rights, Verb
from capabilities.keys import PrivateKey, PublicKey
from capabilities.limits import BLOCK_BYTES_MAX, BLOCKS_MAX, TOKEN_BYTES_MAX
from capabilities.revocation import Revocation
from capabilities.tokens import Token, mint

FILE = Path(__file__).parents[1] / "vectors" / "tokens.json"
NONCE = b"8 bytes."
ROOT, ALICE, BOB, NODE, OTHER, MALLORY = (PrivateKey(bytes([n]) * 32) for n in range(1, 7))
NOW, END = 1_800_000_000, 1_800_000_600
AGENT, VERIFIER_NONCE = hashlib.sha256(b"agent").digest(), b"n" * 32
RIGHTS = (Rights(Verb.READ | Verb.APPEND, "alpha/**"),)
BROAD = Caveats(exp=END, rights=RIGHTS)
SMALL_ORDER = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")


@dataclass(frozen=True)
class Vector:
    """One token, what is asked, and the answer."""

    name: str
    token: bytes
    code: str | None
    block: int | None = None
    given: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return the vector with what is usually given filled in."""
        given = {
            "roots": [ROOT.public.bytes.hex()],
            "presenter": NODE.public.bytes.hex(),
            "challenge": None,
            "at": NODE.public.bytes.hex(),
            "agent": AGENT.hex(),
            "now": NOW,
            "verb": "read",
            "stream": "alpha/orders",
            "attribute": None,
            "cost": {},
            "age": None,
            "revoked": [],
            **self.given,
        }
        return {
            "name": self.name,
            "token": self.token.hex(),
            "given": given,
            "code": self.code,
            "block": self.block,
        }


def chain(*narrower: Caveats, last: PublicKey = NODE.public) -> Token:
    """Return root -> Alice -> Bob -> the node, with these caveats after the first block's."""
    first, second = [*narrower, Caveats(), Caveats()][:2]
    token = mint(ROOT, ALICE.public, BROAD, nonce=NONCE)
    token = token.append(ALICE, BOB.public, first, nonce=NONCE)
    return token.append(BOB, last, second, nonce=NONCE)


def pack(value: object) -> bytes:
    """Return plain msgpack."""
    data = msgpack.packb(value, use_bin_type=True)
    assert isinstance(data, bytes)
    return data


def signed(
    *bodies: bytes, signers: tuple[PrivateKey, ...] = (ROOT, ALICE, BOB)
) -> list[list[bytes]]:
    """Return blocks of any bytes, each rightly signed."""
    previous, blocks = ROOT.public.bytes, []
    for body, signer in zip(bodies, signers, strict=False):
        previous = hashlib.sha256(b"yin/1/blk\0" + previous + body).digest()
        blocks.append([body, signer.sign(b"yin/1/sig\0" + previous)])
    return blocks


def envelope(
    blocks: object, *, version: object = 1, root: object = ROOT.public.bytes, proof: object = (2,)
) -> bytes:
    """Return the bytes around blocks."""
    return pack([version, root, blocks, list(proof) if isinstance(proof, tuple) else proof])


def body(caveats: object, *, key: bytes = NODE.public.bytes, nonce: bytes = NONCE) -> bytes:
    """Return a block's body with any caveats."""
    return pack([key, nonce, caveats])


def one(caveats: object, **parts: Any) -> bytes:
    """Return a token of one rightly signed block."""
    return envelope(signed(body(caveats, **parts)))


FIRST: dict[object, object] = {1: END, 3: [[3, "alpha/**"]]}
RAW_FIRST = pack(FIRST)


def raw(caveats: bytes) -> bytes:
    """Return a token of one rightly signed block whose caveats are these bytes."""
    head = b"\x93" + pack(NODE.public.bytes) + pack(NONCE)
    return envelope(signed(head + caveats))


def spliced(token: Token, order: list[int]) -> bytes:
    """Return a token with blocks in another order, or fewer, or doubled."""
    return envelope([list(token.signed[place]) for place in order])


def bytes_attacks() -> Iterator[Vector]:
    """Yield what is no token's encoding."""
    good = chain().to_bytes()
    bad: list[tuple[str, bytes, str]] = [
        ("no bytes", b"", "encoding"),
        ("cut by one byte", good[:-1], "encoding"),
        ("cut in the middle", good[: len(good) // 2], "encoding"),
        ("one byte more", good + b"\0", "encoding"),
        ("a token twice", good + good, "encoding"),
        ("text instead of bytes", b"yin1.abc", "encoding"),
        ("a number", pack(7), "shape"),
        ("a map", pack({1: 2}), "shape"),
        ("three parts", pack([1, ROOT.public.bytes, []]), "shape"),
        ("five parts", pack([1, ROOT.public.bytes, [], [2], 0]), "shape"),
        ("longer than a token may be", b"\xc4" * (TOKEN_BYTES_MAX + 1), "too-long"),
        ("nested a hundred times", b"\x91" * 100 + b"\x90", "shape"),
        ("nested a thousand times", b"\x91" * 1_000 + b"\x90", "encoding"),
        ("nested sixteen thousand times", b"\x91" * 16_000 + b"\x90", "encoding"),
        ("a length of four thousand million", b"\xdd\xff\xff\xff\xff", "encoding"),
        ("version 0", envelope([list(b) for b in chain().signed], version=0), "version"),
        ("version 2", envelope([list(b) for b in chain().signed], version=2), "version"),
        ("version true", envelope([list(b) for b in chain().signed], version=True), "version"),
        ("the version in two bytes", b"\x94\xcc\x01" + good[2:], "encoding"),
        ("the parts counted in three bytes", b"\xdc\x00\x04" + good[1:], "encoding"),
        ("no block", envelope([]), "shape"),
        ("blocks that are a map", envelope({}), "shape"),
        ("a block without a signature", envelope([[body(FIRST)]]), "shape"),
        ("a signature of 63 bytes", envelope([[body(FIRST), b"s" * 63]]), "shape"),
        ("a block that is text", envelope([["body", b"s" * 64]]), "too-long"),
        (
            "a block that is too long",
            envelope([[b"b" * (BLOCK_BYTES_MAX + 1), b"s" * 64]]),
            "too-long",
        ),
        ("a root of 31 bytes", envelope([[body(FIRST), b"s" * 64]], root=b"r" * 31), "shape"),
        ("a root of small order", envelope(signed(body(FIRST)), root=SMALL_ORDER), "key"),
        ("a proof of no kind", envelope(signed(body(FIRST)), proof=()), "shape"),
        ("a proof of kind 4", envelope(signed(body(FIRST)), proof=(4,)), "shape"),
        ("a proof of kind true", envelope(signed(body(FIRST)), proof=(True,)), "shape"),
        (
            "a secret of kind false",
            envelope(signed(body(FIRST)), proof=(False, NODE.seed)),
            "shape",
        ),
        ("a channel with a secret", envelope(signed(body(FIRST)), proof=(2, b"s" * 32)), "shape"),
        ("a secret of 31 bytes", envelope(signed(body(FIRST)), proof=(0, b"s" * 31)), "shape"),
        ("a seal of 63 bytes", envelope(signed(body(FIRST)), proof=(3, b"s" * 63)), "shape"),
    ]
    for name, token, why in bad:
        yield Vector(name, token, f"token/bad-{why}")
    many = envelope([list(chain().signed[0])] * (BLOCKS_MAX + 1))
    yield Vector("more blocks than a token may have", many, "token/bad-shape")


def block_attacks() -> Iterator[Vector]:
    """Yield blocks that are rightly signed and say what no block may say."""
    end = b"\xce" + END.to_bytes(4, "big")
    bad: list[tuple[str, bytes, str]] = [
        (
            "an end in eight bytes",
            raw(RAW_FIRST.replace(end, b"\xcf" + END.to_bytes(8, "big"))),
            "encoding",
        ),
        ("caveats counted in three bytes", raw(b"\xde\x00\x02" + RAW_FIRST[1:]), "encoding"),
        ("caveats that do not ascend", raw(b"\x82" + RAW_FIRST[7:] + RAW_FIRST[1:7]), "encoding"),
        ("a caveat twice", raw(b"\x83" + RAW_FIRST[1:7] + RAW_FIRST[1:]), "encoding"),
        (
            "a pattern that is not UTF-8",
            raw(RAW_FIRST.replace(b"alpha", b"alp\xff\xff")),
            "encoding",
        ),
        ("a body with a byte more", envelope(signed(body(FIRST) + b"\0")), "encoding"),
        ("a body of two parts", envelope(signed(pack([NODE.public.bytes, NONCE]))), "shape"),
        ("a key of 33 bytes", one(FIRST, key=b"k" * 33), "shape"),
        ("a key of small order", one(FIRST, key=SMALL_ORDER), "key"),
        (
            "a key that is not canonical",
            one(FIRST, key=((1 << 255) - 18).to_bytes(32, "little")),
            "key",
        ),
        ("a nonce of 7 bytes", one(FIRST, nonce=b"7 bytes"), "shape"),
        ("caveats that are a list", one([1, END]), "shape"),
        ("a caveat nobody knows", one({**FIRST, 16: 1}), "caveat"),
        ("a caveat with a negative number", one({-1: 1, **FIRST}), "shape"),
        ("a caveat named by text", one({"exp": END}), "shape"),
        ("no end", one({3: [[3, "alpha/**"]]}), "caveat"),
        ("no rights", one({1: END}), "caveat"),
        ("an end that is text", one({**FIRST, 1: "never"}), "shape"),
        ("an end that is true", one({**FIRST, 1: True}), "shape"),
        ("an end that is a fraction", one({**FIRST, 1: 1.8e9}), "shape"),
        ("an end below zero", one({**FIRST, 1: -1}), "shape"),
        ("rights without a verb", one({**FIRST, 3: [[0, "**"]]}), "caveat"),
        ("a verb nobody knows", one({**FIRST, 3: [[1 << 40, "**"]]}), "shape"),
        ("a pattern with ** in the middle", one({**FIRST, 3: [[1, "**/orders"]]}), "caveat"),
        ("a pattern with an empty segment", one({**FIRST, 3: [[1, "alpha//x"]]}), "caveat"),
        ("a pattern that is too long", one({**FIRST, 3: [[1, "a" * 257]]}), "caveat"),
        ("33 rights", one({**FIRST, 3: [[1, "**"]] * 33}), "shape"),
        (
            "nodes that do not ascend",
            one({**FIRST, 4: sorted([NODE.public.bytes, OTHER.public.bytes])[::-1]}),
            "encoding",
        ),
        ("a node of small order", one({**FIRST, 4: [SMALL_ORDER]}), "key"),
        ("an agent of 31 bytes", one({**FIRST, 5: b"a" * 31}), "shape"),
        ("256 hops", one({**FIRST, 7: 256}), "shape"),
        ("a budget of nothing", one({**FIRST, 9: {}}), "caveat"),
        ("a budget of something nobody counts", one({**FIRST, 9: {6: 1}}), "shape"),
        ("a budget below zero", one({**FIRST, 9: {2: -1}}), "shape"),
        ("no attributes", one({**FIRST, 10: []}), "caveat"),
        ("an attribute pattern with a colon", one({**FIRST, 10: [":shop/price"]}), "caveat"),
        ("a note that is too long", one({**FIRST, 12: "x" * 129}), "caveat"),
        ("a note that is bytes", one({**FIRST, 12: b"x"}), "caveat"),
        ("a state of 31 bytes", one({**FIRST, 13: b"s" * 31}), "shape"),
        ("an epoch below zero", one({**FIRST, 14: -1}), "shape"),
        ("an epoch that is text", one({**FIRST, 14: "4"}), "shape"),
        ("an account of 31 bytes", one({**FIRST, 15: b"k" * 31}), "shape"),
        ("an account of small order", one({**FIRST, 15: SMALL_ORDER}), "key"),
        ("an account that is a list", one({**FIRST, 15: [NODE.public.bytes]}), "shape"),
        ("a holder whose key is text", one(FIRST, key="k" * 32), "shape"),
        ("a via with a key twice", one({**FIRST, 6: [NODE.public.bytes] * 2}), "encoding"),
        ("256 blocks of depth", one({**FIRST, 8: 256}), "shape"),
        ("65 attributes", one({**FIRST, 10: ["a"] * 65}), "shape"),
    ]
    for name, token, why in bad:
        yield Vector(name, token, f"token/bad-{why}", 0)


def chain_attacks() -> Iterator[Vector]:
    """Yield chains that were cut, spliced, forged or widened."""
    good, wide = chain(), chain(Caveats(exp=END + 9_999_999, rights=(Rights(Verb.READ, "**"),)))
    signature = "token/bad-signature"
    yield Vector("the first block left out", spliced(good, [1, 2]), signature, 0)
    yield Vector("the middle block left out", spliced(good, [0, 2]), signature, 1)
    yield Vector("two blocks swapped", spliced(good, [0, 2, 1]), signature, 1)
    yield Vector("the first block last", spliced(good, [1, 2, 0]), signature, 0)
    yield Vector("a block twice", spliced(good, [0, 1, 1, 2]), signature, 2)
    yield Vector("the last block twice", spliced(good, [0, 1, 2, 2]), signature, 3)
    yield Vector("the last block left out", spliced(good, [0, 1]), "token/bad-holder")
    own = mint(ROOT, NODE.public, BROAD, nonce=NONCE)
    own = own.append(NODE, NODE.public, Caveats(rights=()), nonce=NONCE)
    own = own.append(NODE, NODE.public, Caveats(note="last"), nonce=NONCE)
    left_out = spliced(own, [0, 2])
    yield Vector("a block left out between two of the same holder", left_out, signature, 1)
    other = mint(ROOT, ALICE.public, BROAD._replace(rights=(Rights(Verb.READ, "**"),)), nonce=NONCE)
    mixed = envelope([list(other.signed[0]), *map(list, good.signed[1:])])
    yield Vector("blocks of two tokens", mixed, signature, 1)
    forged = envelope(signed(body(FIRST), signers=(MALLORY,)))
    yield Vector("a first block signed by a stranger", forged, signature, 0)
    two = signed(body(FIRST, key=ALICE.public.bytes), body({}), signers=(ROOT, MALLORY))
    yield Vector("a second block signed by a stranger", envelope(two), signature, 1)
    two = signed(body(FIRST, key=ALICE.public.bytes), body({}), signers=(ROOT, ROOT))
    yield Vector("a second block signed by the root", envelope(two), signature, 1)
    stranger = mint(MALLORY, NODE.public, BROAD, nonce=NONCE).to_bytes()
    yield Vector("a root that nobody trusts", stranger, "token/bad-root")
    renamed = envelope([list(block) for block in good.signed], root=MALLORY.public.bytes)
    given = {"roots": [MALLORY.public.bytes.hex(), ROOT.public.bytes.hex()]}
    yield Vector("the root's name exchanged", renamed, signature, 0, given)
    for domain, name in (
        (b"", "nothing"),
        (b"yin/1/pop\0", "possession"),
        (b"yin/1/rev\0", "revocation"),
    ):
        text = body(FIRST)
        identity = hashlib.sha256(b"yin/1/blk\0" + ROOT.public.bytes + text).digest()
        data = envelope([[text, ROOT.sign(domain + identity)]])
        yield Vector(f"a signature made for {name}", data, signature, 0)
    zero = envelope([[body(FIRST), bytes(64)]])
    yield Vector("a signature of zeros", zero, signature, 0)
    yield Vector(
        "a later block that widens rights",
        wide.to_bytes(),
        "token/rights",
        0,
        {"stream": "beta/orders"},
    )
    yield Vector(
        "a later block that lives longer", wide.to_bytes(), "token/exp", 0, {"now": END + 1}
    )
    hops = chain(Caveats(hops=0))
    yield Vector("handed on more often than hops allow", hops.to_bytes(), "token/bad-hops", 1)
    yield Vector(
        "hops given back by a later block",
        chain(Caveats(hops=0), Caveats(hops=9)).to_bytes(),
        "token/bad-hops",
        1,
    )
    yield Vector(
        "extended more often than depth allows",
        chain(Caveats(depth=0)).to_bytes(),
        "token/bad-depth",
        1,
    )
    via = Caveats(via=frozenset({BOB.public}))
    yield Vector("held by a key that via does not name", chain(via).to_bytes(), "token/bad-via", 1)


def proof_attacks() -> Iterator[Vector]:
    """Yield tokens presented by those who do not hold them."""
    good, bound = chain(), chain(last=BOB.public)
    bearer = chain(last=MALLORY.public).with_secret(MALLORY)
    yield Vector(
        "presented by another key",
        good.to_bytes(),
        "token/bad-holder",
        given={"presenter": MALLORY.public.bytes.hex()},
    )
    yield Vector(
        "presented by nobody", good.to_bytes(), "token/bad-holder", given={"presenter": None}
    )
    false = envelope([list(b) for b in good.signed], proof=(0, MALLORY.seed))
    yield Vector("the secret of another key", false, "token/bad-secret")
    proved = bound.prove(BOB, NODE.public, VERIFIER_NONCE)
    asked = {"challenge": [NODE.public.bytes.hex(), VERIFIER_NONCE.hex()], "presenter": None}
    yield Vector(
        "a proof of possession not asked for",
        proved.to_bytes(),
        "token/bad-possession",
        given={"presenter": None},
    )
    again = {**asked, "challenge": [NODE.public.bytes.hex(), (b"m" * 32).hex()]}
    yield Vector(
        "a proof of possession shown again", proved.to_bytes(), "token/bad-possession", given=again
    )
    elsewhere = {**asked, "challenge": [OTHER.public.bytes.hex(), VERIFIER_NONCE.hex()]}
    yield Vector(
        "a proof of possession for another verifier",
        proved.to_bytes(),
        "token/bad-possession",
        given=elsewhere,
    )
    strange = envelope([list(b) for b in bound.signed], proof=(1, MALLORY.sign(b"x")))
    yield Vector(
        "a proof of possession by a stranger", strange, "token/bad-possession", given=asked
    )
    sealed = envelope(
        [list(b) for b in bound.signed], proof=(3, BOB.sign(b"yin/1/pop\0" + bound.ids[-1]))
    )
    yield Vector("a seal made for another purpose", sealed, "token/bad-seal")
    other = BOB.sign(b"yin/1/seal\0" + chain(Caveats(note="other"), last=BOB.public).ids[-1])
    moved = envelope([list(b) for b in bound.signed], proof=(3, other))
    yield Vector("the seal of another token", moved, "token/bad-seal")
    via = chain(Caveats(via=frozenset({BOB.public, MALLORY.public})), last=MALLORY.public)
    yield Vector(
        "sealed by a host that via names", via.seal(MALLORY).to_bytes(), "token/bad-via", 1
    )
    yield Vector(
        "made a bearer's by a host that via names",
        via.with_secret(MALLORY).to_bytes(),
        "token/bad-via",
        1,
    )
    yield Vector("good: proved", proved.to_bytes(), None, given=asked)
    yield Vector("good: sealed", bound.seal(BOB).to_bytes(), None, given={"presenter": None})
    yield Vector("good: a bearer's", bearer.to_bytes(), None, given={"presenter": None})


def request_attacks() -> Iterator[Vector]:
    """Yield good tokens that do not allow what is asked."""
    revoked = chain()

    def revocation(by: PrivateKey, block: int) -> str:
        return Revocation.sign(by, revoked, block).to_bytes().hex()

    cases: list[tuple[str, Caveats, str, dict[str, object]]] = [
        ("after its end", Caveats(exp=NOW - 1), "exp", {}),
        ("before its beginning", Caveats(nbf=NOW + 1), "nbf", {}),
        ("another stream", Caveats(rights=(Rights(Verb.READ, "alpha/people"),)), "rights", {}),
        ("another verb", Caveats(rights=(Rights(Verb.APPEND, "**"),)), "rights", {}),
        ("no right is left", Caveats(rights=()), "rights", {}),
        ("history with a right to read", Caveats(rights=(Rights(Verb.READ, "**"),)), "rights", {}),
        (
            "a name with an empty segment",
            Caveats(rights=(Rights(Verb.READ, "**"),)),
            "rights",
            {"stream": "alpha//orders"},
        ),
        ("a foreign node", Caveats(at=frozenset({OTHER.public})), "at", {}),
        ("a foreign agent", Caveats(agent=hashlib.sha256(b"other").digest()), "agent", {}),
        ("no agent", Caveats(agent=AGENT), "agent", {"agent": None}),
        (
            "an attribute that is not named",
            Caveats(attrs=("shop/*",)),
            "attrs",
            {"attribute": "people/name"},
        ),
        (
            "an attribute that is excepted",
            Caveats(attrs=("shop/*", "!shop/cost")),
            "attrs",
            {"attribute": "shop/cost"},
        ),
        ("attributes asked for without a name", Caveats(attrs=("shop/*",)), "attrs", {}),
        ("an old list of revocations", Caveats(revage=10), "revage", {"age": 11}),
        ("a list of revocations of unknown age", Caveats(revage=10), "revage", {}),
        (
            "more rows than the budget has",
            Caveats(budget={Resource.ROWS: 3}),
            "budget",
            {"cost": {"2": 4}},
        ),
    ]
    for name, caveats, why, given in cases:
        block = 0 if name.startswith("a name with") else 1
        wanted = {"verb": "history"} if name.startswith("history") else {}
        block = 0 if wanted else block
        yield Vector(name, chain(caveats).to_bytes(), f"token/{why}", block, {**given, **wanted})
    wider = chain(Caveats(budget={Resource.ROWS: 3}), Caveats(budget={Resource.ROWS: 99}))
    yield Vector(
        "a budget widened by a later block", wider.to_bytes(), "token/budget", 1, {"cost": {"2": 4}}
    )
    for name, by, block in (
        ("revoked by the root", ROOT, 0),
        ("an ancestor revoked by its holder", ALICE, 0),
        ("revoked by who signed it", ALICE, 1),
        ("revoked by its own key", NODE, 2),
    ):
        yield Vector(
            name, revoked.to_bytes(), "token/revoked", block, {"revoked": [revocation(by, block)]}
        )
    stranger = {"revoked": [revocation(MALLORY, 0), revocation(NODE, 0)]}
    yield Vector("good: revoked by strangers", revoked.to_bytes(), None, given=stranger)
    yield Vector("good: three blocks", chain(Caveats(note="narrow")).to_bytes(), None)
    yield Vector("good: at its last second", chain(Caveats(exp=NOW, nbf=NOW)).to_bytes(), None)
    every = Caveats(
        exp=END, nbf=NOW, rights=RIGHTS, at=frozenset({NODE.public}), agent=AGENT, hops=1, depth=1,
        via=frozenset({BOB.public, NODE.public}), budget={Resource.ROWS: 3}, attrs=("shop/*",), revage=10, note="all",
    )  # fmt: skip
    given = {"attribute": "shop/price", "cost": {"2": 3}, "age": 10}
    yield Vector("good: every caveat", chain(every).to_bytes(), None, given=given)


GROUPS: tuple[Callable[[], Iterator[Vector]], ...] = (
    bytes_attacks,
    block_attacks,
    chain_attacks,
    proof_attacks,
    request_attacks,
)


def vectors() -> list[dict[str, object]]:
    """Return all vectors, the bad ones first."""
    made = [vector.as_json() for group in GROUPS for vector in group()]
    return sorted(made, key=lambda vector: vector["code"] is None)


def text() -> str:
    """Return the file: one vector in a line."""
    return "[\n" + ",\n".join(json.dumps(vector) for vector in vectors()) + "\n]\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text())
