"""A record of the log is read back whole or not at all, whatever stands in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datomstore.storage import StorageCorrupt, redo, redolog
from datomstore.storage.redolog import NAMES, RedoLog

KEY = bytes(range(32))
PAGES = b"meta" * 1024
SIZE = 1 << 15

changes = st.lists(st.tuples(st.binary(max_size=40), st.none() | st.binary(max_size=80)))


@given(st.lists(changes, max_size=5), st.data())
def test_records_are_read_up_to_the_first_that_is_not_whole(
    transactions: list[list[redo.Change]], data: st.DataObject
) -> None:
    made = [redo.record(number, each, KEY) for number, each in enumerate(transactions)]
    whole = b"".join(made)
    assert list(redo.records(whole + bytes(30), KEY)) == list(enumerate(transactions))
    assert list(redo.records(whole, redo.next_key(KEY))) == []
    if not whole:
        return
    place = data.draw(st.integers(0, len(whole) - 1))
    before = sum(sum(map(len, made[: n + 1])) <= place for n in range(len(made)))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    for torn in (bytes(changed), whole[:place]):
        assert list(redo.records(torn, KEY)) == list(enumerate(transactions))[:before]


@given(st.integers(0, 1 << 60), st.integers(0, 1 << 60), st.binary(max_size=9000), st.data())
def test_a_header_is_read_whole_or_not_at_all(
    turn: int, number: int, pages: bytes, data: st.DataObject
) -> None:
    header = redo.Header(turn, number, KEY, pages)
    made = redo.header(header)
    assert len(redo.blocks(made)) == redo.start(len(pages))
    assert redo.read_header(made + b"records") == header
    changed = bytearray(made)
    changed[data.draw(st.integers(0, len(made) - 1))] ^= 1
    assert redo.read_header(bytes(changed)) is None
    assert redo.read_header(made[:-1]) is None


def numbers(folder: Path) -> list[int]:
    found = redolog.read(folder)
    assert found is not None
    return [record.number for record in found.records]


def append(log: RedoLog, name: bytes) -> None:
    log.append(log.record([(name, name)]))


def test_both_files_are_read_until_the_newer_one_has_its_header(tmp_path: Path) -> None:
    log = RedoLog(tmp_path, SIZE, PAGES)
    append(log, b"1")
    log.turn(PAGES[::-1])
    append(log, b"2")
    found = redolog.read(tmp_path)
    assert found is not None
    assert (found.pages, [record.changes for record in found.records]) == (
        PAGES,
        [[(b"1", b"1")], [(b"2", b"2")]],
    )
    log.begin_here()
    assert numbers(tmp_path) == [2]
    log.turn(PAGES)
    append(log, b"3")
    assert numbers(tmp_path) == [2, 3]
    log.remove()
    assert not redolog.exists(tmp_path)


def test_what_a_file_has_from_before_is_not_read_again(tmp_path: Path) -> None:
    log = RedoLog(tmp_path, SIZE, PAGES)
    for _ in range(10):
        append(log, b"before")
    for _ in range(2):
        log.turn(PAGES)
        log.begin_here()
    assert b"before" in (tmp_path / NAMES[0]).read_bytes()
    assert numbers(tmp_path) == []
    append(log, b"now")
    assert numbers(tmp_path) == [11]
    log.close()


def test_a_value_that_looks_like_a_record_is_none(tmp_path: Path) -> None:
    """Who writes values does not know the key; one that has been used says nothing of the next but to who has read the log."""
    log = RedoLog(tmp_path, SIZE, PAGES)
    for key in (b"", bytes(32), KEY):
        log.append(log.record([(b"k", redo.record(2, [(b"forged", b"")], key) * 20)]))
    content = (tmp_path / NAMES[0]).read_bytes()
    start = redo.start(len(PAGES))
    header = redo.read_header(content)
    assert header is not None
    for at in range(start + 1, start + 3000):
        assert list(redo.records(content[at : at + 200], header.key)) == []
    log.close()


def test_a_transaction_that_was_struck_out_has_not_happened_and_the_next_has_its_number(
    tmp_path: Path,
) -> None:
    log = RedoLog(tmp_path, SIZE, PAGES)
    append(log, b"1")
    place = log.place
    append(log, b"struck out")
    log.strike_out(place)
    assert numbers(tmp_path) == [1]
    append(log, b"2")
    found = redolog.read(tmp_path)
    assert found is not None
    assert found.records[-1] == (2, [(b"2", b"2")])
    log.close()


def test_a_log_that_has_lost_its_header_is_corrupt(tmp_path: Path) -> None:
    log = RedoLog(tmp_path, SIZE, PAGES)
    append(log, b"1")
    log.close()
    file = tmp_path / NAMES[0]
    file.write_bytes(bytes(100) + file.read_bytes()[100:])
    with pytest.raises(StorageCorrupt, match="has no header"):
        redolog.read(tmp_path)


def test_a_log_that_lacks_a_transaction_is_corrupt(tmp_path: Path) -> None:
    log = RedoLog(tmp_path, SIZE, PAGES)
    append(log, b"1")
    lost = log.place
    append(log, b"2")
    log.turn(PAGES)
    append(log, b"3")
    log.close()
    file = tmp_path / NAMES[0]
    data = bytearray(file.read_bytes())
    data[lost.at] ^= 1
    file.write_bytes(data)
    with pytest.raises(StorageCorrupt, match="transaction 2 is missing"):
        redolog.read(tmp_path)


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    RedoLog(tmp_path, SIZE, PAGES).close()
    assert [path.stat().st_mode & 0o777 for path in sorted(tmp_path.iterdir())] == [0o600, 0o600]
