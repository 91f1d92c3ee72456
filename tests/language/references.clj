; Delays, futures, promises, watched atoms, volatiles, variables as values.
(def count-of (atom 0))
(def d (delay (swap! count-of inc) 42))
[(realized? d) @d @d (realized? d) (force d) (force 3) @count-of (delay? d)]
; expect: [false 42 42 true 42 3 1 true]
(let [d (delay (throw (ex-info "bad" {})))] [(try @d (catch Exception e (ex-message e))) (try @d (catch Exception e (ex-message e)))])
; expect: ["bad" "bad"]
(let [p (promise) f (future (+ 1 @p))] [(realized? f) (do (deliver p 41) @f) @p (realized? f)])
; expect: [false 42 41 true]
(let [log (atom []) a (promise) b (promise)
      f (future (swap! log conj @a) (deliver b 2))
      g (future (swap! log conj @b))]
  (deliver a 1)
  [@g @log])
; expect: [[1 2] [1 2]]
@(future (throw (ex-info "inside" {})))
; expect error: inside
@(promise)
; expect error: nobody is left who could deliver this
(let [p (promise)] [(deref p 10 :late) (do (deliver p 1) (deliver p 2) @p)])
; expect: [:late 1]
(map deref [(atom 1) (delay 2) (future 3)])
; expect: (1 2 3)
(def seen (atom []))
(def a (atom 1))
(add-watch a :k (fn [k r old new] (swap! seen conj [k old new (= r a)])))
(swap! a + 5)
(reset! a 9)
(remove-watch a :k)
[(swap! a inc) @a @seen (swap-vals! a inc) (compare-and-set! a 11 0) (compare-and-set! a 11 1) @a]
; expect: [10 10 [[:k 1 6 true] [:k 6 9 true]] [10 11] true false 0]
(def a (atom 1 :validator pos?))
[(try (reset! a -1) (catch IllegalStateException e (ex-message e))) @a (reset! a 5)]
; expect: ["Invalid reference state" 1 5]
(def a (atom 1))
(set-validator! a even?)
; expect error: Invalid reference state
(defn f "Doc." {:added 1} [x] x)
[(:doc (meta #'f)) (:added (meta #'f)) (:arglists (meta #'f)) (:name (meta #'f)) (#'f 3) (map #'f [1]) (@#'f 4)]
; expect: ["Doc." 1 ([x]) f 3 (1) 4]
(def x 1)
[@#'x (var-get #'x) (var? #'x) (let [v #'x] @v)]
; expect: [1 1 true 1]
(ns a) (defn- hidden [] 1) (ns b) (#'a/hidden)
; expect: 1
(defmacro m [x] `(if ~x 1 2))
[(macroexpand-1 '(m a)) (macroexpand '(m a)) (macroexpand-1 '(f x)) (eval '(+ 1 2)) (eval '(let [x 2] (m x)))]
; expect: [(if a 1 2) (if a 1 2) (f x) 3 1]
(defn f [x] {:pre [(pos? x)] :post [(< % 10)]} (* 2 x))
[(f 2) (try (f -1) (catch AssertionError e (ex-message e))) (try (f 9) (catch AssertionError e (ex-message e)))]
; expect: [4 "Assert failed: (pos? x)" "Assert failed: (< % 10)"]
(let [v (volatile! 1)] (vreset! v 2) @v)
; expect: 2
(defonce x 1)
(defonce x 2)
x
; expect: 1
(defn f [x] (inc x))
[(pmap inc [1 2]) (replicate 2 :x) (locking 1 2 3) ((resolve 'f) 1) ((resolve 'inc) 1) (resolve 'nope) ((resolve 'clojure.string/upper-case) "a") (pmap + [1 2] [3 4])]
; expect: [(2 3) (:x :x) 3 2 2 nil "A" (4 6)]
(iteration (fn [k] (if (< (or k 0) 3) {:v (or k 0) :k (inc (or k 0))} nil)) :vf :v :kf :k)
; expect: (0 1 2)
[(with-out-str (time 1)) (time (+ 1 2)) (let [f (future 1)] @f [(future-done? f) (future-cancelled? f)])]
; expect: ["Elapsed time: 0.0 msecs\n" 3 [true false]]
(let [a (atom {:n 1})] (add-watch a :k (fn [_ _ _ _] nil)) (swap! a update :n inc) [(str a) (pr-str [a]) (print-str a)])
; expect: ["#atom[{:n 2}]" "[#atom[{:n 2}]]" "#atom[{:n 2}]"]
(let [a (atom 1 :validator pos?)] [(str a) (do (reset! a 5) (str a)) (try (reset! a 0) (catch Exception e :refused)) (str a)])
; expect: ["#atom[1]" "#atom[5]" :refused "#atom[5]"]
(let [a (atom nil)] (add-watch a :k (fn [_ _ _ _] nil)) (reset! a (vec (range 20000))) [(count (str a)) (subs (str a) 0 12)])
; expect: [108898 "#atom[[0 1 2"]
