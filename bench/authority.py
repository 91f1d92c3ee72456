"""What it costs to check a token: cold, warm, through a handle; beside bare signatures and Biscuit.

Is:     tokens of 1, 3 and 6 blocks, by processor time; the least of several batches, every one in turn with its peers.
Is not: what an effect costs with its commit (`bench.facts`, `bench.hop`).
Fits:   `make bench-authority`; Biscuit runs in a process of its own (`bench/workers/biscuit.py`).
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from nacl.bindings import crypto_sign_open

from bench.report import Report
from capabilities.authorize import Request, authorize
from capabilities.caveats import Caveats, Rights, Verb
from capabilities.handles import Handle
from capabilities.keys import PrivateKey
from capabilities.revocation import RevocationSet
from capabilities.tokens import Token, mint
from capabilities.verify import BlockCache, verify

ROOT = Path(__file__).parents[1]
BISCUIT = ROOT / "build" / "biscuit" / "bin" / "python"
WORKER = ROOT / "bench" / "workers" / "biscuit.py"
BLOCKS = (1, 3, 6)
BATCHES, BATCH_S = 9, 0.05
NOW_S = 1_800_000_000
STREAM = "alpha/orders"


def run() -> Report:
    """Measure."""
    report = Report("authority: microseconds of processor time")
    for count in BLOCKS:
        _token(report, count)
    return report


def _token(report: Report, count: int) -> None:
    """Note the figures of tokens of so many blocks."""
    root, holder = PrivateKey.generate(), PrivateKey.generate()
    token = _chain(root, holder, count)
    data, roots, node = token.to_bytes(), {root.public}, holder.public
    revoked, cache = RevocationSet(), BlockCache()

    def asked() -> Request:
        return Request(verb=Verb.READ, stream=STREAM, at=node, now_s=NOW_S)

    def check(kept: BlockCache | None) -> None:
        found = verify(data, roots=roots, presenter=node, cache=kept)
        authorize(found, asked(), revoked=revoked)

    verified = verify(data, roots=roots, presenter=node, cache=cache)
    handle = Handle(verified, at=node, agent=None, revoked=revoked)
    bare = _bare(token)
    cold, alone, warm, through = _least(
        lambda: check(None),
        bare,
        lambda: check(cache),
        lambda: handle.authorize(Verb.READ, STREAM, NOW_S),
    )
    biscuit = _biscuit(count)
    name = f"{count} block{'s' if count > 1 else ''}"
    report.add(f"{name}: cold check", "us", cold, "bare Ed25519", alone)
    report.add(f"{name}: cold check", "us", cold, "biscuit", biscuit)
    report.add(f"{name}: warm check", "us", warm)
    report.add(f"{name}: through a handle", "us", through)
    report.add(f"{name}: size", "bytes", len(data))
    if count == 3:
        report.summary = {
            "warm_check_us": warm,
            "handle_check_us": through,
            "cold_check_us": cold,
            "cold_check_over_bare": cold / alone,
            "biscuit_cold_us": biscuit,
            "cold_over_biscuit": None if biscuit is None else cold / biscuit,
        }


def _chain(root: PrivateKey, holder: PrivateKey, count: int) -> Token:
    everything = Rights(Verb.READ | Verb.APPEND, "**")
    token = mint(root, holder.public, Caveats(exp=NOW_S + 3_600, rights=(everything,)))
    for _ in range(count - 1):
        narrow = Caveats(exp=NOW_S + 600, rights=(Rights(Verb.READ, "alpha/*"),))
        token = token.append(holder, holder.public, narrow)
    return token


def _bare(token: Token) -> Callable[[], object]:
    """Return the verification of as many signatures over as long messages, and of nothing else."""
    signer = PrivateKey.generate()
    message = b"x" * 42
    signed, raw = signer.sign(message) + message, signer.public.bytes
    count = len(token.blocks)

    def work() -> None:
        for _ in range(count):
            crypto_sign_open(signed, raw)

    return work


def _least(*works: Callable[[], object]) -> list[float]:
    """Return the microseconds of each work, the least of several batches in turn."""
    sizes = [_batch_size(work) for work in works]
    least = [float("inf")] * len(works)
    for _ in range(BATCHES):
        for place, (work, size) in enumerate(zip(works, sizes, strict=True)):
            started = time.process_time()
            for _ in range(size):
                work()
            least[place] = min(least[place], (time.process_time() - started) / size)
    return [seconds * 1e6 for seconds in least]


def _batch_size(work: Callable[[], object]) -> int:
    started, done = time.process_time(), 0
    while time.process_time() - started < BATCH_S:
        work()
        done += 1
    return done


def _biscuit(count: int) -> float | None:
    """Return the microseconds that Biscuit takes for a token of so many blocks; None where it is not installed."""
    if not BISCUIT.exists():
        return None
    done = subprocess.run([BISCUIT, WORKER, str(count)], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["us"])
