"""Every error of the compiler.

Is:     one root, a stable code per class, positions as attributes; the text people see, with its caret.
Is not: faults of running programs (`yind.cesk`).
Fits:   raised by every station; `cli` prints them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from yang.advice import advice
from yang.segment import Part, Span, place_in

ANYTHING = "*"  # among missing namespaces: one was referred to as a whole
_WINDOW = 160  # characters of a long line that are shown, around the place


class YangError(Exception):
    """Root. `code` is stable and documented."""

    code = "compile/error"
    rest: object = None  # what an expansion with errors has left, for later stations to look at (`yang.expand.Rest`)


class SourceError(YangError):
    """A place in a source text that cannot be compiled; `str` shows the place, its line and a caret."""

    code = "compile/source"

    def __init__(
        self,
        message: str,
        *,
        source: str,
        line: int,
        column: int,
        text_line: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.source = source
        self.line = line
        self.column = column
        self.text_line = text_line
        self.hint = hint
        self.unresolved: str | None = None  # the name that nothing has, if it is about one

    def __str__(self) -> str:
        lines = [f"{self.source}:{self.line}:{self.column}: {self.message}"]
        if self.text_line:
            start = max(0, self.column - 1 - _WINDOW // 2) if len(self.text_line) > _WINDOW else 0
            before = self.text_line[start : self.column - 1]
            indent = "".join("\t" if character == "\t" else " " for character in before)
            lines += [f"  {self.text_line[start : start + _WINDOW]}", f"  {indent}^"]
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class SourceErrors(YangError):
    """Several places of one source text, in the order of the text."""

    code = "compile/source"

    def __init__(self, errors: Sequence[SourceError]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


class ProgramInvalid(YangError):
    """Shipped bytes are not the canonical bytes of a program, or not of the one they are said to be."""

    code = "program/invalid"

    def __init__(self, message: str, *, node: int | None = None) -> None:
        super().__init__(message)
        self.node = node  # pre-order index of the node it was seen at


class EditRefused(YangError):
    """An edit would not lead to a program that means what it should; `span` says where, `entity` at which node."""

    code = "edit/refused"

    def __init__(self, message: str, *, span: Span, entity: int | None = None) -> None:
        super().__init__(message)
        self.span = span
        self.entity = entity


class MacroFault(YangError):
    """A macro failed while it ran, or came to what is no code."""

    code = "compile/macro"


class EvaluationRefused(YangError):
    """A form that a program evaluates cannot be compiled; `line` and `column` are places in the form as text."""

    code = "compile/evaluated"

    def __init__(self, message: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column

    @staticmethod
    def of(errors: Sequence[SourceError]) -> EvaluationRefused:
        """Return errors of a compilation as one."""
        text = "\n".join(str(error) for error in errors)
        return EvaluationRefused(text, line=errors[0].line, column=errors[0].column)


@dataclass(frozen=True, slots=True)
class Source:
    """A source text and its name; makes errors that show the line."""

    name: str
    text: str
    parts: tuple[Part, ...] = ()  # the files it was put together from
    words: frozenset[str] = frozenset()  # its macros: names that a misspelt one may have meant
    macro_uses: frozenset[str] = frozenset()  # names that those mention

    @staticmethod
    def of_files(name: str, files: Iterable[tuple[str, str]]) -> Source:
        """Return the text of several files (name, text), one after the other."""
        parts: list[Part] = []
        lines: list[str] = []
        for file_name, text in files:
            parts.append(Part(len(lines) + 1, file_name))
            lines += text.removesuffix("\n").split("\n")
        return Source(name, "\n".join(lines), tuple(parts))

    def with_part(self, name: str, text: str) -> tuple[Source, int]:
        """Return the source with another file at its end, and how many lines come before that."""
        parts = self.parts or (Part(1, self.name),)
        before = self.text.count("\n") + 1
        parts = (*parts, Part(before + 1, name))
        return Source(self.name, f"{self.text}\n{text}", parts, self.words), before

    def texts(self) -> dict[str, str]:
        """Return the text of each file, by its name."""
        if not self.parts:
            return {self.name: self.text}
        lines = self.text.split("\n")
        ends = [part.line - 1 for part in self.parts[1:]] + [len(lines)]
        return {
            part.name: "\n".join(lines[part.line - 1 : end])
            for part, end in zip(self.parts, ends, strict=True)
        }

    def line(self, number: int) -> str:
        """Return one line without its end; empty when the text has none such."""
        lines = self.text.split("\n")
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""

    def written(self, span: Span, name: str) -> str:
        """Return a name as it is written at a place: behind an alias, or by itself; as it is when it is not there."""
        text = self.line(span.line)[span.column - 1 : span.end_column - 1]
        local = name.rpartition("/")[2]
        return text if text and text.rpartition("/")[2] == local else name

    def error(self, message: str, span: Span, hint: str | None = None) -> SourceError:
        """Return (not raise) the error of a place."""
        name, place = place_in(self.parts, self.name, span)
        return SourceError(
            message,
            source=name,
            line=place.line,
            column=place.column,
            text_line=self.line(span.line),
            hint=hint or advice(message),
        )


def raise_all(errors: Sequence[SourceError], rest: object = None) -> None:
    """Raise the errors there are, each once: one as itself, several together."""
    distinct = list({str(error): error for error in errors}.values())
    if not distinct:
        return
    raised: SourceError | SourceErrors = (
        distinct[0] if len(distinct) == 1 else SourceErrors(distinct)
    )
    raised.rest = rest
    raise raised


def errors_in(raised: YangError) -> list[SourceError]:
    """Return the errors that were raised together, or the one."""
    if isinstance(raised, SourceErrors):
        return list(raised.errors)
    return [raised] if isinstance(raised, SourceError) else []
