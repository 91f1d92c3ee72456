; Continuations captured inside the functions given to library functions, and resumed later, several times.
(let [k (prompt :p (reduce (fn [a x] (+ a (if (= x 2) (control0 :p k k) x))) 0 [1 2 3]))] [(k 10) (k 20) (k 0)])
; expect: [14 24 4]
(let [k (prompt :p (reduce (fn [a x] (+ a (if (= x 2) (control0 :p k k) x))) (list 1 2 3)))] [(k 10) (k 20) (k 0)])
; expect: [14 24 4]
(let [k (prompt :p (mapv (fn [x] (if (= x 2) (control0 :p k k) x)) [1 2 3]))] [(k :a) (k :b) (k (k 0))])
; expect: [[1 :a 3] [1 :b 3] [1 [1 0 3] 3]]
(let [saved (atom nil) n (atom 0) sum (reduce (fn [a x] (+ a (call/cc (fn [k] (if (= x 2) (reset! saved k) nil) x)))) 0 [1 2 3])] (if (< (swap! n inc) 4) (@saved (* 10 @n)) [@n sum]))
; expect: [4 34]
(prompt :p (sort-by (fn [x] (if (= x 3) (shift-at :p k (k 0)) x)) [2 3 1]))
; expect: (3 1 2)
(prompt :p (vector (sort-by (fn [x] (if (= x 3) (shift-at :p k [(k 0) (k 9)]) x)) [3 5])))
; expect: [[(3 5)] [(5 3)]]
(let [saved (atom nil) n (atom 0) sorted (sort-by (fn [x] (if (= x 3) (call/cc (fn [k] (if (nil? @saved) (reset! saved k) nil) 0)) x)) [3 5])] (if (< (swap! n inc) 3) (@saved 9) [@n sorted]))
; expect: [3 (5 3)]
(let [k (prompt :p (sort (fn [a b] (if (control0 :p k k) -1 1)) [1 2]))] [(k true) (k false) (k true)])
; expect: [(2 1) (1 2) (2 1)]
(let [found (solutions (fn [] (sort (fn [a b] (amb true false)) [1 2 3])))] [(count found) (= (set found) #{[1 2 3] [1 3 2] [2 1 3] [2 3 1] [3 1 2] [3 2 1]})])
; expect: [6 true]
(let [cell (atom 1) k (prompt :p (swap! cell (fn [old] (control0 :p k k)))) again (atom nil)] [(prompt :p (k 10)) @cell (fn? (reset! again (prompt :p (k 20)))) @cell (@again 30) @cell])
; expect: [10 10 true 10 30 30]
(let [cell (atom 1) saved (atom nil) n (atom 0)] (swap! cell (fn [old] (call/cc (fn [k] (if (nil? @saved) (reset! saved k) nil) (inc old))))) (if (< (swap! n inc) 3) (@saved 100) [@n @cell]))
; expect: [3 4]
(let [s (map (fn [x] (prompt :p (+ x (control0 :p k (k (k 1)))))) [1 2])] [s s])
; expect: [(3 5) (3 5)]
(let [k (prompt :p (let [s (map (fn [x] (if (= x 2) (control0 :p k k) (* 10 x))) [1 2 3])] [(vec s) s]))] [(k :first) (k :second)])
; expect: [[[10 :first 30] (10 :first 30)] [[10 :first 30] (10 :first 30)]]
(let [saved (atom nil) n (atom 0) s (map (fn [x] (call/cc (fn [k] (if (= x 2) (reset! saved k) nil) x))) [1 2 3]) v (vec s)] (if (< (swap! n inc) 3) (@saved 20) [@n v s]))
; expect: [3 [1 2 3] (1 2 3)]
(solutions (fn [] (doall (for [x [1 2]] (amb x :not)))))
; expect: ((1 2) (1 2) (1 2))
(solutions (fn [] (filterv (fn [x] (amb true false)) [1 2])))
; expect: ([1 2] [1] [2] [])
(solutions (fn [] (group-by (fn [x] (amb :a :b)) [1 2])))
; expect: ({:a [1 2]} {:a [1] :b [2]} {:b [1] :a [2]} {:b [1 2]})
(solutions (fn [] (reduce (fn [a x] (+ a (amb x (- x)))) 0 [1 2])))
; expect: (3 -1 1 -3)
(solutions (fn [] (into #{} (map (fn [x] (amb x 0))) [1 2])))
; expect: (#{1 2} #{0 1} #{0 2} #{0})
(solutions (fn [] (merge-with (fn [a b] (amb a b)) {:x 1 :y 1} {:x 2})))
; expect: ({:x 1 :y 1} {:x 2 :y 1})
(solutions (fn [] (update {:a 1} :a (fn [x] (amb (inc x) (dec x))))))
; expect: ({:a 2} {:a 0})
(solutions (fn [] (apply max (mapv (fn [x] (amb x (* 2 x))) [1 3]))))
; expect: (3 6 3 6)
(solutions (fn [] [(some (fn [x] (amb false x)) [1 2]) (every? (fn [x] (> x 0)) [1])]))
; expect: ([nil true] [2 true] [1 true])
(solutions (fn [] ((comp inc (fn [x] (amb x 10)) inc) 1)))
; expect: (3 11)
(generator (fn [] (yield (reduce (fn [a x] (yield a) (+ a x)) 0 [1 2 3]))))
; expect: (0 1 3 6)
(generator (fn [] (sort-by (fn [x] (yield x) (- x)) [1 2])))
; expect: (2 1)
(generator (fn [] (run! yield (map (fn [x] (yield [:map x]) (* 10 x)) [1 2]))))
; expect: ([:map 1] 10 [:map 2] 20)
(run-threads (fn [] (let [a (async (sort-by (fn [x] (pass) (- x)) [1 2 3])) b (async (reduce (fn [a x] (pass) (+ a x)) 0 [1 2 3])) c (async (vec (map (fn [x] (pass) (inc x)) [1 2])))] [(await a) (await b) (await c)])))
; expect: [(3 2 1) 6 [2 3]]
(let [log (atom []) k (prompt :p (mapv (fn [x] (try (if (= x 2) (control0 :p k k) x) (finally (swap! log conj x)))) [1 2 3]))] [@log (k :a) @log (k :b) @log])
; expect: [[1] [1 :a 3] [1 2 3] [1 :b 3] [1 2 3 2 3]]
(let [log (atom [])] [(call/cc (fn [out] (reduce (fn [a x] (try (if (= x 2) (out [:left a]) (+ a x)) (finally (swap! log conj x)))) 0 [1 2 3]))) @log])
; expect: [[:left 1] [1 2]]
(let [log (atom [])] [(call/cc (fn [out] (doall (map (fn [x] (try (if (= x 2) (out :left) x) (finally (swap! log conj x)))) [1 2 3])))) @log])
; expect: [:left [1 2]]
