"""A token that changes hands between nodes, and what is left of its budgets with it.

Is:     the block with which a node hands a token on, and taking that back.
Is not: the hand-off of an agent (`protocol.handoff`), which makes this durable with its own records.
Fits:   `yind.authority` calls `hand_on` when an agent leaves and `take_back` when the other node did not want it.
"""

from __future__ import annotations

from capabilities.budget import Meter, limited
from capabilities.caveats import Caveats, Resource
from capabilities.errors import CapabilityError
from capabilities.keys import PrivateKey, PublicKey
from capabilities.lineage import NO_LINEAGE, Lineage
from capabilities.tokens import Token
from capabilities.verify import VerifiedChain, check_hop

HOP = {Resource.HOPS: 1}


def hand_on(
    token: Token,
    signer: PrivateKey,
    to: PublicKey,
    meter: Meter,
    *,
    payer: bytes,
    lineage: Lineage = NO_LINEAGE,
    state: bytes | None = None,
    epoch: int | None = None,
) -> Token:
    """Return a verified token of this node, bound to another one; all that is left of its budgets goes with it.

    With an epoch, the block is the receipt of an agent's hand-over: the payer is the agent, and the block names it.
    What goes is durable with the payer's state. Raises TokenRefused or TokenInvalid; then nothing went.
    """
    chain = VerifiedChain(token.root, token.blocks)
    check_hop(chain, to, lineage)
    hop = Caveats(agent=None if epoch is None else payer, state=state, epoch=epoch)
    if not limited(chain):
        return token.append(signer, to, hop, lineage=lineage)
    meter.debit(chain, HOP, payer)
    budget = meter.take(chain, payer)
    try:
        made = token.append(signer, to, hop._replace(budget=budget or None), lineage=lineage)
    except CapabilityError:
        meter.give_back(chain, budget, payer)
        meter.refund(chain, HOP, payer)
        raise
    meter.send(VerifiedChain(made.root, made.blocks), payer)
    return made


def take_back(token: Token, meter: Meter, *, payer: bytes) -> None:
    """Take a token back that was handed on with `hand_on`, and what went with it; once."""
    chain = VerifiedChain(token.root, token.blocks)
    if meter.reclaim(chain, payer=payer):
        meter.refund(VerifiedChain(token.root, token.blocks[:-1]), HOP, payer)
