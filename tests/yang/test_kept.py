"""Files that save making something again: whole, the user's own, or not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from yang import kept
from yang.limits import KEPT_FILES_MAX
from yang.reader import tables
from yang.reader.tables import Tables, made_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "yin"


def test_what_is_kept_is_found_again_and_readable_by_its_user_only(folder: Path) -> None:
    assert kept.find("a.tables") is None
    kept.keep("a.tables", b"content")
    assert kept.find("a.tables") == b"content"
    assert (folder / "a.tables").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["a.tables"]


def test_of_one_kind_only_the_newest_are_kept(folder: Path) -> None:
    kept.keep("other.segment", b"content")
    for number in range(KEPT_FILES_MAX + 3):
        kept.keep(f"{number}.tables", b"content")
        os.utime(folder / f"{number}.tables", ns=(number, number))
    kept.keep("last.tables", b"content")
    names = {path.name for path in folder.iterdir()}
    newest = range(4, KEPT_FILES_MAX + 3)
    assert names == {"other.segment", "last.tables", *(f"{number}.tables" for number in newest)}


def test_a_file_that_is_not_whole_is_not_found(folder: Path) -> None:
    kept.keep("a", b"content")
    whole = (folder / "a").read_bytes()
    for data in (b"", whole[:-1], whole[1:], whole + b" ", b"content"):
        (folder / "a").write_bytes(data)
        assert kept.find("a") is None


def test_a_file_that_others_may_write_or_that_is_a_link_is_not_found(folder: Path) -> None:
    kept.keep("a", b"content")
    (folder / "b").symlink_to(folder / "a")
    assert kept.find("b") is None
    (folder / "a").chmod(0o620)
    assert kept.find("a") is None


def test_where_nothing_can_be_written_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kept.keep("a", b"content")
    assert kept.find("a") is None


def test_kept_tables_of_the_reader_are_those_that_lark_makes() -> None:
    grammar = Path(tables.__file__).with_name("clojure.lark").read_text(encoding="utf-8")
    made = made_of(grammar)
    assert tables._decoded(tables._encoded(made)) == made
    used = tables.tables()
    assert (used.scanner, used.rules) == (made.scanner, made.rules)
    # Lark numbers states anew each time, so what is in the rows is compared without the numbers.
    assert _shapes(used) == _shapes(made)


def _shapes(of: Tables) -> list[list[tuple[str, str]]]:
    return sorted(
        sorted((s, "shift" if isinstance(a, int) else repr(a)) for s, a in row.items())
        for row in of.actions.values()
    )
