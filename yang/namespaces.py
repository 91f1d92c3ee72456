"""Namespaces of one program, and what its global names are.

Is:     aliases, referred names, definitions with their metadata; which name of the program a symbol means.
Is not: a thing at run time: a program is one tree with one set of names.
Fits:   `yang.expand` keeps one `Globals` per program.

The first namespace of a program is its home: its names stay as they are written. A name of any other one is qualified
(`app.text/words`), as are the library's. So a program of one namespace has the same hash whatever that is called.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from yang.forms import Form

USER = "user"  # where a program is before it says `ns`
CORE = "yin.core/"
CORE_NAMESPACES = frozenset({"yin.core", "clojure.core"})
SLASHED = frozenset({"/", "call/cc"})  # names of the core whose slash separates nothing


@dataclass(slots=True)
class Namespace:
    """One namespace, as far as names are concerned."""

    name: str
    aliases: dict[str, str] = field(default_factory=dict)
    referred: dict[str, str] = field(default_factory=dict)  # local name -> global name


@dataclass(slots=True)
class Global:
    """One definition of the program."""

    name: str
    namespace: str
    kind: str = "value"  # value, dynamic, macro, multimethod, protocol, type
    private: bool = False
    meta: tuple[tuple[Form, Form], ...] = ()
    more: object = None  # what the kind needs
    line: int = 0  # where it was defined
    is_function: bool = False  # and holds nothing else


class Globals:
    """The namespaces and definitions of one program."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.namespaces = {home: Namespace(home)}
        self.current = self.namespaces[home]
        self.table: dict[str, Global] = {}
        self.everywhere: frozenset[str] = (
            frozenset()
        )  # names of the home that all namespaces refer to
        self._is_home_open = True

    def branch(self) -> Globals:
        """Return the same namespaces and definitions for what follows; what it adds is not here."""
        twin = Globals(self.home)
        twin.namespaces = {
            name: Namespace(name, dict(known.aliases), dict(known.referred))
            for name, known in self.namespaces.items()
        }
        twin.current = twin.namespaces[self.current.name]
        twin.table, twin.everywhere = dict(self.table), self.everywhere
        twin._is_home_open = self._is_home_open
        return twin

    def enter(self, name: str) -> Namespace:
        """Make a namespace the current one; the first of a program without definitions is its home."""
        if self._is_home_open and name != self.home and not self.table:
            del self.namespaces[self.home]
            self.home = name
            self.namespaces[name] = Namespace(name)
        self._is_home_open = False
        self.current = self.namespaces.setdefault(name, Namespace(name))
        return self.current

    def close_home(self) -> None:
        """Fix the home namespace: what follows is code of others."""
        self._is_home_open = False

    def global_name(self, local: str, namespace: str | None = None) -> str:
        """Return the name in the tree of a definition of a namespace."""
        where = self.current.name if namespace is None else namespace
        return local if where == self.home else f"{where}/{local}"

    def namespace_of(self, alias: str) -> str | None:
        """Return the program's namespace that an alias or a name means here, None if there is none."""
        name = self.current.aliases.get(alias, alias)
        return name if name in self.namespaces else None

    def find(self, name: str) -> str | None:
        """Return the global name that a symbol means here, None if it is not one of the program's namespaces.

        A qualified symbol need not be defined yet.
        """
        if "/" in name and name not in SLASHED:
            before, _, local = name.partition("/")
            namespace = self.namespace_of(before)
            return None if namespace is None else self.global_name(local, namespace)
        own = self.global_name(name)
        if own in self.table:
            return own
        return self.current.referred.get(name, name if name in self.everywhere else None)

    def publics(self, namespace: str) -> dict[str, str]:
        """Return local and global names of what a namespace shows to others."""
        return {
            found.name.removeprefix(f"{namespace}/"): found.name
            for found in self.table.values()
            if found.namespace == namespace and not found.private
        }
