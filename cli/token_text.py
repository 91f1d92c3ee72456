"""A token in words, block by block.

Is:     lines for people: who signed, who holds, what each block takes away, until when, what is left of its budgets.
Is not: a verdict on what it allows in all: every block has to.
Fits:   `yin token inspect`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import click

from capabilities.tokens import Bearer, Proof, Sealed
from cli.output import one_line

Block = Mapping[str, object]
KINDS = {
    "bearer": "whoever has it may use, narrow and hand it on",
    "sealed": "whoever has it may use it, nobody may narrow it or hand it on",
    "bound": "used and narrowed with the key of {holder}",
}
SAME = ("note", "attrs", "via", "at")


def kind_of(proof: Proof) -> str:
    """Return in a word who may use a token with a proof."""
    match proof:
        case Bearer():
            return "bearer"
        case Sealed():
            return "sealed"
    return "bound"


def token_lines(document: Mapping[str, object], *, now: datetime) -> Iterator[str]:
    """Yield the lines of a token: what holds for it as a whole, then each block, then what a node said about it."""
    blocks, where = document["blocks"], str(document.get("node") or "")
    assert isinstance(blocks, list), blocks
    words = KINDS[str(document["kind"])].format(holder=document["holder"])
    count = "1 block" if len(blocks) == 1 else f"{len(blocks)} blocks"
    yield f"a {document['kind']} token of {count}: {words}"
    if not document["trusted"]:
        yield f"its root {document['root']} is not trusted here: no node of this cluster accepts it"
    if document["from"] is not None:
        yield f"holds from {moment(str(document['from']), now)}"
    if (revoked := document.get("revoked")) is not None:
        yield f"revoked  block {revoked}, and so everything after it"
    yield f"{_holds(document, now)} until {moment(str(document['until']), now)}"
    for index, block in enumerate(blocks):
        head = click.style(f"block {index}", bold=True)
        bound = "handed on to" if _is_hop(block, index) else "held by"
        yield f"{head}  signed by {block['signer']}, {bound} {block['key']}"
        yield f"  id       {block['id']}"
        yield from _lines(block, block.get("left", {}), where, now)
    if document.get("invalid") is not None:
        yield f"{where} does not accept it: {document['invalid']}"


def _holds(document: Mapping[str, object], now: datetime) -> str:
    """Return in a word whether a token can still be used."""
    if document.get("revoked") is not None:
        return "would hold"
    try:
        return "held" if datetime.fromisoformat(str(document["until"])) < now else "holds"
    except ValueError:  # a year that the calendar does not have
        return "holds"


def _is_hop(block: Block, index: int) -> bool:
    """Return whether a block only hands the token on, with what is left of its budgets."""
    return index > 0 and not set(block) - {"id", "signer", "key", "budget", "state", "epoch"}


def _lines(block: Block, left: Mapping[str, int], where: str, now: datetime) -> Iterator[str]:
    rights = block.get("rights")
    if rights is not None:
        assert isinstance(rights, list), rights
        yield _line("allows", "; ".join(rights) or "nothing")
    for key, word in (("nbf", "from"), ("exp", "until")):
        if key in block:
            yield _line(word, moment(str(block[key]), now))
    if "agent" in block:
        yield _line("agent", f"only {block['agent']}")
    for key in SAME:
        if key in block:
            value = block[key]
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield _line(key, text if key == "note" else f"only {text}")
    for key, words in (
        ("hops", "may change its holder {} times"),
        ("depth", "may be narrowed {} times"),
    ):
        if key in block:
            yield _line(key, words.format(block[key]))
    if "revage" in block:
        yield _line("revage", f"only where revocations are known up to {block['revage']} s ago")
    if "budget" in block:
        yield _line("budget", _budget(block["budget"], left, where))
    if "account" in block:
        yield _line("account", f"its budget is drawn at {block['account']} first")
    if "epoch" in block:
        yield _line("epoch", str(block["epoch"]))


def _line(key: str, text: str) -> str:
    return f"  {key:<8} {one_line(text)}"


def _budget(budget: object, left: Mapping[str, int], where: str) -> str:
    assert isinstance(budget, Mapping), budget
    parts = []
    for name, amount in budget.items():
        rest = f", {left[name]:,} left at {where}" if name in left else ""
        parts.append(f"{amount:,} {name}{rest}")
    return "; ".join(parts)


def moment(iso: str, now: datetime) -> str:
    """Return a moment in local words, and how far it is from now."""
    try:
        then = datetime.fromisoformat(iso)
    except ValueError:  # a year that the calendar does not have
        return iso
    seconds = round((then - now.astimezone(UTC)).total_seconds())
    far = f"in {span(seconds)}" if seconds >= 0 else f"{span(-seconds)} ago"
    return f"{then.astimezone().strftime('%a %d %b %Y %H:%M:%S')} ({far})"


def span(seconds: int) -> str:
    """Return a length of time in its two largest units."""
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        amount, seconds = divmod(seconds, length)
        if amount:
            parts.append(f"{amount}{unit}")
    return " ".join(parts[:2]) or "0s"
