"""A few cases of each source of chance against what a node takes from others; `make fuzz-wire` runs a million."""

from __future__ import annotations

import pytest
import wire_fuzzing


@pytest.mark.parametrize("source", wire_fuzzing.SOURCES)
def test_what_nobody_made_is_refused_or_accepted_by_rule(source: str) -> None:
    wire_fuzzing.prepared()  # which takes longer than a case may
    answers = {wire_fuzzing.run_case(source, number) for number in range(300)}
    assert wire_fuzzing.ACCEPTED in answers
    assert len(answers) > 1
    assert all(answer == wire_fuzzing.ACCEPTED or "/" in answer for answer in answers)


@pytest.mark.parametrize("head", [b"\x90", b"\xc0", b"\x91", b"\xd4\x04", b"\xd5\x05\x00", b"\xa0"])
def test_a_bomb_takes_memory_in_proportion(head: bytes) -> None:
    import tracemalloc

    from protocol import messages
    from protocol.errors import RemoteFault

    size = 1 << 16
    data = b"\xdd" + (size // len(head)).to_bytes(4, "big") + head * (size // len(head))
    tracemalloc.start()
    try:
        with pytest.raises(RemoteFault):
            messages.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 160 * len(data)
    finally:
        tracemalloc.stop()
