"""Forms to core forms: derived forms rewritten, names resolved to what they can mean, malformed forms refused.

Is:     the walk over special forms with the scope of local names; namespaces and their aliases.
Is not: the derived forms themselves (`yang.derived`), nor resolution of names to slots (rules).
Fits:   between the reader and `yang.lower`, which takes core forms without checking them.

Core forms: quote, if, do, def, let*, loop*, letfn*, fn*, recur, try/catch/finally, throw, and calls. As in Clojure these
cannot be shadowed; derived forms can, by locals and by the program's own definitions. What a derived form
expands to names functions as `yin.core/x`, which nothing shadows, and locals as `x~1`, which no reader accepts.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

from datomstore.value import Keyword
from yang.definitions import EVALUATING, METAS, PATTERNS, REWRITTEN, THREADS, VALUES, evaluating
from yang.derived import DERIVED, WRITTEN_OUT, Derived
from yang.environment import FEATURES, declarations, definitions_in, record_of
from yang.errors import (
    ANYTHING,
    MacroFault,
    ProgramInvalid,
    Source,
    SourceError,
    SourceErrors,
    errors_in,
    raise_all,
)
from yang.forms import (
    Exact,
    Expansion,
    Form,
    call,
    function_list,
    leaves_of,
    literal,
    symbol,
    text_of,
    vector,
)
from yang.host import ALONE, Host
from yang.limits import ERRORS_SHOWN_MAX, MACRO_DEPTH_MAX
from yang.macros import COUNTER, Macro, Macros
from yang.namespaces import CORE, CORE_NAMESPACES, SLASHED, USER, Global, Globals
from yang.near import near_hint
from yang.program import HASH_SIZE, tree_of
from yang.reader.clojure import read_on
from yang.reader.resolve import resolve
from yang.segment import Span
from yang.special import SPECIAL, global_name
from yang.types_and_protocols import CLASS_NAMES, FULL_NAMES, IMPORTED, construct
from yang.unread import promised
from yang.walk import Walk, run

Scope: TypeAlias = frozenset[str]

ALIASES = {
    "str": "clojure.string",
    "string": "clojure.string",
    "set": "clojure.set",
    "walk": "clojure.walk",
    "edn": "clojure.edn",
    "math": "clojure.math",
}
LIBRARIES = frozenset(f"clojure.{name}" for name in ("string", "set", "walk", "edn", "math"))
CONSTANTS = {
    "clojure.math/PI": math.pi,
    "clojure.math/E": math.e,
}  # the library's only names that are no functions
_SLASHED = SLASHED

# Of Clojure, and refused by name rather than compiled to something else. A program may define such a name itself.
UNSUPPORTED = frozenset(
    [
        "..",
        "add-classpath",
        "amap",
        "areduce",
        "bound-fn*",
        "defstruct",
        "definline",
        "definterface",
        "dosync",
        "gen-class",
        "gen-interface",
        "import",
        "intern",
        "io!",
        "load",
        "load-file",
        "load-reader",
        "memfn",
        "proxy",
        "proxy-super",
        "pvalues",
        "pcalls",
        "read-line",
        "refer-clojure",
        "send",
        "send-off",
        "slurp",
        "spit",
        "sync",
        "with-bindings",
        "with-in-str",
        "with-local-vars",
        "with-open",
        "with-redefs-fn",
    ]
)


Origin: TypeAlias = tuple[Expansion, ...]
_Entry: TypeAlias = tuple[Form, Origin] | Callable[[], None]


_STATED = Keyword("yin/in")


class Known(NamedTuple):
    """What an expansion found out too late, and is done again with."""

    own: frozenset[str] = (
        frozenset()
    )  # names that mean the program's definitions, also before these
    renamed: frozenset[str] = frozenset()  # of locals that hide a definition which a macro means
    dynamic: frozenset[str] = frozenset()  # dynamic variables, also before their definitions
    features: frozenset[str] = frozenset()  # see yang.definitions


NOTHING_KNOWN = Known()


class Expanded(NamedTuple):
    """The core forms of a program, and its source with all files that it required."""

    forms: tuple[Form, ...]
    source: Source


class Rest(NamedTuple):
    """What is left of an expansion with errors: enough to find those of later stations, too."""

    forms: tuple[Form, ...]
    source: Source
    unsure: frozenset[str]  # names that a form with errors may define
    missing: frozenset[str]  # namespaces that were not found, of which nothing is known

    def may_have(self, name: str) -> bool:
        """Return whether a name that is not defined may be so because of an error."""
        namespace = name.rpartition("/")[0]
        return name in self.unsure or namespace in self.missing or ANYTHING in self.missing


class Expander:
    """One expansion: what the program defined so far, its namespaces, its macros, and the count of made names."""

    def __init__(
        self,
        source: Source,
        *,
        core: bool,
        known: Known,
        host: Host,
        more: Mapping[str, Derived] | None = None,
    ) -> None:
        self.source = source
        self.core = core
        self.host = host
        self._is_session = more is not None
        self.syntax = DERIVED if more is None else {**DERIVED, **more}
        self.globals = Globals("yin.core" if core else USER)
        self.macros = Macros(host, source)
        self.defined: set[str] = set()
        self.own = known.own
        self.renamed = known.renamed
        self.features = set(known.features)
        self._known = known
        self._wanted: set[str] = set()
        self.written_out: set[str] = set()
        self.hidden: set[str] = set()  # definitions that locals hide
        self.dynamic = set(known.dynamic)
        self.early: set[str] = set()  # names used before a definition
        self.prelude: dict[str, Form] = {}  # definitions that forms need, before all others
        self._pending: deque[_Entry] = deque()  # top-level forms, and what is done between them
        self._arriving: list[_Entry] = []  # what comes before them
        self.loaded: set[str] = set()
        self._files: dict[str, tuple[str, str]] = {}  # name and text of what namespaces are in
        self._again: set[str] = set()  # namespaces to be read again
        self.errors: list[SourceError] = []
        self.unsure: set[str] = set()
        self.missing: set[str] = set()
        self.broken: set[str] = set()  # macros with errors inside
        self.unread_count = 0  # of errors, those of the reader
        self.unread: set[str] = (
            set()
        )  # names in forms that nobody could read, on which others build
        self._made = 0
        self._depth = 0  # of macro calls in expansions
        self._whole = literal(None, Span(1, 1, 1, 1))  # the top-level form that is expanded now
        self.written: dict[str, tuple[Form, Source]] = {}  # the forms that definitions stand in

    @property
    def namespace(self) -> str:
        """Return the name of the current namespace."""
        return self.globals.current.name

    current = namespace

    @property
    def is_open(self) -> bool:
        """Whether code may be compiled later against what this defines, so that definitions can change."""
        return self._is_session or self.has("eval")

    def fresh(self, name: str) -> str:
        """Return a local name that nothing else has."""
        self._made += 1
        return f"{name}~{self._made}"

    def fresh_symbol(self, name: str) -> str:
        """Return a symbol that nothing else has, and that a reader would accept."""
        self._made += 1
        return f"{name}__{self._made}"

    def error(self, message: str, span: Span, hint: str | None = None) -> SourceError:
        """Return (not raise) the error of a place."""
        return self.source.error(message, span, hint)

    def check_local(self, form: Form) -> str:
        """Return the name a form gives to a local. Raises SourceError."""
        if form.kind != "symbol":
            raise self.error("a local's name is a symbol", form.span)
        name: str = form.value
        if name == "&":
            raise self.error("& stands only before the last parameter", form.span)
        if "/" in name and name not in _SLASHED:
            hint = None
            if name.startswith(f"{self.namespace}/"):
                hint = f"in a syntax quote write {name.partition('/')[2]}# or ~'{name.partition('/')[2]}"
            raise self.error(f"a local cannot have the qualified name {name}", form.span, hint)
        return name

    def local(self, form: Form) -> Form:
        """Return the symbol of a local as core forms have it."""
        if form.value.__class__ is Exact:
            return form._replace(value=form.value.plain)
        return form._replace(value=f"{form.value}~") if form.value in self.renamed else form

    # -- names --

    def is_own(self, name: str) -> bool:
        """Return whether an unqualified name means a definition of the program, or what it referred to."""
        if self.core:
            return name in self.defined
        if "/" in name and name not in _SLASHED:
            return False
        return (
            self.globals.global_name(name) in self.defined or name in self.globals.current.referred
        )

    def global_of(self, form: Form, scope: Scope) -> Global | None:
        """Return the program's definition that a symbol means, if it is known already."""
        if form.kind != "symbol" or form.value in scope or self.core:
            return None
        name = self.globals.find(form.value)
        return None if name is None else self.globals.table.get(name)

    def name(self, form: Form, scope: Scope) -> Form:
        """Return a symbol as core forms have it: local, global of the program, or full name of a library's."""
        name: str = form.value
        if name in scope or name.__class__ is Exact:
            return self.local(form)
        if self.core:
            return self._core_name(form)
        found = self.globals.find(name)
        if found is not None:
            if "/" in name and found not in self.globals.table:
                self._refuse(name.partition("/")[2], name, form.span)
            return self._global(form, found, scope)
        if "/" in name and name not in _SLASHED:
            return self._qualified(form)
        value = self._changed_value(form)
        if value is not None:
            return value
        if name == "gensym":
            counter = symbol(self.gensym_name(form.span), form.span)
            return call(form.span, "yin.core/impl/gensym-of", counter)
        if name in FULL_NAMES:
            return call(form.span, "quote", form)
        self._refuse(name, name, form.span)
        if name == "*ns*":
            return call(form.span, "quote", symbol(self.namespace, form.span))
        return self._not_yet(form)

    def _core_name(self, form: Form) -> Form:
        name: str = form.value
        if name in self.defined:
            return form
        if "/" in name and name not in _SLASHED:
            return self._qualified(form)
        self._refuse(name, name, form.span)
        return form

    def _global(self, form: Form, name: str, scope: Scope) -> Form:
        """Return what a global of the program is in core forms."""
        known = self.globals.table.get(name)
        if known is None:
            self.early.add(name)
        elif known.private and known.namespace != self.namespace:
            raise self.error(f"{form.value} is private in {known.namespace}", form.span)
        elif known.kind == "macro":
            hint = f"wrap it: #({form.value} ...)"
            raise self.error(f"{form.value} is a macro, it has no value", form.span, hint)
        if name in scope:
            self.hidden.add(name)
        found = form._replace(value=name)
        if name in self.dynamic:
            return call(form.span, "yin.core/dynamic-value", found)
        return found

    def _not_yet(self, form: Form) -> Form:
        """Return a name that the program has not defined so far: the library's, or one that follows."""
        name: str = form.value
        own = self.globals.global_name(name)
        if own in self.dynamic:
            return call(form.span, "yin.core/dynamic-value", form._replace(value=own))
        self.early.add(own)
        if name in IMPORTED and own not in self.own:
            self.written_out.add(own)
            return call(form.span, "quote", form._replace(value=CLASS_NAMES[name]))
        if self.namespace == self.globals.home:
            return form
        if name in self.core_names:
            return form._replace(value=CORE + name)
        return form._replace(value=own)

    @cached_property
    def core_names(self) -> frozenset[str]:
        """Return the names of the library and the machine."""
        from yang.core import core_library  # the library is compiled with this module
        from yang.resolve import names_known

        return frozenset(names_known(core_library()))

    def _refuse(self, local: str, name: str, span: Span) -> None:
        """Raise SourceError for a name that stands for no value."""
        if local in SPECIAL:
            raise self.error(f"{name} is a special form, it has no value", span)
        if local in DERIVED:
            raise self.error(f"{name} is syntax, it has no value", span, f"wrap it: #({name} ...)")
        if local in UNSUPPORTED:
            raise self.error(f"{name} is not supported", span)
        if name != local or name in _SLASHED:
            return
        if "." in name.strip("."):
            raise self.error(f"there are no classes, so no {name}", span)
        if name != "..." and (name[0] == "." or name[-1] == "."):
            raise self.error(f"{name}: Java's methods and constructors do not exist here", span)

    def library_of(self, alias: str) -> str | None:
        """Return the library's namespace that an alias or a name means here, None if there is none."""
        name = self.globals.current.aliases.get(alias, ALIASES.get(alias, alias))
        if name in CORE_NAMESPACES:
            return "yin.core"
        return name if name in LIBRARIES else None

    def _qualified(self, form: Form) -> Form:
        name: str = form.value
        before, _, local = name.partition("/")
        if self.core and before == "impl":
            return form
        namespace = self.library_of(before)
        if namespace == "yin.core":
            self._refuse(local, name, form.span)
            return form._replace(value=CORE + local)
        if namespace is not None:
            full = f"{namespace}/{local}"
            if full in CONSTANTS:
                return literal(CONSTANTS[full], form.span)
            return form._replace(value=full)
        raise self.error(
            f"no namespace {before}, so no {name}",
            form.span,
            self._namespace_hint(before),
        )

    def _namespace_hint(self, before: str) -> str:
        if before[:1].isupper():
            return "there are no classes of Java here"
        known = {*self.globals.current.aliases, *ALIASES, *self.globals.namespaces, *LIBRARIES}
        near = near_hint(before, known)
        if near is not None:
            return near
        return f"(:require [some.namespace :as {before}]); there are {', '.join(sorted(LIBRARIES))}"

    def gensym_name(self, span: Span) -> str:
        """Return the name of the definition that `gensym` counts with."""
        if COUNTER not in self.prelude:
            start = call(span, "yin.core/atom", literal(0, span))
            self.hide(COUNTER, start)
        return COUNTER

    def hide(self, name: str, init: Form) -> None:
        """Put a definition that no source text can name before all others."""
        if name not in self.prelude:
            self.prelude[name] = call(init.span, "def", symbol(name, init.span), init)
            self.macros.note(self.prelude[name])

    def patterns(self) -> list[Form]:
        """Return the definitions of patterns, the first of all, in an order that does not depend on their uses."""
        names = sorted(name for name in self.prelude if name.startswith(PATTERNS))
        return [self.prelude[name] for name in names]

    def helpers(self) -> list[Form]:
        """Return the other definitions that stand before those of the text."""
        return [form for name, form in self.prelude.items() if not name.startswith(PATTERNS)]

    # -- variables and what the whole program needs --

    def need(self, feature: str) -> None:
        """Note that the program has a feature, which changes what some names mean in all of it."""
        self.features |= FEATURES if feature == "eval" else {feature}

    def has(self, feature: str) -> bool:
        """Return whether the program is known to have a feature."""
        return feature in self._known.features

    def want(self, name: str) -> None:
        """Note that a name is used that means something else in programs with a feature."""
        self._wanted.add(name)

    def features_needed(self) -> frozenset[str]:
        """Return the features of the program; of a promise outside of threads `deref` waits."""
        threaded = {"run-threads", "spawn", "async"} & (self.early | self._wanted)
        if {"promise", "deref"} <= self._wanted and not threaded:
            self.features.add("references")
        return frozenset(self.features)

    def _changed_value(self, form: Form) -> Form | None:
        """Return what a function is as a value in programs with a feature."""
        name: str = form.value
        if name == "deref" and (self.has("references") or self.has("watches")):
            self.hide_threads(form.span)
            return call(form.span, "yin.core/impl/deref-of", symbol(THREADS, form.span))
        if name in EVALUATING:
            return evaluating(self, form)
        if name in VALUES or name == "deref":
            self.want(name)
        feature, function = VALUES.get(name, ("", ""))
        return form._replace(value=CORE + function) if feature and self.has(feature) else None

    def hide_threads(self, span: Span) -> None:
        """Put the queue of threads that can go on before all definitions."""
        empty = Form("list", (), span)
        self.hide(THREADS, call(span, "yin.core/atom", vector([empty, empty], span)))

    def _own_global(self, form: Form) -> Global | None:
        name = self.globals.find(form.value) if form.kind == "symbol" else None
        return None if name is None else self.globals.table.get(name)

    def dynamic_cell(self, form: Form, hint: str) -> str:
        """Return the name of a dynamic variable. Raises SourceError."""
        found = self._own_global(form)
        if found is None:
            raise self.error(f"no variable {text_of(form)} in this program", form.span)
        if found.name not in self.dynamic:
            raise self.error(f"{text_of(form)} is not dynamic", form.span, hint)
        return found.name

    def is_dynamic(self, form: Form) -> bool:
        """Return whether a name means a dynamic variable of the program."""
        found = self._own_global(form)
        return found is not None and found.name in self.dynamic

    def own_name(self, form: Form) -> str:
        """Return the global name of a variable of the program. Raises SourceError."""
        found = self._own_global(form)
        if found is None or found.kind != "value":
            raise self.error(f"{text_of(form)} is not a variable of this program", form.span)
        return found.name

    def changing_cell(self, form: Form) -> str:
        """Return the name of a variable whose root changes: all of the program reads it as a dynamic one."""
        found = self._own_global(form)
        if found is None or found.kind not in ("value", "dynamic"):
            raise self.error(f"{text_of(form)} is not a variable of this program", form.span)
        if found.name not in self.dynamic:
            self.dynamic.add(found.name)
            self.early.add(found.name)
        return found.name

    def var_name(self, name: str) -> str:
        """Return the full name of a global."""
        found = self.globals.table[name]
        return f"{found.namespace}/{name.removeprefix(found.namespace + '/')}"

    def var_value(self, form: Form) -> Form:
        """Return what a variable holds, also when it is private."""
        found = self._own_global(form)
        if found is None:
            return form
        if found.kind == "macro":
            raise self.error(f"{form.value} is a macro, it has no value", form.span)
        raw = call(form.span, "global~", symbol(found.name, form.span))
        if found.name in self.dynamic:
            return call(form.span, "yin.core/dynamic-value", raw)
        return raw

    def var_meta(self, form: Form) -> Form:
        """Return what is known of a variable: name, namespace, and what ^ and doc strings say."""
        span = form.span
        found = self._own_global(form)
        if found is None:
            raise self.error(f"no variable {text_of(form)} in this program", span)
        full = self.var_name(found.name)
        namespace, _, local = (
            full.rpartition("/") if not full.endswith("//") else (full[:-2], "", "/")
        )
        entries: dict[str, tuple[Form, Form]] = {}
        for key, value in (
            *found.meta,
            (literal(Keyword("name"), span), call(span, "quote", symbol(local, span))),
            (literal(Keyword("ns"), span), call(span, "quote", symbol(namespace, span))),
            (literal(Keyword("line"), span), literal(found.line, span)),
        ):
            if text_of(key) == ":tag" and value.kind == "symbol":
                value = call(span, "quote", value)
            entries[text_of(key)] = (key, value)
        said = Form("map", tuple([part for entry in entries.values() for part in entry]), span)
        if not self.has("metas"):
            return said
        name = call(span, "quote", symbol(full, span))
        return call(span, "yin.core/get", self.metas(span), name, said)

    def variable(self, form: Form) -> Form:
        """Return `#'name` as a value: a function is called as itself, others are asked by deref."""
        found = self._own_global(form)
        value = self.var_value(form)
        if found is None or found.kind in ("multimethod", "protocol", "type"):
            return value
        if found.is_function and found.name not in self.dynamic:
            return value
        self.need("references")
        span = form.span
        name = call(span, "quote", symbol(self.var_name(found.name), span))
        thunk = call(span, "fn*", vector([], span), value)
        return call(span, "yin.core/impl/variable", name, thunk, self.var_meta(form))

    def metas(self, span: Span) -> Form:
        """Return what `alter-meta!` and `reset-meta!` made of the metadata of variables, a map from their names."""
        return call(span, "yin.core/deref", self.changing_metas(span))

    def changing_metas(self, span: Span) -> Form:
        """Return the atom with that map."""
        self.need("metas")
        self.hide(METAS, call(span, "yin.core/atom", Form("map", (), span)))
        return call(span, "global~", symbol(METAS, span))

    def expand_once(self, form: Form) -> Form | None:
        """Return what a form expands to at first, None if it does not."""
        if form.kind != "list" or not form.value or form.value[0].kind != "symbol":
            return None
        none: Scope = frozenset()
        macro = self.macro_of(form.value[0], none)
        if macro is not None:
            return self.expand_macro(macro, form, none)
        if form.value[0].value in SPECIAL:
            return None
        derived = self._derived(form, none)
        return None if derived is None else derived(self, form)

    # -- what syntax quote asks --

    def namespace_of(self, alias: str) -> str | None:
        """Return the namespace that an alias stands for."""
        return self.globals.namespace_of(alias) or self.library_of(alias)

    def full_name(self, name: str) -> str:
        """Return a symbol as syntax quote resolves it."""
        if name in SPECIAL or name == "&" or name[0] == "." or name[-1] == ".":
            return name
        if "/" in name and name not in _SLASHED:
            before, _, local = name.partition("/")
            namespace = self.namespace_of(before) or before
            return f"clojure.core/{local}" if namespace == "yin.core" else f"{namespace}/{local}"
        if not self.core:
            own = self.globals.global_name(name)
            if own in self.globals.table:
                return f"{self.namespace}/{name}"
            referred = self.globals.current.referred.get(name)
            if referred is not None:
                return referred if "/" in referred else f"{self.globals.home}/{referred}"
            if name in DERIVED or name in UNSUPPORTED or name in self.core_names:
                return f"clojure.core/{name}"
            if "." in name.strip("."):
                return name
        return f"{self.namespace}/{name}"

    # -- macros and derived forms --

    def macro_of(self, head: Form, scope: Scope) -> Macro | None:
        """Return the macro that the head of a list means."""
        if not self.macros.table:
            return None
        found = self.global_of(head, scope)
        if found is None or found.kind != "macro":
            return None
        if found.private and found.namespace != self.namespace:
            raise self.error(f"{head.value} is private in {found.namespace}", head.span)
        return self.macros.table[found.name]

    def expand_macro(self, macro: Macro, form: Form, scope: Scope) -> Form:
        """Return what a macro makes of a call. Raises SourceError."""
        if macro.name in self.broken:
            return literal(None, form.span)
        self._depth += 1
        if self._depth > MACRO_DEPTH_MAX:
            message = f"macros expand to macro calls more than {MACRO_DEPTH_MAX} deep"
            raise self.error(message, form.span)
        try:
            expanded, self._made = self.macros.expand(macro, form, scope, self._made)
        except MacroFault as fault:
            raise self.error(f"in the macro {form.value[0].value}: {fault}", form.span) from None
        except (SourceError, SourceErrors) as error:
            if self._is_told(error):
                return literal(None, form.span)
            raise error from None
        return expanded

    def _is_told(self, error: SourceError | SourceErrors) -> bool:
        """Return whether it was told already why something that a macro needs does not compile."""
        if len(self.errors) > self.unread_count:
            return True
        rest = self._rest(())
        names = [one.unresolved for one in errors_in(error)]
        return all(name is not None and rest.may_have(name) for name in names)

    def _derived(self, form: Form, scope: Scope) -> Callable[[Expander, Form], Form] | None:
        """Return the derived form that a head means, unless it is shadowed."""
        name: str = form.value[0].value
        found = self.syntax.get(name)
        if found is not None:
            return None if name in scope or self.is_own(name) else found
        found = WRITTEN_OUT.get((name, len(form.value) - 1))
        if found is not None:
            if self.core or name in scope or name in self.own or self.is_own(name):
                return None
            self.written_out.add(name)
            return found
        rewritten = self._rewritten(form, scope)
        if rewritten is not None:
            return lambda expander, form: rewritten
        before, slash, local = name.partition("/")
        is_ours = not self.core and self.globals.namespace_of(before) is not None
        if slash and local and not is_ours and self.library_of(before) == "yin.core":
            return self.syntax.get(local)
        return None

    def _rewritten(self, form: Form, scope: Scope) -> Form | None:
        """Return a call in the form that what is known of the program gives it, None for an ordinary one."""
        name: str = form.value[0].value
        if self.core or name in scope or self.is_own(name):
            return None
        if name[-1] == "." and len(name) > 1:
            return construct(self, form)
        before, slash, local = name.partition("/")
        if slash and local and before in ("yin.core", "clojure.core"):
            name = local
        rewriting = REWRITTEN.get(name)
        return None if rewriting is None else rewriting(self, form)

    # -- the walk --

    def form(self, form: Form, scope: Scope) -> Walk[Form]:
        """Expand one form."""
        origin: Origin = ()
        described = form if form.meta and _is_described(form) and is_function(form) else None
        while (form.kind == "list" and form.value) or form.kind == "function":
            if form.kind == "function":
                form = function_list(form)
                continue
            head: Form = form.value[0]
            if head.kind != "symbol" or head.value.__class__ is Exact:
                break
            special = SPECIAL.get(head.value)
            if special is not None:
                made = yield special(self, form, scope)
                if described is not None:
                    metadata = yield self._metadata(described, scope)
                    made = call(form.span, "yin.core/with-meta", made, metadata)
                return self._done(made, origin)
            macro = self.macro_of(head, scope)
            if macro is not None:
                origin = (*origin, Expansion(macro.name, form))
                form = self.expand_macro(macro, form, scope)
                continue
            derived = self._derived(form, scope)
            if derived is None:
                if head.value in UNSUPPORTED:
                    self.leaf(head, scope)  # is refused, unless it is the program's own
                break
            form = derived(self, form)
        if form.is_leaf:
            return self._done(self.leaf(form, scope), origin)
        made = form._replace(value=(yield self.all(form.value, scope)))
        if form.meta and form.kind != "list" and _is_described(form):
            made = call(form.span, "yin.core/with-meta", made, (yield self._metadata(form, scope)))
        return self._done(made, origin)

    def _metadata(self, form: Form, scope: Scope) -> Walk[Form]:
        """Return the map that ^ gives a form."""
        entries = {text_of(key): (key, value) for key, value in form.meta}
        entries.pop(f":{_STATED.name}", None)
        parts = [part for entry in entries.values() for part in entry]
        expanded = yield self.all(parts, scope)
        return Form("map", expanded, form.span)

    def _done(self, form: Form, origin: Origin) -> Form:
        """Return a core form that macro calls expanded to."""
        if not origin:
            return form
        self._depth -= len(origin)
        return _from(form, origin)

    def leaf(self, form: Form, scope: Scope) -> Form:
        """Expand a form without parts."""
        return self.name(form, scope) if form.kind == "symbol" else form

    def all(self, forms: Sequence[Form], scope: Scope) -> Walk[tuple[Form, ...]]:
        """Expand forms in order."""
        out: list[Form] = []
        for form in forms:
            try:
                expanded = (
                    self.leaf(form, scope) if form.is_leaf else (yield self.form(form, scope))
                )
            except (SourceError, SourceErrors) as error:
                if len(self.errors) >= ERRORS_SHOWN_MAX:
                    raise
                self.note(error)
                expanded = literal(None, form.span)
            out.append(expanded)
        return tuple(out)

    def count(self, form: Form, least: int, most: int | None, shape: str) -> tuple[Form, ...]:
        """Return the arguments of a form. Raises SourceError if there are too few or too many."""
        arguments: tuple[Form, ...] = form.value[1:]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            some = f"{len(arguments)} form{'s' * (len(arguments) != 1)} after its head"
            bound = f"at least {least}" if len(arguments) < least else f"at most {most}"
            raise self.error(
                f"the form is {shape}", form.span, f"this has {some}; {bound} belong there"
            )
        return arguments

    def pairs(self, form: Form, shape: str) -> list[tuple[Form, Form]]:
        """Return names and values of a binding vector. Raises SourceError."""
        if form.kind != "vector":
            raise self.error(f"bindings stand in a vector: {shape}", form.span)
        if len(form.value) % 2:
            raise self.error("a name in the bindings has no value", form.value[-1].span)
        return list(zip(form.value[::2], form.value[1::2], strict=True))

    # -- what expansion found out, and expansion again --

    def expanded(self, forms: Iterable[Form]) -> list[Form]:
        """Return the core forms of top-level forms. Raises SourceError, or SourceErrors for all that is wrong."""
        out = self.statements(forms)
        if self.errors:
            raise_all(self.errors[:ERRORS_SHOWN_MAX], self._rest(out))
        return out

    def _rest(self, statements: Iterable[Form]) -> Rest:
        whole = (*self.patterns(), *self.helpers(), *statements)
        source = self.source_with_words()
        return Rest(whole, source, frozenset(self.unsure), frozenset(self.missing))

    def found_out(self) -> Known:
        """Return what was known from the beginning together with what came out at the end."""
        known = self._known
        return Known(
            known.own | (self.defined if self.written_out & self.defined else set()),
            known.renamed | self.hidden,
            known.dynamic | (self.dynamic & self.early),
            self.features_needed(),
        )

    def source_with_words(self) -> Source:
        """Return the source with the names that a misspelt one may have meant, and those that macros mention."""
        words = self.macros.table.keys() | SPECIAL.keys() | self.syntax.keys()
        words = {word for word in words | self.unsure if "~" not in word}
        return replace(self.source, words=frozenset(words), macro_uses=self.macros.mentioned())

    def branch(self, source: Source, known: Known) -> Expander:
        """Return an expander for what follows, which changes nothing here: it may be given up."""
        twin = copy(self)
        twin.source = source
        twin.globals = self.globals.branch()
        twin.macros = self.macros.branch(source)
        twin.defined, twin.early, twin.loaded = set(self.defined), set(self.early), set(self.loaded)
        twin.written_out, twin.hidden = set(self.written_out), set(self.hidden)
        twin.own, twin.renamed, twin._known = known.own, known.renamed, known
        twin.dynamic, twin.features = self.dynamic | known.dynamic, set(known.features)
        twin._wanted, twin.prelude = set(self._wanted), dict(self.prelude)
        twin._pending, twin._arriving = deque(), []
        twin.unread_count = 0
        twin.errors, twin.unsure, twin.missing = [], set(self.unsure), set(self.missing)
        twin.broken, twin.unread = set(self.broken), set(self.unread)
        twin._again, twin._files = set(), dict(self._files)
        twin.written = dict(self.written)
        return twin

    def use(self, host: Host, *, made: int) -> None:
        """Take another host, and number the names that are made from a number on."""
        self.host = self.macros.host = host
        self._made = made

    # -- the top level --

    def statements(self, forms: Iterable[Form]) -> list[Form]:
        """Return the core forms of top-level forms; what is wrong is noted, and nil in its place."""
        out: list[Form] = []
        self._pending.extend([(form, ()) for form in forms])
        while self._pending and len(self.errors) < ERRORS_SHOWN_MAX:
            entry = self._pending.popleft()
            if isinstance(entry, tuple) and entry[0].kind == "unread":
                self._pass_over(entry[0])
                continue
            count = len(self.errors)
            try:
                if isinstance(entry, tuple):
                    self._enter_stated(entry[0])
                    self._statement(resolve(entry[0], self), entry[1], out)
                else:
                    entry()
            except (SourceError, SourceErrors) as error:
                self.note(error)
                if isinstance(entry, tuple):
                    self._note_unsure(entry[0])
            if len(self.errors) > count and isinstance(entry, tuple):
                self._forgive(entry[0], count)
            self._pending.extendleft(reversed(self._arriving))
            self._arriving.clear()
        return out

    def note(self, error: SourceError | SourceErrors) -> None:
        """Take an error, after which expansion goes on."""
        self.errors += errors_in(error)

    def note_unread(self, errors: Sequence[SourceError]) -> None:
        """Take the errors of the reader; what they are about are forms of the kind `unread`."""
        self.errors += errors
        self.unread_count += len(errors)

    def _note_unsure(self, form: Form) -> None:
        """Note what a form that could not be expanded would have defined."""
        names = form.value[1:] if form.kind == "list" else ()
        for name in names[:1]:
            if name.kind == "symbol":
                self.unsure.add(self.globals.global_name(name.value))

    def _pass_over(self, form: Form) -> None:
        """Note what a form that could not be read would have defined."""
        found = promised(form)
        if found.namespace is not None and not self.core:
            self.enter(found.namespace)
        self.unsure |= {self.globals.global_name(name) for name in found.values}
        self.unread |= {self.globals.global_name(name) for name in found.shapes}
        for name in found.macros:
            own = self.globals.global_name(name)
            self.globals.table[own] = Global(own, self.namespace, "macro")
            nothing = call(form.span, "def", symbol(own, form.span), literal(None, form.span))
            self.macros.define(own, nothing, sees_locals=False, arglists=())
            self.broken.add(own)
        for short, namespace in found.aliases.items():
            if self.library_of(namespace) is None:
                self.miss(namespace)
            self.globals.current.aliases[short] = namespace
        if found.requires:
            self.missing.add(ANYTHING)

    def _forgive(self, form: Form, count: int) -> None:
        """Take back the errors after so many, if the form names what only an unread one tells the shape of."""
        if not self.unread:
            return
        leaves = leaves_of(form)
        names = {leaf.value.rpartition("/")[2].rstrip(".") for leaf in leaves if _is_symbol(leaf)}
        if not self.unread.isdisjoint(map(self.globals.global_name, names)):
            del self.errors[count:]
            self._pass_over(Form("unread", leaves, form.span))

    def miss(self, namespace: str) -> None:
        """Take a namespace that was not found for one that has every name."""
        self.missing.add(namespace)
        self.globals.namespaces.setdefault(namespace, type(self.globals.current)(namespace))

    def _statement(self, form: Form, origin: Origin, out: list[Form]) -> None:
        """Expand one top-level form; the parts of a `do` are such forms themselves."""
        none: Scope = frozenset()
        self._depth = 0
        self._whole = form
        while form.kind == "list" and form.value and form.value[0].kind == "symbol":
            if form.value[0].value.__class__ is Exact:
                break
            macro = self.macro_of(form.value[0], none)
            if macro is not None:
                origin = (*origin, Expansion(macro.name, form))
                form = self.expand_macro(macro, form, none)
                continue
            name = form.value[0].value
            if name == "do" and len(form.value) > 1:
                self._arriving += [(inner, origin) for inner in form.value[1:]]
                return
            derived = None if name in SPECIAL else self._derived(form, none)
            if derived is None:
                break
            form = derived(self, form)
        statement = _from(run(self.form(form, none)), origin)
        self.macros.note(statement)
        out.append(statement)

    def _enter_stated(self, form: Form) -> None:
        """Enter the namespace that `^{:yin/in name}` says of a form, for as long as that is expanded."""
        here = self.namespace
        for key, value in form.meta:
            if key.kind == "literal" and key.value is _STATED and value.kind == "symbol":
                self.globals.close_home()
                self.enter(value.value)
                self._arriving.append(lambda: self.enter(here))

    def later(self, action: Callable[[], None]) -> None:
        """Do something once what was required just now has been expanded."""
        self._arriving.append(action)

    def check_later(self, form: Form, name: str, namespace: str) -> None:
        """Refuse a name that a namespace does not have, once it has been expanded."""

        def check() -> None:
            if name not in self.globals.table and namespace not in self.missing:
                self.unsure.add(name)
                hint = near_hint(form.value, self.globals.publics(namespace))
                raise self.error(f"{namespace} has no {form.value}", form.span, hint)

        self.later(check)

    def enter(self, namespace: str) -> None:
        """Make a namespace the current one."""
        self.globals.enter(namespace)

    def require_file(self, namespace: str, span: Span) -> bool:
        """Put a namespace's file before what follows, if it is not there yet; whether there is such a file."""
        if namespace in self.loaded:
            return True
        if namespace not in self._files:
            if namespace in self.globals.namespaces and namespace not in self._again:
                return True
            found = self.host.load(namespace) if self.host.load is not None else None
            if found is None:
                return False
            self._files[namespace] = found
        self._again.discard(namespace)
        self.globals.close_home()
        self.globals.namespaces.setdefault(namespace, type(self.globals.current)(namespace))
        # Not at once: what is required before this one may require it, too.
        self._arriving.append(lambda: self._load_file(namespace, span))
        return True

    def _load_file(self, namespace: str, span: Span) -> None:
        """Put the forms of a namespace's file before what follows, unless they have been there."""
        if namespace in self.loaded:
            return
        self.loaded.add(namespace)
        name, text = self._files[namespace]
        self.source, before = self.source.with_part(name, text)
        self.macros.source = self.source
        here = self.namespace
        self.missing.add(namespace)  # until it is known to be whole
        forms, errors, is_whole = read_on(self.source, text, before)
        self.note_unread(errors)

        def leave() -> None:
            said = self.namespace
            self.enter(here)
            if said != namespace:
                raise self.error(f"{name} does not say (ns {namespace})", span)
            if is_whole:
                self.missing.discard(namespace)

        self._arriving += [lambda: self.enter(USER), *[(form, ()) for form in forms], leave]

    def include(self, name: str, text: str) -> None:
        """Put the forms of a text before what follows; the namespace is then what it was."""
        self.source, before = self.source.with_part(name, text)
        self.macros.source = self.source
        here = self.namespace
        forms, errors, _ = read_on(self.source, text, before)
        self.note_unread(errors)
        self._arriving += [*[(form, ()) for form in forms], lambda: self.enter(here)]

    def forget(self, form: Form) -> None:
        """Let a namespace's file be read again when it is required; what it defined stays until then."""
        named = form.value[0] if form.kind == "vector" and form.value else form
        if named.kind == "symbol":
            self.loaded.discard(named.value)
            self._files.pop(named.value, None)
            self._again.add(named.value)

    def require_code(self, program_hash: str, span: Span) -> str:
        """Put the definitions of a program that is known by its hash before what follows; return its namespace."""
        from yang.raised import core_forms  # which makes forms of what this module's output became

        try:
            digest = bytes.fromhex(program_hash)
        except ValueError:
            digest = b""
        if len(digest) != HASH_SIZE:
            raise self.error(f"{program_hash} is not the hash of a program", span)
        namespace = f"code.{program_hash[:16].lower()}"
        if namespace in self.loaded:
            return namespace
        program = self.host.program(digest) if self.host.program is not None else None
        if program is None:
            raise self.error(f"no program {program_hash[:12]} is known here", span)
        if program.hash != digest:
            raise self.error(f"another program than {program_hash[:12]} was found", span)
        try:
            forms = core_forms(tree_of(program))
        except ProgramInvalid as error:
            raise self.error(f"the program {program_hash[:12]}: {error}", span) from None
        self.loaded.add(namespace)
        here = self.namespace
        self.globals.close_home()
        entries: list[_Entry] = [(_placed(form, span), ()) for form in forms]
        self._arriving += [lambda: self.enter(namespace), *entries, lambda: self.enter(here)]
        return namespace

    def require_hint(self, namespace: str) -> str:
        """Return what could be required instead."""
        path = namespace.replace("-", "_").replace(".", "/")
        libraries = ", ".join(sorted(LIBRARIES))
        if self.host.load is None:
            return f"there are {libraries}; nothing is loaded from files here"
        return f"there is no {path}.clj beside the program; the library has {libraries}"

    def define(self, form: Form, kind: str = "value", more: object = None) -> Form:
        """Note the definition of a global; return its name as core forms have it. Raises SourceError."""
        name = global_name(self, form)
        flags = {
            write_key(key): value
            for key, value in form.meta
            if key.kind == "literal" and isinstance(key.value, Keyword)
        }
        is_private = _is_true(flags.get("private"))
        if kind == "value" and _is_true(flags.get("dynamic")):
            self._check_becomes_dynamic(name)
            self.dynamic.add(name.value)
        if name.value in self.dynamic:
            kind = "dynamic"
        self.written[name.value] = (self._whole, self.source)
        before = self.globals.table.get(name.value)
        if before is not None and kind == "value" and before.kind == "macro":
            self.macros.table.pop(name.value, None)
        self.defined.add(name.value)
        self.globals.table[name.value] = Global(
            name.value, self.namespace, kind, is_private, form.meta, more, form.span.line
        )
        return name

    def _check_becomes_dynamic(self, name: Form) -> None:
        """Refuse to make a variable dynamic that code of a session reads as a constant already."""
        if self.is_open and name.value in self.defined - self.dynamic:
            message = f"{name.value} is defined already, and not as a dynamic variable"
            raise self.error(message, name.span, "give it another name")


def _placed(form: Form, span: Span) -> Form:
    """Return a form that comes from elsewhere with one place for all of it."""
    placed: list[Form] = []
    stack: list[tuple[Form, bool]] = [(form, False)]
    while stack:
        form, is_done = stack.pop()
        if form.is_leaf:
            placed.append(form._replace(span=span))
        elif is_done:
            count = len(form.value)
            items = tuple(placed[len(placed) - count :])
            del placed[len(placed) - count :]
            placed.append(form._replace(value=items, span=span))
        else:
            stack.append((form, True))
            stack.extend([(item, False) for item in reversed(form.value)])
    return placed[0]


def write_key(form: Form) -> str:
    """Return the name of a keyword form."""
    return form.value.name  # type: ignore[no-any-return]


def _is_described(form: Form) -> bool:
    """Return whether ^ says anything of a form but the namespace it is in."""
    return any(key.kind != "literal" or key.value is not _STATED for key, _ in form.meta)


def is_function(form: Form) -> bool:
    """Return whether a form is `(fn ...)` or `#(...)`."""
    if form.kind == "function":
        return True
    return form.kind == "list" and bool(form.value) and form.value[0].value in ("fn", "fn*")


def _is_symbol(form: Form) -> bool:
    return form.kind == "symbol"


def _is_true(form: Form | None) -> bool:
    return form is not None and (form.kind != "literal" or form.value not in (None, False))


def _from(form: Form, origin: Origin) -> Form:
    """Return a core form that macro calls expanded to."""
    return form._replace(origin=(*origin, *form.origin)) if origin else form


def expand(
    forms: Sequence[Form],
    source: Source,
    *,
    core: bool = False,
    host: Host = ALONE,
    known: Known = NOTHING_KNOWN,
    errors: Sequence[SourceError] = (),
) -> Expanded:
    """Return the core forms of a program's forms.

    What is only known at the end but matters before (a definition of a name that would be written out, a dynamic variable
    used before it is defined, a local that hides a definition a macro means) is in `known`, with which all is done again.
    `errors` are those of the reader, with which there is nothing to return.

    Raises:
        SourceError, SourceErrors: every top-level form is looked at, so errors of several are raised together.
    """
    expander = Expander(source, core=core, known=known, host=host)
    expander.note_unread(errors)
    try:
        out = expander.expanded(forms)
    except (SourceError, SourceErrors):
        if expander.is_open or "eval" not in expander.features:
            raise
        out = []  # what seemed wrong may be in forms that are compiled later
    found = expander.found_out()
    if found != known:
        return expand(forms, source, core=core, host=host, known=found, errors=errors)
    patterns, whole = expander.patterns(), (*expander.helpers(), *out)
    if expander.is_open:
        span = whole[0].span
        record = record_of(None, expander, texts=False)
        whole = (declarations(definitions_in((*patterns, *whole)), record, span), *whole)
    return Expanded((*patterns, *whole), expander.source_with_words())
