"""What to do about an error, where who found it does not say.

Is:     a table from messages to hints.
Is not: hints that need to know the program: near names and the like (`yang.near`) come with the error.
Fits:   `Source.error` looks here when it is given no hint, and `cli.faults` for errors of running programs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Table = Sequence[tuple[str, str]]  # beginning of a message as a pattern, and the hint

_COMPILING: Table = (
    # reading
    (r"\S+ closes nothing", "take it out, or open it before"),
    (r"a map with a key that has no value", "a map has keys and values in turn: {:a 1 :b 2}"),
    (r"a map with a key twice", "leave one of them out; (hash-map ...) lets the last one count"),
    (r"a set with a member twice", "leave one of them out; (hash-set ...) takes equal ones"),
    (r".* is not a number", "numbers are 12, -1.5, 1e3, 2/3, 0xff, 2r101, 12N, 1.5M"),
    (r".* is not a keyword", "a keyword is :name or :namespace/name"),
    (r"no character is named", r"a character is \a, \newline, \space, \tab or \u00e4"),
    (r"no escape", r"escapes are \n \t \r \b \f \\ \" and \u0041"),
    (r"#inst", 'an instant is #inst "2024-12-31T23:59:59Z", the end of which may be left out'),
    (r"#uuid", 'a uuid is #uuid "00000000-0000-0000-0000-000000000000"'),
    (r"#bytes", 'bytes are pairs of hexadecimal digits: #bytes "00ff"'),
    (r"#yin/name", '#yin/name "x" stands for a name as the tree has it'),
    (r"\S+ has no form after it", "write a form after it, or take it out"),
    (r"read-time evaluation", "write the form itself; all code runs when the program does"),
    (r"metadata is", "^:private name, ^{:doc \"...\"} name, ^String name"),
    (r"no value ##", "infinity is ##Inf"),
    (r"a feature without a form", "#?(:yin form :default form)"),
    (r"a feature is a keyword", "#?(:yin form :default form)"),
    (r".* is not a symbol", "a symbol is name or namespace/name"),
    (r"forms nested deeper", "put the inner parts into functions or definitions of their own"),
    (r"unexpected", "take it out; outside of strings it means nothing"),
    (r"unreadable form", "#< is how a value without a text is printed; it cannot be read"),
    (r"half of a surrogate pair", "the file is damaged, or not UTF-8"),
    # expansion
    (r"bindings stand in a vector", "write [ ] around the names and values"),
    (r"a name in the bindings has no value", "names and values take turns: [a 1 b 2]"),
    (r"def takes a name", "(def name value)"),
    (r"defn takes a name", "(defn name [parameters] body)"),
    (r"two arities with the same number", "take one out, or give it another number of parameters"),
    (r"two arities that take the rest", "only one body may have & in its parameters"),
    (r"an arity with more parameters", "the body with & has at least as many parameters as all others"),
    (r"this cannot be bound", "(let [name 1, [a b] [1 2], {:keys [c]} {:c 3}] ...)"),
    (r"& stands only before", "(fn [a & more] ...)"),
    (r"& has no name after it", "(fn [a & more] ...)"),
    (r":\S+ in a map pattern", "{:keys [a b] :or {b 2} :as whole}"),
    (r"a test in cond has no expression", "tests and expressions take turns: (cond (pos? x) 1 :else 2)"),
    (r"a test in condp", "(condp = x 1 :one 2 :two :other)"),
    (r"case has .* twice", "only the first would ever be chosen: take one out"),
    (r"nothing to go through", "(for [x [1 2 3]] (inc x))"),
    (r":\S+ comes after a collection", "(for [x xs :when (pos? x)] x)"),
    (r":\S+ here; there are", "(for [x xs :let [y (inc x)] :when (pos? y)] y)"),
    (r"(catch|finally) outside try", "(try body (catch Exception e handler) (finally cleanup))"),
    (r"after a catch come", "the body comes before the first catch"),
    (r"finally comes last", "(try body (catch Exception e handler) (finally cleanup))"),
    (r"catch takes a class", "(catch Exception e ...) or (catch :default e ...)"),
    (r"\S+ is a special form, it has no value", "wrap it in a function: (fn [x] ...)"),
    (r"\S+ is a special form and cannot be defined", "choose another name"),
    (r"\S+: Java's methods", "functions do it: (count s), (str/upper-case s), (get m k)"),
    (r"there are no classes", "an error is made by ex-info, a type by defrecord"),
    (r"new is not supported", "(->Name field ...) makes a record"),
    (r"slurp is not supported|spit is not supported", "programs have no files; streams hold data: (q ...), (transact! ...)"),
    (r"import is not supported", "there are no classes of Java; (:require [namespace :as alias]) loads code"),
    (r"\S+ is not supported", "docs/clojure.md says what is"),
    (r"no variable", "set!, binding and #'name take a definition of the program; atoms change by reset! and swap!"),
    (r"a local cannot have the qualified name", "leave the namespace out"),
    (r"\S+ is not a protocol", "(defprotocol Name (method [this])) comes before"),
    (r"\S+ is not a multimethod", "(defmulti name dispatch-function) comes before"),
    (r"\S+ is not a variable", "only values of def change: (def name value)"),
    (r"\S+ is private in", "the namespace has to show it: defn instead of defn-, no ^:private"),
    (r"\S+ belongs to another namespace", "define it there, or under a name of its own"),
    (r"\S+ does not say \(ns", "the first form of a file names its namespace, which is its path"),
    (r"ns takes a name", "(ns app.main (:require [app.text :as t]))"),
    (r"\S+ in ns is not supported", "(ns app.main (:require [app.text :as t :refer [words]]))"),
    (r"an option of require", "[app.text :as t :refer [words]]"),
    (r"~ outside of|~@ outside of", "write ` before the form around it"),
    (r"~@ has no list around it", "`(do ~@forms)"),
    (r"no type", "(defrecord Name [fields]) comes before"),
    (r"a method is|a method has", "(area [this] ...)"),
    (r"nested deeper than", "put the inner parts into functions of their own"),
    # macros
    (r"in the macro \S+: wrong number of arguments", "the call and the macro's parameters have to agree"),
    (r"in the macro \S+: it took too much", "a macro runs while the program is compiled, and has to end"),
    (r"in the macro \S+: what it made is no code", "a macro gives back lists, symbols and values: `(f ~x)"),
    (r"in the macro \S+: \S+ is an effect", "let what it makes do the effect when the program runs"),
    (r"in the macro", "a macro is given forms, not their values; (macroexpand-1 '(...)) shows what it makes"),
    (r"macros expand to macro calls", "each call has to come nearer to code without it"),
    # compiling
    (r"recur is not in tail position", "nothing may come after it in its loop or function: no call around it, no try"),
    (r"recur with", "recur gives every name of its loop, or parameter of its function, a new value"),
    (r"\d+ arguments; at most", "put them into a vector: (apply f [...])"),
    (r"unresolved symbol", "(def name value) or (defn name [...] ...) defines it; (:require ...) brings it in"),
)  # fmt: skip

_RUNNING: Table = (
    (r"nil is not a function", "what is called here has no value: a missing key, or a name that is nil"),
    (r".* is not a function", "the first thing in ( ) is called; data is written '(...) or [...]"),
    (r"wrong number of arguments", "the call and the function's parameters have to agree"),
    (r"Divide by zero", "test with zero? before; (/ 1.0 0) gives ##Inf"),
    (r".*: expected a number, found a string", "parse-long and parse-double make numbers of strings"),
    (r".*: expected a number, found nil", "a missing key or an empty collection gives nil; (or x 0) puts a number there"),
    (r".*: expected a (string|map|vector).*, found nil", "a missing key gives nil; (or x \"\") puts a value there"),
    (r".*: expected .*, found a lazy seq|.*: expected .*, found a list", "(vec xs), (set xs) and (str/join xs) make other things of a seq"),
    (r".*: expected .*, found", "(type x) says what a value is"),
    (r".*index -?\d+ out of bounds", "(get v i) and (nth v i default) give a value instead"),
    (r"No matching clause", "a last form without a constant is the default of case"),
    (r"Assert failed", "what was given here is not what the function promises to take"),
    (r".* is not defined", "a definition has its value once the program came past it: put it before"),
    (r"No method in multimethod", "(defmethod name value [x] ...), or :default for all others"),
    (r"No implementation of method", "(extend-type Type Protocol (method [this] ...)) adds it"),
    (r"throw: expected an error", "(throw (ex-info \"what is wrong\" {:key value}))"),
    (r".* is missing in the pattern", r"a bracket that is meant itself is written \\( in a string, \( in #\"\""),
)  # fmt: skip


def advice(message: str) -> str | None:
    """Return what to do about an error of the compiler, None if nothing is known."""
    return _found(message, _COMPILING)


def advice_running(message: str) -> str | None:
    """Return what to do about an error of a running program, None if nothing is known."""
    return _found(message, _RUNNING)


def _found(message: str, table: Table) -> str | None:
    return next((hint for pattern, hint in table if re.match(pattern, message)), None)
