"""The file that saves compiling the core library again."""

from __future__ import annotations

import pytest

from yang import core
from yang.compile import compile_core
from yang.errors import ProgramInvalid, Source, SourceError
from yang.resolve import CoreLibrary


def library() -> CoreLibrary:
    segment = compile_core(
        Source(
            "core",
            """(def twice (fn* twice ([x] (+ x x))))
           (def strange (fn* strange ([x] [\\a :k 'sym '(1 (2)) #{1} {:a 1.5} "s" nil + twice])
                                     ([x & more] (try (strange x) (catch :default e more)))))""",
        )
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


def test_a_mistake_in_the_library_is_shown_with_its_file() -> None:
    files = [("a.clj", "\n(defn a [] 1)\n"), ("b.clj", "(defn b []\n  mistaken)\n")]
    with pytest.raises(SourceError) as caught:
        compile_core(Source.of_files("core", files))
    shown = str(caught.value)
    assert shown.startswith(
        "b.clj:2:3: unresolved symbol: mistaken\n    mistaken)\n    ^\n  hint: "
    )


def test_a_library_with_globals_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "core_source", lambda: Source("core", "(def x 1)"))
    with pytest.raises(core.CoreInvalid):
        core.compile_library()
