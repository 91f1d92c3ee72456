; Macros: functions from form to form, syntax quote, gensym.
(defmacro unless [test & body] `(if ~test nil (do ~@body)))
[(unless false 1 2) (unless true 1)]
; expect: [2 nil]
(defmacro infix [[a op b]] (list op a b))
(infix (1 + 2))
; expect: 3
(defmacro square [x] `(let [y# ~x] (* y# y#)))
(let [y 3] (square (+ y 1)))
; expect: 16
(defn twice [x] (* 2 x))
(defmacro now-twice [x] (twice x))
(now-twice 21)
; expect: 42
(defn twice [x] (* 2 x))
(defmacro doubled [x] `(twice ~x))
(let [twice 1] (doubled (+ 20 twice)))
; expect: 42
(defmacro my-or ([] nil) ([x] x) ([x & more] `(let [o# ~x] (if o# o# (my-or ~@more)))))
(my-or nil false 3)
; expect: 3
(defmacro def-getter [n v] `(do (def ~n ~v) (defn ~(symbol (str "get-" n)) [] ~n)))
(def-getter size 12)
(get-size)
; expect: 12
(defmacro locals [] (vec (sort (map name (keys &env)))))
(let [a 1 [b] [2]] (fn [c] 1) (count (locals)))
; expect: 3
(defmacro whole [& _] (list 'quote &form))
(whole 1 [b])
; expect: (whole 1 [b])
(defmacro rows [& xs] `[~@(map inc xs) ~(count xs)])
(rows 1 2 3)
; expect: [2 3 4 3]
(let [x 5 more [6 7]] `[~x ~@more ~'y {:k ~x} #{~x} :z "s" \c nil])
; expect: [5 6 7 y {:k 5} #{5} :z "s" \c nil]
`(a b/c map clojure.core/map if & .x x. :k)
; expect: (user/a b/c clojure.core/map clojure.core/map if & .x x. :k)
(def x 1)
`(x ~x)
; expect: (user/x 1)
(let [[a b] `(x# x#)] (= a b))
; expect: true
(= `x# `x#)
; expect: false
`()
; expect: ()
`(~@nil)
; expect: nil
`[~@[1 2] ~@nil 3]
; expect: [1 2 3]
[::a (namespace ::b)]
; expect: [:user/a "user"]
#::{:a 1 :b/c 2}
; expect: {:user/a 1 :b/c 2}
(ns my.app (:require [clojure.string :as s]))
[::a ::s/b `s/join `foo '*ns*]
; expect: [:my.app/a :clojure.string/b clojure.string/join my.app/foo *ns*]
[(symbol? (gensym)) (= (gensym) (gensym)) (distinct? (gensym "a") (gensym "a"))]
; expect: [true false true]
(defmacro with-temporary [x] (let [g (gensym "t")] `(let [~g ~x] (* ~g ~g))))
(+ (with-temporary 2) (with-temporary 3))
; expect: 13
(map (fn [s] (subs (name s) 0 1)) (repeatedly 2 gensym))
; expect: ("G" "G")
(defmacro m [] 1)
(defn m [] 2)
(m)
; expect: 2
(defmacro m [x] x)
(let [m (fn [x] (+ x 1))] (m 1))
; expect: 2
(defmacro adder [n] `(fn [x#] (+ x# ~n)))
(map (adder 10) [1 2])
; expect: (11 12)
(defmacro swapped [f a b] `(~f ~b ~a))
(swapped #(- %1 %2) 1 5)
; expect: 4
(defmacro table [& rows] (into {} (map (fn [[k v]] [(keyword (name k)) v]) (partition 2 rows))))
(table a 1 b (+ 1 1))
; expect: {:a 1 :b 2}
