"""Types of the fields of messages (`_shapes.pyx`)."""

from typing import Any

class Form:
    """What a field may be: of a type, and so large, or so long; of a tuple, what each member is."""

    def __init__(
        self, kind: type, least: int = 0, most: int = 0, item: Form | None = None
    ) -> None: ...

class Shape:
    """The fields of a struct, in their order."""

    kind: type
    names: tuple[str, ...]

    def __init__(self, kind: type, names: tuple[str, ...], *forms: Form) -> None: ...
    def values(self, message: object, /) -> tuple[Any, ...]:
        """Return what the fields of a message are. Raises ValueError that names one that is wrong."""
    def message(self, values: tuple[object, ...], /) -> Any:
        """Return the message of these values, more than which may follow. Raises ValueError."""
