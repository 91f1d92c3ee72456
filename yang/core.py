"""The core library: compiled once, kept as a file.

Is:     the files of `lib` as one segment and the names it gives to programs; the file that saves compiling it again.
Is not: a boundary: losing the file loses nothing, and what it holds was made here from this package's sources.
Fits:   `yang.compile` resolves names against it; `yind.cesk` loads its segment before any other.

The file's name is the hash of every source it depends on: the library, the rules, the tables and the compiler.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import msgpack

from datomstore.value import Keyword
from yang.canonical import decode, encode
from yang.errors import ProgramInvalid, Source, YangError
from yang.isa import ISA_VERSION
from yang.kept import find, keep
from yang.limits import PROGRAM_BYTES_MAX
from yang.pause import collector_paused
from yang.resolve import CoreLibrary
from yang.segment import Arity, Function, FunctionRef, Handler, Part, PrimitiveRef, Segment, Span

LIBRARY = "core"  # the name of the files together
# ORDER: a qualified name (impl/x, clojure.string/x) is defined before it is used.
FILES = (
    "seqs.clj",
    "core.clj",
    "sorted.clj",
    "regex.clj",
    "text.clj",
    "format.clj",
    "math.clj",
    "sets.clj",
    "walk.clj",
    "edn.clj",
    "control.clj",
    "logic.clj",
    "long.clj",
    "definitions.clj",
    "show.clj",
)
_SUFFIXES = (".py", ".dl", ".lark", ".clj")


class CoreInvalid(YangError):
    """The core library breaks a rule that the compiler relies on."""

    code = "core/invalid"


@cache
def core_library() -> CoreLibrary:
    """Return the core library. Cost: the first time ever, compiling it; then reading one file."""
    name = f"core-{sources_digest().hex()[:32]}.segment"
    kept = find(name)
    if kept is not None:
        with contextlib.suppress(ProgramInvalid), collector_paused():
            return _decoded(kept)
    library = compile_library()
    keep(name, _encoded(library))
    return library


def core_segment() -> Segment:
    """Return the core library's segment."""
    return core_library().segment


def core_source() -> Source:
    """Return the source of the core library."""
    folder = resources.files("yang") / "lib"
    return Source.of_files(
        LIBRARY, [(name, (folder / name).read_text(encoding="utf-8")) for name in FILES]
    )


def compile_library() -> CoreLibrary:
    """Return the core library, compiled now.

    Raises:
        SourceError: a mistake in it.
        CoreInvalid: it does something at its top level, or a name in it is not unique.
    """
    from yang.compile import compile_core  # which resolves names against the result

    source = core_source()
    compiled = compile_core(source)
    statics = compiled.ast_db.datoms("aevt", Keyword("scope/static"))
    exported = {
        str(name.v)
        for definition in statics
        for name in compiled.ast_db.datoms("eavt", definition.e, Keyword("ast/name"))
    }
    segment = compiled.segment
    if segment.globals:
        raise CoreInvalid(f"the core library has globals: {', '.join(segment.globals)}")
    return CoreLibrary(replace(segment, parts=source.parts), _exports(segment, exported))


def _exports(segment: Segment, names: set[str]) -> dict[str, Function]:
    exports: dict[str, Function] = {}
    for function in segment.functions:
        if function.name in names:
            if function.name in exports:
                raise CoreInvalid(f"two functions of the core library are called {function.name}")
            exports[function.name] = function
    return exports


def sources_digest() -> bytes:
    """Return the hash of everything that the kept library, and what is known of it, depends on."""
    whole = hashlib.sha256(f"{ISA_VERSION}".encode())
    for name, data in sorted(_sources(resources.files("yang"))):
        whole.update(f"{name}:{len(data)}:".encode() + data)
    return whole.digest()


def _sources(folder: Traversable) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _sources(entry)
        elif entry.name.endswith(_SUFFIXES):
            yield entry.name, entry.read_bytes()


def _encoded(library: CoreLibrary) -> bytes:
    segment = library.segment
    packed: bytes = msgpack.packb(
        {
            "hash": segment.program_hash,
            "source": segment.source_name,
            "code": segment.code,
            "constants": [_constant_out(value) for value in segment.constants],
            "globals": segment.globals,
            "functions": segment.functions,
            "handlers": segment.handlers,
            "nodes": segment.nodes,
            "spans": segment.spans,
            "parts": segment.parts,
            "entries": segment.entries,
            "slots": segment.slots,
            "exports": sorted(library.exports),
        }
    )
    return packed


def _decoded(data: bytes) -> CoreLibrary:
    """Raises ProgramInvalid when the bytes are not what `_encoded` makes."""
    try:
        fields = msgpack.unpackb(data, use_list=False)
        segment = Segment(
            program_hash=fields["hash"],
            source_name=fields["source"],
            code=fields["code"],
            constants=tuple(_constant_in(value) for value in fields["constants"]),
            globals=fields["globals"],
            functions=tuple(
                Function(name, count, names, tuple(Arity(*arity) for arity in arities))
                for name, count, names, arities in fields["functions"]
            ),
            handlers=tuple(Handler(*handler) for handler in fields["handlers"]),
            nodes=fields["nodes"],
            spans=tuple(map(Span._make, fields["spans"])),
            parts=tuple(Part(*part) for part in fields["parts"]),
            entries=fields["entries"],
            slots=fields["slots"],
        )
        return CoreLibrary(segment, _exports(segment, set(fields["exports"])))
    except (KeyError, TypeError, ValueError, msgpack.UnpackException, CoreInvalid) as error:
        raise ProgramInvalid(f"not a kept core library: {error}") from error


def _constant_out(value: object) -> tuple[Any, ...]:
    if isinstance(value, FunctionRef):
        return ("function", *value)
    if isinstance(value, PrimitiveRef):
        return ("primitive", *value)
    return ("value", encode(value))


def _constant_in(packed: tuple[Any, ...]) -> object:
    match packed:
        case ("function", core, index, name):
            return FunctionRef(core, index, name)
        case ("primitive", number):
            return PrimitiveRef(number)
        case ("value", data):
            value: object = decode(data, PROGRAM_BYTES_MAX)
            return value
    raise ProgramInvalid("not a constant")
