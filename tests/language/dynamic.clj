; Dynamic variables: binding, set!, conveyance by continuations; with-redefs, alter-var-root.
(def ^:dynamic *x* 1)
(defn f [] *x*)
[(f) (binding [*x* 2] (f)) (f) (binding [*x* 2] [(f) (binding [*x* 3] (set! *x* 4) (f)) (f)])]
; expect: [1 2 1 [2 4 2]]
(defn f [] *x*)
(def ^:dynamic *x* 1)
(binding [*x* 5] (f))
; expect: 5
(def ^:dynamic *x* 1)
(def ^:dynamic *y* 2)
(binding [*x* 10 *y* (+ *x* *y*)] [*x* *y*])
; expect: [10 3]
(def ^:dynamic *x* 1)
[(try (binding [*x* 2] (throw (ex-info "out" {}))) (catch Exception e (ex-message e))) *x*]
; expect: ["out" 1]
(def ^:dynamic *x* 1)
[(first (binding [*x* 2] (map (fn [_] *x*) [1]))) (binding [*x* 2] (mapv (fn [_] *x*) [1 1]))]
; expect: [1 [2 2]]
(def ^:dynamic *n* 0)
(defn items [] (binding [*n* 1] (yield *n*) (set! *n* 5) (yield *n*)))
(let [g (seq (generator items))] [(first g) *n* (second g) *n*])
; expect: [1 0 5 0]
(def ^:dynamic *n* 0)
(defn down [n] (if (zero? n) *n* (binding [*n* (inc *n*)] (down (dec n)))))
[(down 20) (down 0)]
; expect: [20 0]
(def ^:dynamic *x* 1)
(set! *x* 2)
; expect error: Can't change/establish root binding of: user/*x* with set
(def ^:dynamic *x* 1)
(let [f (binding [*x* 7] (bound-fn [y] (+ *x* y)))] [(f 1) *x*])
; expect: [8 1]
(declare ^:dynamic *later*)
(defn f [] *later*)
(def ^:dynamic *later* 3)
[(f) (binding [*later* 4] (f))]
; expect: [3 4]
(defn f [] 1)
(defn g [] (f))
[(g) (with-redefs [f (fn [] 2)] (g)) (g)]
; expect: [1 2 1]
(def x 1)
(defn f [] x)
(alter-var-root #'x + 5)
(f)
; expect: 6
(ns a) (def ^:dynamic *x* 1) (defn f [] *x*)
(ns b (:require [a]))
(binding [a/*x* 2] [(a/f) a/*x*])
; expect: [2 2]
