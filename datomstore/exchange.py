"""Streams and entities out to files and in again: EDN lines, JSON lines, CSV, msgpack.

Is:     a stream's transactions, with numbers, instants, ids and retractions, so that an import is the same log with the same
        root; and files of plain rows or objects as entities to transact.
Is not: a backup of a storage (`Storage.backup`), which has all streams and tables.
Fits:   files are given open; the caller knows where they come from. What is read is checked as any transaction is.

    edn      {:t 1 :instant 1000 :datoms [[e :a v true] ...]}         one transaction a line
    json     {"t": 1, "instant": 1000, "datoms": [[e, "a", v, true]]}  v is text, true, false, a small integer, or {"edn": text}
    csv      t,instant,e,a,v,added                                     one datom a line, v as EDN
    msgpack  [t, record]                                               the log's own bytes
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import IO, Any, NamedTuple

import msgpack

from datomstore import edn
from datomstore.errors import DatomstoreError
from datomstore.limits import EXCHANGE_LINE_MAX, EXCHANGE_PAGE
from datomstore.record import Row, decode_record
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword, Map

FORMATS = ("edn", "json", "csv", "msgpack")
_T, _INSTANT, _DATOMS = Keyword("t"), Keyword("instant"), Keyword("datoms")
_CSV_HEADER = ["t", "instant", "e", "a", "v", "added"]
_JSON_INTEGER = 1 << 53  # above it, other readers of JSON round

Progress = Callable[[int, int], None]  # transactions, datoms: so far


class ExchangeError(DatomstoreError):
    """The file is not of the format; says which line or transaction."""

    code = "exchange/format"


class Transaction(NamedTuple):
    """One transaction on its way."""

    t: int
    instant_ms: int
    rows: list[Row]


def export(
    stream: Stream,
    file: IO[bytes],
    form: str,
    *,
    from_t: int = 0,
    progress: Progress | None = None,
) -> int:
    """Write the transactions after `from_t`; return how many. What is committed meanwhile is not among them."""
    file.write(header(form))
    count = datoms = 0
    for t, blob in stream.records(from_t, stream.t):
        text, size = written(form, stream.name, t, blob)
        file.write(text)
        count, datoms = count + 1, datoms + size
        if progress is not None:
            progress(count, datoms)
    return count


def header(form: str) -> bytes:
    """Return what a file of a format begins with. Raises ExchangeError."""
    return _csv([_CSV_HEADER]) if _format(form) == "csv" else b""


def written(form: str, stream: str, t: int, record: bytes) -> tuple[bytes, int]:
    """Return a transaction's record in a format, and how many datoms it has. Raises StorageCorrupt."""
    instant_ms, rows = decode_record(stream, t, record)
    write = {"edn": _edn_line, "json": _json_line, "csv": _csv_lines, "msgpack": _frame}[form]
    return write(Transaction(t, instant_ms, rows), record), len(rows)


def transactions(file: IO[bytes], form: str) -> Iterator[Transaction]:
    """Yield the transactions of an exported file. Raises ExchangeError."""
    read = {"edn": _from_edn, "json": _from_json, "csv": _from_csv, "msgpack": _from_msgpack}
    return read[_format(form)](file)


def restore(
    streams: Streams,
    stream: Stream,
    file: IO[bytes],
    form: str,
    *,
    progress: Progress | None = None,
) -> int:
    """Append exported transactions to a stream that ends where they begin; return how many.

    Pages of transactions commit together: after an error the pages before it are there, and the rest can follow.
    Raises ExchangeError, TransactionError.
    """
    waiting = transactions(file, form)
    count = datoms = 0
    while page := list(islice(waiting, EXCHANGE_PAGE)):
        with streams.batch() as batch:
            for transaction in page:
                batch.restore(stream, *transaction)
        count, datoms = count + len(page), datoms + sum(len(found.rows) for found in page)
        if progress is not None:
            progress(count, datoms)
    return count


def load(
    stream: Stream, items: Iterable[object], *, page: int = 2_000, progress: Progress | None = None
) -> int:
    """Transact many items in pages; return the number of datoms. Each page is one transaction. Raises TransactionError."""
    waiting = iter(items)
    count = datoms = 0
    while part := list(islice(waiting, page)):
        report = stream.transact(part)
        count, datoms = count + 1, datoms + len(report.datoms)
        if progress is not None:
            progress(count, datoms)
    return datoms


def csv_entities(
    file: IO[bytes], readers: Mapping[str, Callable[[str], object]] | None = None, prefix: str = ""
) -> Iterator[Map]:
    """Yield an entity for every row of a CSV file whose first line names attributes; empty cells are no facts.

    Cells are texts, unless `readers` has a function for the column (int, float, `edn.read`).
    """
    rows = _cells(file)
    header = next(rows, [])
    columns = [(Keyword(prefix + name), (readers or {}).get(name, str)) for name in header]
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ExchangeError(f"line {number}: {len(row)} cells, not {len(header)}")
        try:
            cells = zip(columns, row, strict=True)
            yield Map([(key, read(cell)) for (key, read), cell in cells if cell != ""])
        except (ValueError, DatomstoreError) as error:
            raise ExchangeError(f"line {number}: {error}") from error


def json_entities(file: IO[bytes], prefix: str = "") -> Iterator[Map]:
    """Yield an entity for every line with a JSON object: objects in it are entities, lists several values, null no fact."""
    for number, line in _lines(file):
        value = _json(number, line)
        if not isinstance(value, dict):
            raise ExchangeError(f"line {number}: not an object")
        try:
            yield _entity(value, prefix)
        except RecursionError:
            raise ExchangeError(f"line {number}: nested too deeply") from None


def _entity(value: dict[str, Any], prefix: str) -> Map:
    return Map(
        [
            (Keyword(prefix + name), _member(member, prefix))
            for name, member in value.items()
            if member is not None
        ]
    )


def _member(value: Any, prefix: str) -> object:
    if isinstance(value, dict):
        return _entity(value, prefix)
    return [_member(item, prefix) for item in value] if isinstance(value, list) else value


def _format(form: str) -> str:
    if form not in FORMATS:
        raise ExchangeError(f"no format {form!r}; there are {', '.join(FORMATS)}")
    return form


# -- writing --


def _edn_line(transaction: Transaction, _blob: bytes) -> bytes:
    value = Map(
        [
            (_T, transaction.t),
            (_INSTANT, transaction.instant_ms),
            (_DATOMS, tuple(transaction.rows)),
        ]
    )
    return edn.write(value).encode() + b"\n"


def _json_line(transaction: Transaction, _blob: bytes) -> bytes:
    rows = [[e, a.name, _json_value(v), added] for e, a, v, added in transaction.rows]
    value = {"t": transaction.t, "instant": transaction.instant_ms, "datoms": rows}
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _json_value(value: object) -> object:
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, int) and abs(value) < _JSON_INTEGER:
        return value
    return {"edn": edn.write(value)}


def _csv_lines(transaction: Transaction, _blob: bytes) -> bytes:
    start = [transaction.t, transaction.instant_ms]
    return _csv(
        [
            [*start, e, a.name, edn.write(v), str(added).lower()]
            for e, a, v, added in transaction.rows
        ]
    )


def _csv(rows: list[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _frame(transaction: Transaction, blob: bytes) -> bytes:
    packed: bytes = msgpack.packb((transaction.t, blob), use_bin_type=True)
    return packed


# -- reading --


def _lines(file: IO[bytes]) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank."""
    return ((number, text.strip()) for number, text in _texts(file) if text.strip())


def _texts(file: IO[bytes]) -> Iterator[tuple[int, str]]:
    """Yield lines with their ends; the file stays open."""
    number = 0
    while line := file.readline(EXCHANGE_LINE_MAX + 1):
        number += 1
        if len(line) > EXCHANGE_LINE_MAX:
            raise ExchangeError(f"line {number}: longer than {EXCHANGE_LINE_MAX} bytes")
        try:
            yield number, line.decode()
        except UnicodeDecodeError as error:
            raise ExchangeError(f"line {number}: {error}") from error


def _transaction(place: str, t: object, instant_ms: object, rows: object) -> Transaction:
    if type(t) is not int or type(instant_ms) is not int or not isinstance(rows, (tuple, list)):
        raise ExchangeError(f"{place}: no number, instant and datoms")
    for row in rows:
        if (
            not isinstance(row, tuple)
            or len(row) != 4
            or type(row[0]) is not int
            or not isinstance(row[1], Keyword)
            or type(row[3]) is not bool
        ):
            raise ExchangeError(f"{place}: {row!r} is not [entity attribute value added]")
    return Transaction(t, instant_ms, list(rows))


def _from_edn(file: IO[bytes]) -> Iterator[Transaction]:
    for number, line in _lines(file):
        value = _edn(f"line {number}", line)
        if not isinstance(value, Map):
            raise ExchangeError(f"line {number}: not a map")
        yield _transaction(f"line {number}", value.get(_T), value.get(_INSTANT), value.get(_DATOMS))


def _edn(place: str, text: str) -> object:
    try:
        return edn.read(text)
    except (DatomstoreError, ValueError) as error:
        raise ExchangeError(f"{place}: {error}") from error


def _json(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ExchangeError(f"line {number}: {error}") from error


def _from_json(file: IO[bytes]) -> Iterator[Transaction]:
    for number, line in _lines(file):
        place, value = f"line {number}", _json(number, line)
        try:
            rows = [
                (e, Keyword(a), _edn(place, v["edn"]) if isinstance(v, dict) else v, added)
                for e, a, v, added in value["datoms"]
            ]
            yield _transaction(place, value["t"], value["instant"], rows)
        except (KeyError, TypeError, ValueError) as error:
            raise ExchangeError(f"{place}: no transaction: {error!r}") from error


def _cells(file: IO[bytes]) -> Iterator[list[str]]:
    try:
        yield from csv.reader(text for _, text in _texts(file))
    except csv.Error as error:
        raise ExchangeError(f"not CSV: {error}") from error


def _from_csv(file: IO[bytes]) -> Iterator[Transaction]:
    rows = _cells(file)
    if next(rows, None) != _CSV_HEADER:
        raise ExchangeError(f"the first line is not {','.join(_CSV_HEADER)}")
    try:
        for (t, instant), group in groupby(rows, key=lambda row: tuple(row[:2])):
            parsed = [
                (
                    int(e),
                    Keyword(a),
                    _edn(f"transaction {t}", v),
                    {"true": True, "false": False}[op],
                )
                for _, _, e, a, v, op in group
            ]
            yield _transaction(f"transaction {t}", int(t), int(instant), parsed)
    except (ValueError, KeyError) as error:
        raise ExchangeError(f"no datoms: {error!r}") from error


def _from_msgpack(file: IO[bytes]) -> Iterator[Transaction]:
    frames = msgpack.Unpacker(file, use_list=False, raw=False, max_buffer_size=EXCHANGE_LINE_MAX)
    try:
        for frame in frames:
            if not isinstance(frame, tuple) or len(frame) != 2 or type(frame[1]) is not bytes:
                raise ExchangeError("a frame is a number and a record")
            t, blob = frame
            instant_ms, rows = decode_record("import", t, blob)
            yield _transaction(f"transaction {t}", t, instant_ms, rows)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise ExchangeError(f"not frames: {error!r}") from error
