"""Derived forms, as functions from form to form.

Is:     one function per form that is not special: conditionals, threading, functions with patterns, loops over
        collections, namespaces.
Is not: special forms or scopes (`yang.expand`), nor user macros.
Fits:   `yang.expand` looks heads up in `DERIVED` and expands what comes back again.
Source: clojure.core's macros, Clojure 1.11.

Hygiene: functions are named `yin.core/x`, derived forms too when they are used here; special forms cannot be shadowed; names made
here come from `Expander.fresh`. Long chains (`cond`, `->`) are built from the end by loops: the nesting they make may be
deeper than Python's stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from datomstore.edn import write
from datomstore.value import Keyword, Map
from yang import namespace_forms
from yang.definitions import DEFINITIONS
from yang.destructure import destructure
from yang.forms import Form, call, literal, symbol, text_of, value_of, vector
from yang.segment import Span

if TYPE_CHECKING:
    from yang.expand import Expander

Derived: TypeAlias = Callable[["Expander", Form], Form]


def _core(span: Span, name: str, *arguments: Form) -> Form:
    return call(span, f"yin.core/{name}", *arguments)


def _nil(span: Span) -> Form:
    return literal(None, span)


def _let(span: Span, bindings: Sequence[Form], *body: Form) -> Form:
    return call(span, "let*", vector(bindings, span), *body)


def _is_keyword(form: Form, name: str) -> bool:
    return form.kind == "literal" and isinstance(form.value, Keyword) and form.value.name == name


def _is_string(form: Form) -> bool:
    return form.kind == "literal" and isinstance(form.value, str)


# -- conditionals --


def _when(expander: Expander, form: Form) -> Form:
    test, *body = expander.count(form, 1, None, "(when test body ...)")
    return call(form.span, "if", test, call(form.span, "do", *body), _nil(form.span))


def _when_not(expander: Expander, form: Form) -> Form:
    test, *body = expander.count(form, 1, None, "(when-not test body ...)")
    return call(form.span, "if", test, _nil(form.span), call(form.span, "do", *body))


def _if_not(expander: Expander, form: Form) -> Form:
    test, then, *rest = expander.count(form, 2, 3, "(if-not test then else)")
    return call(form.span, "if", test, rest[0] if rest else _nil(form.span), then)


def _cond(expander: Expander, form: Form) -> Form:
    clauses = form.value[1:]
    if len(clauses) % 2:
        raise expander.error("a test in cond has no expression", clauses[-1].span)
    whole = _nil(form.span)
    for at in range(len(clauses) - 2, -1, -2):
        test, expression = clauses[at], clauses[at + 1]
        always = test.kind == "literal" and test.value is not None and test.value is not False
        if always and at == len(clauses) - 2:
            whole = expression
        else:
            whole = call(test.span, "if", test, expression, whole)
    return whole


def _and(expander: Expander, form: Form) -> Form:
    items = form.value[1:]
    if not items:
        return literal(True, form.span)
    whole: Form = items[-1]
    for item in reversed(items[:-1]):
        name = symbol(expander.fresh("and"), item.span)
        whole = _let(form.span, [name, item], call(form.span, "if", name, whole, name))
    return whole


def _or(expander: Expander, form: Form) -> Form:
    items = form.value[1:]
    if not items:
        return _nil(form.span)
    whole: Form = items[-1]
    for item in reversed(items[:-1]):
        name = symbol(expander.fresh("or"), item.span)
        whole = _let(form.span, [name, item], call(form.span, "if", name, name, whole))
    return whole


def _one_binding(expander: Expander, form: Form, shape: str) -> tuple[Form, Form]:
    pairs = expander.pairs(form, shape)
    if len(pairs) != 1:
        raise expander.error(f"one name and one value: {shape}", form.span)
    return pairs[0]


def _if_binding(shape: str, *, some: bool) -> Derived:
    """Return if-let or if-some; the else branch does not see the names."""

    def expand(expander: Expander, form: Form) -> Form:
        bindings, then, *rest = expander.count(form, 2, 3, shape)
        pattern, test = _one_binding(expander, bindings, shape)
        otherwise = rest[0] if rest else _nil(form.span)
        name = symbol(expander.fresh("test"), test.span)
        bound = _core(form.span, "let", vector([pattern, name], bindings.span), then)
        if some:
            absent = _core(form.span, "nil?", name)
            choice = call(form.span, "if", absent, otherwise, bound)
        else:
            choice = call(form.span, "if", name, bound, otherwise)
        return _let(form.span, [name, test], choice)

    return expand


def _when_binding(shape: str, if_form: str) -> Derived:
    def expand(expander: Expander, form: Form) -> Form:
        bindings, *body = expander.count(form, 1, None, shape)
        return _core(form.span, if_form, bindings, call(form.span, "do", *body))

    return expand


def _when_first(expander: Expander, form: Form) -> Form:
    shape = "(when-first [name coll] body ...)"
    bindings, *body = expander.count(form, 1, None, shape)
    pattern, items = _one_binding(expander, bindings, shape)
    span = form.span
    name = symbol(expander.fresh("seq"), items.span)
    first = _core(span, "first", name)
    inner = _core(span, "let", vector([pattern, first], bindings.span), *body)
    choice = call(span, "if", name, inner, _nil(span))
    return _let(span, [name, _core(items.span, "seq", items)], choice)


def _case(expander: Expander, form: Form) -> Form:
    subject, *clauses = expander.count(form, 1, None, "(case value constant result ... default)")
    span = form.span
    name = symbol(expander.fresh("case"), subject.span)
    if len(clauses) % 2:
        whole = clauses.pop()
    else:
        message = _core(span, "str", literal("No matching clause: ", span), name)
        whole = _failure(span, message, "case")
    seen: list[Form] = []
    tests: list[tuple[Form, Form]] = []
    for constant, result in zip(clauses[::2], clauses[1::2], strict=True):
        alternatives = constant.value if constant.kind == "list" else (constant,)
        seen.extend(alternatives)
        tests.append((_any_equal(name, alternatives, constant.span), result))
    _refuse_same_constants(expander, seen)
    for test, result in reversed(tests):
        whole = call(test.span, "if", test, result, whole)
    return _let(span, [name, subject], whole)


def _any_equal(name: Form, constants: Sequence[Form], span: Span) -> Form:
    """Return a test that has no value but true and false, without naming anything."""
    if not constants:
        return literal(False, span)
    tests = [_core(c.span, "=", name, call(c.span, "quote", c)) for c in constants]
    whole = tests[-1]
    for test in reversed(tests[:-1]):
        whole = call(span, "if", test, literal(True, span), whole)
    return whole


def _refuse_same_constants(expander: Expander, constants: Sequence[Form]) -> None:
    seen: set[object] = set()
    for constant in constants:
        try:
            one = Map([(value_of(constant), None)])
        except ValueError as error:
            raise expander.error(str(error), constant.span) from None
        if one in seen:
            raise expander.error(f"case has {text_of(constant)} twice", constant.span)
        seen.add(one)


def _failure(span: Span, message: Form, kind: str) -> Form:
    data = Map([(Keyword("fault"), Keyword(kind))])
    return call(span, "throw", _core(span, "ex-info", message, literal(data, span)))


def _condp(expander: Expander, form: Form) -> Form:
    shape = "(condp predicate value test result ... default)"
    predicate, subject, *clauses = expander.count(form, 2, None, shape)
    span = form.span
    test_name = symbol(expander.fresh("predicate"), predicate.span)
    name = symbol(expander.fresh("value"), subject.span)
    groups: list[list[Form]] = []
    while clauses:
        size = 3 if len(clauses) > 1 and _is_keyword(clauses[1], ">>") else 2
        groups.append(clauses[:size])
        clauses = clauses[size:]
    if groups and len(groups[-1]) == 1:
        whole = groups.pop()[0]
    else:
        message = _core(span, "str", literal("No matching clause: ", span), name)
        whole = _failure(span, message, "case")
    for group in reversed(groups):
        whole = _condp_clause(expander, group, test_name, name, whole)
    return _let(span, [test_name, predicate, name, subject], whole)


def _condp_clause(
    expander: Expander, group: list[Form], predicate: Form, name: Form, otherwise: Form
) -> Form:
    span = group[0].span
    test = Form("list", (predicate, group[0], name), span)
    if len(group) == 2:
        return call(span, "if", test, group[1], otherwise)
    if len(group) != 3:
        raise expander.error("a test in condp has no result", span)
    found = symbol(expander.fresh("found"), span)
    result = Form("list", (group[2], found), group[2].span)
    return _let(span, [found, test], call(span, "if", found, result, otherwise))


def _assert(expander: Expander, form: Form) -> Form:
    test, *message = expander.count(form, 1, 2, "(assert test message)")
    span = form.span
    text = literal(f"Assert failed: {text_of(test)}", span)
    if message:
        prefix = literal("Assert failed: ", span)
        suffix = literal(f"\n{text_of(test)}", span)
        text = _core(span, "str", prefix, message[0], suffix)
    return call(span, "if", test, _nil(span), _failure(span, text, "assert"))


# -- threading --


def _step(expander: Expander, value: Form, step: Form, *, last: bool) -> Form:
    """Return the step with the value as its first or last argument."""
    if step.kind == "function":
        hint = "wrap it in parentheses: (#(...))"
        raise expander.error("nothing can be threaded into #( )", step.span, hint)
    if step.kind != "list" or not step.value:
        return Form("list", (step, value), step.span)
    head, *rest = step.value
    items = (head, *rest, value) if last else (head, value, *rest)
    return Form("list", items, step.span)


def _thread(*, last: bool) -> Derived:
    def expand(expander: Expander, form: Form) -> Form:
        value, *steps = expander.count(form, 1, None, "(-> value step ...)")
        for step in steps:
            value = _step(expander, value, step, last=last)
        return value

    return expand


def _cond_thread(*, last: bool) -> Derived:
    def expand(expander: Expander, form: Form) -> Form:
        value, *clauses = expander.count(form, 1, None, "(cond-> value test step ...)")
        if len(clauses) % 2:
            raise expander.error("a test in cond-> has no step", clauses[-1].span)
        name = symbol(expander.fresh("value"), value.span)
        bindings = [name, value]
        for test, step in zip(clauses[::2], clauses[1::2], strict=True):
            taken = _step(expander, name, step, last=last)
            following = symbol(expander.fresh("value"), step.span)
            bindings += (following, call(step.span, "if", test, taken, name))
            name = following
        return _let(form.span, bindings, name)

    return expand


def _some_thread(*, last: bool) -> Derived:
    def expand(expander: Expander, form: Form) -> Form:
        value, *steps = expander.count(form, 1, None, "(some-> value step ...)")
        name = symbol(expander.fresh("value"), value.span)
        bindings = [name, value]
        for step in steps:
            taken = _step(expander, name, step, last=last)
            following = symbol(expander.fresh("value"), step.span)
            absent = _core(step.span, "nil?", name)
            bindings += (following, call(step.span, "if", absent, _nil(step.span), taken))
            name = following
        return _let(form.span, bindings, name)

    return expand


def _as_thread(expander: Expander, form: Form) -> Form:
    value, name, *steps = expander.count(form, 2, None, "(as-> value name form ...)")
    bindings = [name, value]
    for step in steps[:-1]:
        bindings += (name, step)
    last = steps[-1] if steps else name
    return _core(form.span, "let", vector(bindings, form.span), last)


def _doto(expander: Expander, form: Form) -> Form:
    value, *steps = expander.count(form, 1, None, "(doto value step ...)")
    name = symbol(expander.fresh("value"), value.span)
    taken = [_step(expander, name, step, last=False) for step in steps]
    return _let(form.span, [name, value], *taken, name)


# -- bindings and functions --


def _let_form(expander: Expander, form: Form) -> Form:
    shape = "(let [name value ...] body ...)"
    bindings, *body = expander.count(form, 1, None, shape)
    plain = destructure(expander, expander.pairs(bindings, shape))
    return call(form.span, "let*", vector(plain, bindings.span), *body)


def _loop(expander: Expander, form: Form) -> Form:
    """Return `loop*`. With patterns, the loop's own names are made, and taken apart anew in each round."""
    shape = "(loop [name value ...] body ...)"
    bindings, *body = expander.count(form, 1, None, shape)
    pairs = expander.pairs(bindings, shape)
    if all(pattern.kind == "symbol" for pattern, _ in pairs):
        return call(form.span, "loop*", bindings, *body)
    outer: list[tuple[Form, Form]] = []
    rounds: list[Form] = []
    inner: list[Form] = []
    for pattern, value in pairs:
        name = pattern
        if pattern.kind != "symbol":
            name = symbol(expander.fresh("loop"), pattern.span)
            inner += (pattern, name)
        outer.append((name, value))
        if name is not pattern:  # later initial values may use the names inside
            outer.append((pattern, name))
        rounds += (name, name)
    inside = _core(form.span, "let", vector(inner, bindings.span), *body)
    looped = call(form.span, "loop*", vector(rounds, bindings.span), inside)
    return call(form.span, "let*", vector(destructure(expander, outer), bindings.span), looped)


def _fn(expander: Expander, form: Form) -> Form:
    """Return `fn*`: patterns become made names, taken apart in a let around the body."""
    rest: tuple[Form, ...] = form.value[1:]
    head: tuple[Form, ...] = ()
    if rest and rest[0].kind == "symbol":
        head, rest = rest[:1], rest[1:]
    if rest and rest[0].kind == "vector":
        rest = (Form("list", rest, form.span),)
    arities: list[Form] = []
    for arity in rest:
        if arity.kind != "list" or not arity.value or arity.value[0].kind != "vector":
            hint = "parameters stand in a vector: (fn [x] ...)"
            raise expander.error("an arity is ([parameters] body ...)", arity.span, hint)
        arities.append(_fn_arity(expander, arity))
    return call(form.span, "fn*", *head, *arities)


def _fn_arity(expander: Expander, arity: Form) -> Form:
    parameters: Form = arity.value[0]
    names: list[Form] = []
    patterns: list[Form] = []
    for parameter in parameters.value:
        if parameter.kind == "symbol":
            names.append(parameter)
        else:
            name = symbol(expander.fresh("parameter"), parameter.span)
            names.append(name)
            patterns += (parameter, name)
    body = _conditions(expander, arity.value[1:], arity.span)
    if patterns:
        body = [_core(arity.span, "let", vector(patterns, parameters.span), *body)]
    return Form("list", (vector(names, parameters.span), *body), arity.span)


def _conditions(expander: Expander, body: Sequence[Form], span: Span) -> list[Form]:
    """Return a body with its {:pre [...] :post [...]} spelled out as assertions."""
    if len(body) < 2 or body[0].kind != "map":
        return list(body)
    entries = {
        write(key.value): value
        for key, value in zip(body[0].value[::2], body[0].value[1::2], strict=True)
        if key.kind == "literal"
    }
    before, after = entries.get(":pre"), entries.get(":post")
    if before is None and after is None:
        return list(body)
    for tests in (before, after):
        if tests is not None and tests.kind != "vector":
            raise expander.error(":pre and :post take a vector of tests", tests.span)
    checks = [_core(test.span, "assert", test) for test in (before.value if before else ())]
    if after is None:
        return [*checks, *body[1:]]
    result = symbol("%", span)
    post = [_core(test.span, "assert", test) for test in after.value]
    value = call(span, "do", *body[1:])
    return [*checks, _let(span, [result, value], *post, result)]


def _defn(expander: Expander, form: Form) -> Form:
    """Return `(def name (fn ...))`; doc string and attribute map become metadata of the name."""
    name, *rest = expander.count(form, 2, None, "(defn name [parameters] body ...)")
    if name.kind != "symbol":
        raise expander.error("defn takes a name", name.span)
    meta = name.meta
    if _is_string(rest[0]):
        meta = (*meta, (literal(Keyword("doc"), rest[0].span), rest[0]))
        rest = rest[1:]
    if rest and rest[0].kind == "map":
        meta = (*meta, *_entries(rest[0]))
        rest = rest[1:]
    if len(rest) > 1 and rest[0].kind == "list" and rest[-1].kind == "map":
        meta = (*meta, *_entries(rest[-1]))
        rest = rest[:-1]
    if not rest or rest[0].kind not in ("vector", "list"):
        place = rest[0].span if rest else form.span
        raise expander.error("the form is (defn name [parameters] body ...)", place)
    heads = (
        [rest[0]]
        if rest[0].kind == "vector"
        else [arity.value[0] for arity in rest if arity.kind == "list" and arity.value]
    )
    span = form.span
    arglists = call(span, "quote", Form("list", tuple(heads), span))
    meta = ((literal(Keyword("arglists"), span), arglists), *meta)
    return call(span, "def", name._replace(meta=meta), _core(span, "fn", *rest))


def _defn_private(expander: Expander, form: Form) -> Form:
    whole = _defn(expander, form)
    head, name, function = whole.value
    private = (literal(Keyword("private"), form.span), literal(True, form.span))
    return whole._replace(value=(head, name._replace(meta=(*name.meta, private)), function))


def _entries(form: Form) -> tuple[tuple[Form, Form], ...]:
    return tuple(zip(form.value[::2], form.value[1::2], strict=True))


def _defonce(expander: Expander, form: Form) -> Form:
    name, value = expander.count(form, 2, 2, "(defonce name value)")
    if name.kind == "symbol" and expander.is_own(name.value):
        return _nil(form.span)
    return call(form.span, "def", name, value)


def _declare(expander: Expander, form: Form) -> Form:
    """Return nil: a definition anywhere in the program is seen everywhere in it."""
    for name in form.value[1:]:
        expander.check_local(name)
        expander.define(name)
    return _nil(form.span)


def _letfn(expander: Expander, form: Form) -> Form:
    shape = "(letfn [(name [parameters] body ...) ...] body ...)"
    functions, *body = expander.count(form, 1, None, shape)
    if functions.kind != "vector":
        raise expander.error(shape, functions.span)
    bindings: list[Form] = []
    for function in functions.value:
        if function.kind != "list" or not function.value or function.value[0].kind != "symbol":
            raise expander.error("letfn takes (name [parameters] body ...)", function.span)
        bindings += (function.value[0], _core(function.span, "fn", *function.value))
    return call(form.span, "letfn*", vector(bindings, functions.span), *body)


# -- loops over collections --


def _while(expander: Expander, form: Form) -> Form:
    test, *body = expander.count(form, 1, None, "(while test body ...)")
    span = form.span
    again = call(span, "do", *body, call(span, "recur"))
    return call(span, "loop*", vector([], span), call(span, "if", test, again, _nil(span)))


def _dotimes(expander: Expander, form: Form) -> Form:
    shape = "(dotimes [name count] body ...)"
    bindings, *body = expander.count(form, 1, None, shape)
    name, count = _one_binding(expander, bindings, shape)
    span = form.span
    bound = symbol(expander.fresh("count"), count.span)
    again = call(span, "do", *body, call(span, "recur", _core(span, "inc", name)))
    test = _core(span, "<", name, bound)
    looped = call(
        span,
        "loop*",
        vector([name, literal(0, span)], bindings.span),
        call(span, "if", test, again, _nil(span)),
    )
    return _let(span, [bound, _core(count.span, "long", count)], looped)


_Group: TypeAlias = tuple[Form, Form, list[tuple[str, Form]]]


def _groups(expander: Expander, form: Form, shape: str) -> list[_Group]:
    """Return (pattern, collection, modifiers after it) for each collection of `for` or `doseq`."""
    groups: list[_Group] = []
    for key, value in expander.pairs(form, shape):
        if key.kind != "literal":
            groups.append((key, value, []))
            continue
        name = write(key.value)
        if name not in (":let", ":when", ":while"):
            raise expander.error(f"{name} here; there are :let :when :while", key.span)
        if not groups:
            raise expander.error(f"{name} comes after a collection", key.span)
        groups[-1][2].append((name, value))
    return groups


def _modified(modifiers: list[tuple[str, Form]], inner: Form, skip: Form, stop: Form) -> Form:
    """Return `inner` under the modifiers of one collection, the first outermost."""
    for name, value in reversed(modifiers):
        span = value.span
        if name == ":let":
            inner = _core(span, "let", value, inner)
        elif name == ":when":
            inner = call(span, "if", value, inner, skip)
        else:
            inner = call(span, "if", value, inner, stop)
    return inner


def _doseq(expander: Expander, form: Form) -> Form:
    shape = "(doseq [name coll ...] body ...)"
    bindings, *body = expander.count(form, 1, None, shape)
    inner = call(form.span, "do", *body, _nil(form.span))
    for pattern, items, modifiers in reversed(_groups(expander, bindings, shape)):
        span = items.span
        left = symbol(expander.fresh("seq"), span)
        again = call(span, "recur", _core(span, "next", left))
        step = _modified(modifiers, call(span, "do", inner, again), again, _nil(span))
        first = vector([pattern, _core(span, "first", left)], pattern.span)
        choice = call(span, "if", left, _core(span, "let", first, step), _nil(span))
        inner = call(span, "loop*", vector([left, _core(span, "seq", items)], span), choice)
    return inner


def _for(expander: Expander, form: Form) -> Form:
    """Return nested lazy seqs: each collection is a function from what is left of it to the seq of its results."""
    shape = "(for [name coll ...] body)"
    bindings, body = expander.count(form, 2, 2, shape)
    groups = _groups(expander, bindings, shape)
    if not groups:
        raise expander.error(f"nothing to go through: {shape}", bindings.span)
    inner: Form | None = None
    for pattern, items, modifiers in reversed(groups):
        inner = _for_level(expander, pattern, items, modifiers, body, inner)
    assert inner is not None
    return inner


def _for_level(
    expander: Expander,
    pattern: Form,
    items: Form,
    modifiers: list[tuple[str, Form]],
    body: Form,
    inner: Form | None,
) -> Form:
    span = items.span
    iterate = symbol(expander.fresh("for"), span)
    given = symbol(expander.fresh("given"), span)
    left = symbol(expander.fresh("left"), span)
    rest = Form("list", (iterate, _core(span, "rest", left)), span)
    skip = call(span, "recur", _core(span, "rest", left))
    if inner is None:
        found = _core(body.span, "cons", body, rest)
    else:
        results = symbol(expander.fresh("results"), span)
        joined = _core(span, "concat", results, rest)
        choice = call(span, "if", results, joined, skip)
        found = _let(span, [results, _core(span, "seq", inner)], choice)
    step = _modified(modifiers, found, skip, _nil(span))
    first = vector([pattern, _core(span, "first", left)], pattern.span)
    round_ = call(span, "if", left, _core(span, "let", first, step), _nil(span))
    remaining = symbol(expander.fresh("remaining"), span)
    looped = call(
        span,
        "loop*",
        vector([remaining, given], span),
        _let(span, [left, _core(span, "seq", remaining)], round_),
    )
    lazy = _core(span, "lazy-seq", looped)
    function = call(span, "fn*", iterate, vector([given], span), lazy)
    return Form("list", (function, items), span)


def _lazy_seq(expander: Expander, form: Form) -> Form:
    span = form.span
    function = call(span, "fn*", vector([], span), *form.value[1:])
    return _core(span, "lazy-seq*", function)


def _lazy_cat(expander: Expander, form: Form) -> Form:
    parts = [_core(part.span, "lazy-seq", part) for part in form.value[1:]]
    return _core(form.span, "concat", *parts)


def _comment(expander: Expander, form: Form) -> Form:
    return _nil(form.span)


def _time(expander: Expander, form: Form) -> Form:
    """Return the value, after a line of the log that says how long it took."""
    (timed,) = expander.count(form, 1, 1, "(time expression)")
    return _core(form.span, "impl/timed", _thunk(form.span, [timed]))


def _locking(expander: Expander, form: Form) -> Form:
    """Return the body: what runs is not interrupted by another thread of its agent."""
    lock, *body = expander.count(form, 1, None, "(locking x body ...)")
    return call(form.span, "do", lock, *body)


# -- control --


def _thunk(span: Span, body: Sequence[Form]) -> Form:
    return call(span, "fn*", vector([], span), *body)


def _prompt(expander: Expander, form: Form) -> Form:
    tag, *body = expander.count(form, 1, None, "(prompt tag body ...)")
    return _core(form.span, "prompt*", tag, _thunk(form.span, body))


def _capturing(shape: str, primitive: str, *, keeps_prompt: bool = False) -> Derived:
    """Return a form `(head tag k body ...)`; with `keeps_prompt` the body is above a prompt again."""

    def expand(expander: Expander, form: Form) -> Form:
        tag, name, *body = expander.count(form, 2, None, shape)
        expander.check_local(name)
        if not keeps_prompt:
            return _core(form.span, primitive, tag, _fn_of(form.span, name, body))
        kept = symbol(expander.fresh("tag"), tag.span)
        above = _core(form.span, "prompt*", kept, _thunk(form.span, body))
        taken = _core(form.span, primitive, kept, _fn_of(form.span, name, [above]))
        return _let(form.span, [kept, tag], taken)

    return expand


def _fn_of(span: Span, name: Form, body: Sequence[Form]) -> Form:
    return call(span, "fn*", vector([name], span), *body)


def _reset(expander: Expander, form: Form) -> Form:
    tag = literal(Keyword("yin.core/reset"), form.span)
    return _core(form.span, "prompt*", tag, _thunk(form.span, form.value[1:]))


def _shift(expander: Expander, form: Form) -> Form:
    name, *body = expander.count(form, 1, None, "(shift k body ...)")
    expander.check_local(name)
    tag = literal(Keyword("yin.core/reset"), form.span)
    return _core(form.span, "shift*", tag, _fn_of(form.span, name, body))


def _with_out_str(expander: Expander, form: Form) -> Form:
    return _core(form.span, "with-out-str*", _thunk(form.span, form.value[1:]))


def _async(expander: Expander, form: Form) -> Form:
    return _core(form.span, "spawn", _thunk(form.span, form.value[1:]))


def _logic(shape: str, function: str) -> Derived:
    """Return a form `(head [name ...] goal ...)`: the goals hold for some values of new variables."""

    def expand(expander: Expander, form: Form) -> Form:
        names, *goals = expander.count(form, 1, None, shape)
        if names.kind != "vector":
            raise expander.error(f"the form is {shape}", names.span)
        for name in names.value:
            expander.check_local(name)
        body = call(form.span, "fn*", names, _core(form.span, "all", *goals))
        return _core(form.span, function, literal(len(names.value), names.span), body)

    return expand


def _suspending(tag: str) -> Derived:
    def expand(expander: Expander, form: Form) -> Form:
        _, value = form.value
        return _core(form.span, "suspend*", literal(Keyword(tag), form.span), value)

    return expand


def _gensym(expander: Expander, form: Form) -> Form:
    expander.count(form, 0, 1, "(gensym prefix)")
    function = call(form.span, "global~", symbol(expander.gensym_name(form.span), form.span))
    prefix = form.value[1] if len(form.value) > 1 else literal("G__", form.span)
    return _core(form.span, "impl/gensym", function, prefix)


DERIVED: dict[str, Derived] = {
    **DEFINITIONS,
    "when": _when,
    "when-not": _when_not,
    "if-not": _if_not,
    "cond": _cond,
    "and": _and,
    "or": _or,
    "if-let": _if_binding("(if-let [name test] then else)", some=False),
    "if-some": _if_binding("(if-some [name test] then else)", some=True),
    "when-let": _when_binding("(when-let [name test] body ...)", "if-let"),
    "when-some": _when_binding("(when-some [name test] body ...)", "if-some"),
    "when-first": _when_first,
    "case": _case,
    "condp": _condp,
    "assert": _assert,
    "->": _thread(last=False),
    "->>": _thread(last=True),
    "cond->": _cond_thread(last=False),
    "cond->>": _cond_thread(last=True),
    "some->": _some_thread(last=False),
    "some->>": _some_thread(last=True),
    "as->": _as_thread,
    "doto": _doto,
    "let": _let_form,
    "loop": _loop,
    "fn": _fn,
    "defn": _defn,
    "defn-": _defn_private,
    "defonce": _defonce,
    "declare": _declare,
    "letfn": _letfn,
    "while": _while,
    "dotimes": _dotimes,
    "doseq": _doseq,
    "for": _for,
    "lazy-seq": _lazy_seq,
    "lazy-cat": _lazy_cat,
    "comment": _comment,
    "time": _time,
    "locking": _locking,
    "ns": namespace_forms.ns,
    "in-ns": namespace_forms.in_ns,
    "require": namespace_forms.require,
    "use": namespace_forms.use,
    "refer": namespace_forms.refer,
    "alias": namespace_forms.alias,
    "gensym": _gensym,
    "prompt": _prompt,
    "control": _capturing("(control tag k body ...)", "control*", keeps_prompt=True),
    "control0": _capturing("(control0 tag k body ...)", "control*"),
    "shift-at": _capturing("(shift-at tag k body ...)", "shift*"),
    "reset": _reset,
    "shift": _shift,
    "async": _async,
    "with-out-str": _with_out_str,
    "fresh": _logic("(fresh [x ...] goal ...)", "impl/fresh"),
    "run*": _logic("(run* [x ...] goal ...)", "impl/run"),
}

# Calls of functions of the library, by number of arguments, that are written out where they stand: the function does
# the same (yang/lib/control.clj), for who passes it on.
WRITTEN_OUT: dict[tuple[str, int], Derived] = {
    ("yield", 1): _suspending("yin.core/generator"),
    ("suspend", 1): _suspending("yin.core/coroutine"),
}
