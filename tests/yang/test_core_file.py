"""The file that saves compiling the core library again."""

from __future__ import annotations

import pytest

from yang import core
from yang.compile import compile_core
from yang.errors import ProgramInvalid
from yang.resolve import CoreLibrary


def library() -> CoreLibrary:
    segment = compile_core(
        """(def twice (fn* twice ([x] (+ x x))))
           (def strange (fn* strange ([x] [\\a :k 'sym '(1 (2)) #{1} {:a 1.5} "s" nil + twice])
                                     ([x & more] (try (strange x) (catch :default e more)))))""",
        "core.clj",
    ).segment
    return CoreLibrary(
        segment, {name: f for f in segment.functions if (name := f.name) is not None}
    )


def test_a_library_comes_back_from_its_bytes_as_it_was() -> None:
    made = library()
    assert core._decoded(core._encoded(made)) == made


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x81\xa4hash\xc4\x00", b"\xc1", b"{}"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ProgramInvalid):
        core._decoded(data)


def test_a_library_with_globals_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "core_text", lambda: "(def x 1)")
    with pytest.raises(core.CoreInvalid):
        core.compile_library()
