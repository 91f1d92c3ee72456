; Atoms.
(let [a (atom 1)] [(deref a) @a (reset! a 5) @a])
; expect: [1 1 5 5]
(let [a (atom 1)] [(swap! a inc) (swap! a + 10) (swap! a + 1 2) (swap! a + 1 2 3) @a])
; expect: [2 12 15 21 21]
(let [a (atom {})] (swap! a assoc :x 1) (swap! a update :x inc) @a)
; expect: {:x 2}
(let [a (atom 1)] [(compare-and-set! a 1 2) (compare-and-set! a 1 3) @a])
; expect: [true false 2]
(let [a (atom 1)] [(swap-vals! a inc) (reset-vals! a 9) @a])
; expect: [[1 2] [2 9] 9]
(let [a (atom [])] (doseq [x (range 3)] (swap! a conj x)) @a)
; expect: [0 1 2]
(let [a (atom 0) b a] (reset! b 5) @a)
; expect: 5
(let [a (atom (atom 1))] @@a)
; expect: 1
(deref 5)
; expect error: deref
(reset! 5 1)
; expect error: reset!
(swap! (atom 1) 5)
; expect error: not a function
(let [a (atom nil)] [(nil? @a) (reset! a nil)])
; expect: [true nil]
(let [a (atom 0)] (try (swap! a (fn [x] (throw (ex-info "no" {})))) (catch ExceptionInfo e nil)) @a)
; expect: 0
(let [cells (mapv atom [1 2 3])] (swap! (cells 1) inc) (mapv deref cells))
; expect: [1 3 3]
(let [a (atom [])] (swap! a conj a) (= a (first @a)))
; expect: true
(let [v (volatile! 1)] [(vreset! v 2) @v])
; expect: [2 2]
(let [bank (atom {:a 100 :b 0}) move (fn [from to n] (swap! bank (fn [m] (-> m (update from - n) (update to + n)))))] (move :a :b 30) (move :b :a 10) @bank)
; expect: {:a 80 :b 20}
