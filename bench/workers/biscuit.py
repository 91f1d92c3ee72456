"""One token of Biscuit, read, verified and asked, again and again: prints {"us": microseconds of processor time}."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta

from biscuit_auth import AuthorizerBuilder, Biscuit, BiscuitBuilder, BlockBuilder, KeyPair

BATCHES, BATCH_S = 9, 0.05
pair = KeyPair()
now = datetime(2027, 1, 15, tzinfo=UTC)
later = now + timedelta(hours=1)
token = BiscuitBuilder(
    'right("read", "alpha/orders"); right("append", "alpha/orders"); check if time($t), $t < {later}',
    {"later": later},
).build(pair.private_key)
for _ in range(int(sys.argv[1]) - 1):
    token = token.append(
        BlockBuilder(
            'check if operation("read"); check if time($t), $t < {later}', {"later": later}
        )
    )
data = bytes(token.to_bytes())


def check() -> None:
    found = Biscuit.from_bytes(data, pair.public_key)
    builder = AuthorizerBuilder(
        'time({now}); operation("read"); resource("alpha/orders"); '
        "allow if operation($o), resource($r), right($o, $r)",
        {"now": now},
    )
    limits = builder.limits()
    limits.max_time = timedelta(seconds=10)  # by the wall clock, of a machine on which others work
    builder.set_limits(limits)
    builder.build(found).authorize()


started, size = time.process_time(), 0
while time.process_time() - started < BATCH_S:
    check()
    size += 1
least = float("inf")
for _ in range(BATCHES):
    started = time.process_time()
    for _ in range(size):
        check()
    least = min(least, (time.process_time() - started) / size)
print(json.dumps({"us": least * 1e6}))
