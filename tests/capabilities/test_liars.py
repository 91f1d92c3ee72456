"""What one honest node lets come back, whatever all others say: never more than what went away."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from purses import KEYS, PERSON, before, chain, granted

from capabilities.budget import Meter
from capabilities.caveats import Caveats, Resource
from capabilities.errors import TokenRefused
from capabilities.keys import PrivateKey
from capabilities.tokens import Token
from capabilities.verify import VerifiedChain

HONEST, LIARS = KEYS[0], KEYS[1:]
ROWS, GRANT, BLOCKS = Resource.ROWS, 30, 14
PAYER = b"agent"


class Siege:
    """An honest node's meter, and tokens of one agent of which others make whatever they may."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.meter = Meter(HONEST.public)
        first = granted({ROWS: GRANT}).append(PERSON, HONEST.public, Caveats(agent=b"a" * 32))
        self.held = [first]
        self.outside: list[tuple[Token, PrivateKey]] = []
        self.went = self.came = self.spent = 0

    def send(self) -> None:
        token, liar = self.chance.choice(self.held), self.chance.choice(LIARS)
        if len(token.blocks) < BLOCKS:
            left = self.meter.take(chain(token), PAYER)
            made = token.append(HONEST, liar.public, Caveats(budget=left))
            self.meter.send(chain(made), PAYER)
            self.went += left[ROWS]
            self.outside.append((made, liar))

    def said(self) -> Caveats:
        return Caveats(budget={ROWS: self.chance.randrange(2 * GRANT)})

    def come(self) -> None:
        token, liar = self.chance.choice(self.outside)
        if len(token.blocks) < BLOCKS:
            made = token.append(liar, HONEST.public, self.said())
            self.came += self.meter.arrive(chain(made), PAYER).get(ROWS, 0)
            self.held.append(made)

    def go_on(self) -> None:
        token, liar = self.chance.choice(self.outside)
        other = LIARS[liar is LIARS[0]]
        if len(token.blocks) < BLOCKS:
            self.outside.append((token.append(liar, other.public, self.said()), other))

    def give_back(self) -> None:
        token, _ = self.chance.choice(self.outside)
        chains = [
            VerifiedChain(token.root, token.blocks[:n]) for n in range(2, len(token.blocks) + 1)
        ]
        handed = self.chance.choice([one for one in chains if self.meter.was_sent(one)])
        said = {ROWS: self.chance.randrange(2 * GRANT)}
        self.came += self.meter.credit(handed, said, PAYER).get(ROWS, 0)
        self.meter.release(before(handed), 1, PAYER)
        self.meter.hand_back(before(handed), 1, PAYER)

    def spend(self) -> None:
        amount = self.chance.randrange(1, 6)
        try:
            self.meter.debit(chain(self.chance.choice(self.held)), {ROWS: amount}, PAYER)
        except TokenRefused:
            return
        self.spent += amount

    def end(self) -> None:
        self.meter.release(chain(self.chance.choice(self.held)), 1, PAYER)


@given(st.integers(0, 1 << 32))
@settings(max_examples=200)
def test_no_more_comes_back_than_went_whatever_others_say(seed: int) -> None:
    siege = Siege(random.Random(seed))
    for _ in range(40):
        here = [siege.send, siege.spend, siege.end]
        what = here if not siege.outside else [*here, siege.come, siege.go_on, siege.give_back]
        siege.chance.choice(what)()
        assert siege.came <= siege.went
        assert siege.spent <= GRANT
