; What the compiler refuses, by name.
undefined-name
; expect error: unresolved symbol: undefined-name
(+ 1 missing)
; expect error: unresolved symbol: missing
(let [x 1] y)
; expect error: unresolved symbol: y
(recur 1)
; expect error: recur
(loop [x 1] (inc (recur 2)))
; expect error: recur is not in tail position
(loop [x 1] (recur))
; expect error: recur with 0 arguments
(loop [x 1] (recur 1 2))
; expect error: recur with 2 arguments
(fn [x] (recur))
; expect error: recur with 0 arguments
(loop [x 1] (try (recur 2) (catch Exception e 1)))
; expect error: recur is not in tail position
(nth [1])
; expect error: wrong number of arguments (1) passed to nth
(first)
; expect error: wrong number of arguments (0) passed to first
(map)
; expect error: wrong number of arguments (0) passed to map
(zero? 1 2)
; expect error: wrong number of arguments (2) passed to zero?
(let [x])
; expect error: has no value
(let x 1)
; expect error: let
(if)
; expect error: if
(def)
; expect error: def
(fn)
; expect error: fn
(set! x 1)
; expect error: no variable x
(def y 1) (set! y 1)
; expect error: y is not dynamic
(def y 1) (binding [y 2] y)
; expect error: y is not dynamic
(new String)
; expect error: new
(.length "a")
; expect error: .length
(String. "a")
; expect error: String.
(Math/sqrt 4)
; expect error: Math/sqrt
(defprotocol P (m []))
; expect error: a method has [this ...]
(defrecord R [a] Object (toString [_] "r"))
; expect error: Object
(defrecord R [a] Unknown (m [_] 1))
; expect error: Unknown is not a protocol of this program
(defmethod print-method 1 [_] 2)
; expect error: print-method is not a multimethod of this program
(extend-type Unknown)
; expect error: no type Unknown
(defmacro m [a] a) (m)
; expect error: wrong number of arguments (0); it takes [a]
(defmacro m [] 1) m
; expect error: m is a macro
(defmacro m [])
(m 1)
; expect error: it takes []
(defmacro m [x] (first 1)) (m 2)
; expect error: in the macro m
(defmacro m [] (list (quote m))) (m)
; expect error: macros expand to macro calls
(defmacro m [] (fn [] 1)) (m)
; expect error: in the macro m: what it made is no code
(defmacro m [] (here)) (m)
; expect error: here is an effect
(eval '(+ 1 2) 3)
; expect error: the form is (eval form)
(let [x (atom 1)] (alter-meta! x assoc :a 1))
; expect error: the form is (alter-meta! #'name ...)
(import 'java.util.Date)
; expect error: import
(slurp "/etc/passwd")
; expect error: slurp
(require '[clojure.java.io :as io])
; expect error: clojure.java.io
(ns a (:import java.util.Date))
; expect error: :import
~a
; expect error: ~ outside of a syntax quote
`(~@a
; expect error: not closed
`~@a
; expect error: ~@ has no list around it
::a/b
; expect error: no alias a
#js {}
; expect error: no reader for the tag #js
`(let [x 1] x)
(defmacro m [] `(let [x 1] x)) (m)
; expect error: a local cannot have the qualified name user/x
#'x
; expect error: unresolved symbol: x
(var 1)
; expect error: var takes a name
(fn [& a b] 1)
; expect error: &
(fn ([a] 1) ([b] 2))
; expect error: arities
(case 1 1 :a 1 :b)
; expect error: twice
{:a 1 :a 2}
; expect error: :a
#{1 1}
; expect error: 1
(let [a/b 1] 1)
; expect error: qualified
(catch Exception e 1)
; expect error: catch
(try 1 (finally 2) (catch Exception e 3))
; expect error: finally
(yin.core/lazy-set! 1 2)
; expect error: lazy-set!
(lazy-thunk 1)
; expect error: lazy-thunk
(impl/fold-seq 1 2 3)
; expect error: impl
(yin.core/impl/fold-seq conj [] [1])
; expect error: only the core library names its own parts
(alias 'c 'clojure.core) (c/impl/fold-seq conj [] [1])
; expect error: only the core library names its own parts
(clojure.core/long/vec 1)
; expect error: only the core library names its own parts
(defmacro m [] (list (symbol "yin.core/impl/fold-seq") 'conj [] [1])) (m)
; expect error: only the library names
(when)
; expect error: when
(quote)
; expect error: quote
(binding [x 1] x)
; expect error: no variable x
(+ 1 2
; expect error: the text ends before its )
(1 2))
; expect error: )
(loop [x 1] (try (recur 2) (finally 1)))
; expect error: recur is not in tail position
(loop [x 1] (try 1 (finally (recur 2))))
; expect error: recur is not in tail position
(prompt)
; expect error: (prompt tag body ...)
(shift 5 6)
; expect error: 5
(control :tag k/x 1)
; expect error: k/x
(fresh x 1)
; expect error: (fresh [x ...] goal ...)
(defmacro m [] (list (symbol "global~"))) (m)
; expect error: (global~ name)
(defmacro m [] (list (symbol "define~") 1 2)) (m)
; expect error: define~ takes a name
(defmacro m [] (symbol "")) (m)
; expect error: symbol
(defmacro m [] (list (symbol "a b") 1)) (m)
; expect error: a b
