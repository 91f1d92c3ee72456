"""A token as people read it.

Is:     one dictionary of text and numbers a block; signatures checked, no secret among them.
Is not: a verdict on who presents it or what it allows.
Fits:   `yin token inspect`, the demonstration.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime

from capabilities.caveats import Caveats, Verb
from capabilities.keys import PublicKey
from capabilities.lineage import NO_LINEAGE, Lineage
from capabilities.tokens import Token
from capabilities.verify import verify_chain


def inspect(
    token: Token,
    *,
    roots: Container[PublicKey],
    names: Mapping[PublicKey, str],
    lineage: Lineage = NO_LINEAGE,
) -> list[dict[str, object]]:
    """Return what each block says, with names for known keys. Raises TokenInvalid."""
    chain = verify_chain(token.to_bytes(), roots=roots, lineage=lineage)
    signers = [chain.root, *(block.key for block in chain.blocks)]
    return [
        {
            "id": block.id.hex(),
            "signer": _name(signer, names),
            "key": _name(block.key, names),
            **_caveats(block.caveats, names),
        }
        for signer, block in zip(signers, chain.blocks, strict=False)
    ]


def _caveats(caveats: Caveats, names: Mapping[PublicKey, str]) -> dict[str, object]:
    facts: dict[str, object | None] = {
        "exp": None if caveats.exp is None else moment(caveats.exp),
        "nbf": None if caveats.nbf is None else moment(caveats.nbf),
        "rights": None
        if caveats.rights is None
        else [f"{_verbs(right.verbs)}:{right.pattern}" for right in caveats.rights],
        "at": _names(caveats.at, names),
        "agent": None if caveats.agent is None else caveats.agent.hex(),
        "via": _names(caveats.via, names),
        "hops": caveats.hops,
        "depth": caveats.depth,
        "budget": None
        if caveats.budget is None
        else {resource.name.lower(): amount for resource, amount in caveats.budget.items()},
        "attrs": None if caveats.attrs is None else list(caveats.attrs),
        "revage": caveats.revage,
        "note": caveats.note,
        "state": None if caveats.state is None else caveats.state.hex(),
        "epoch": caveats.epoch,
        "account": None if caveats.account is None else _name(caveats.account, names),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _verbs(verbs: Verb) -> str:
    return ",".join(str(verb.name).lower() for verb in Verb if verb & verbs)


def moment(seconds: int) -> str:
    """Return a second since 1970 as people and programs read it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (
        ValueError,
        OverflowError,
        OSError,
    ):  # the format allows years that the calendar does not
        return f"{seconds} s after 1970"


def _name(key: PublicKey, names: Mapping[PublicKey, str]) -> str:
    return names.get(key, key.text)


def _names(keys: Iterable[PublicKey] | None, names: Mapping[PublicKey, str]) -> list[str] | None:
    return None if keys is None else sorted(_name(key, names) for key in keys)
