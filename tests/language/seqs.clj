; Functions over seqs.
(map inc [1 2 3])
; expect: (2 3 4)
[(map + [1 2] [10 20]) (map + [1 2 3] [10 20]) (map vector [1 2] [3 4] [5 6]) (map list [1] [2] [3] [4] [5])]
; expect: [(11 22) (11 22) ([1 3 5] [2 4 6]) ((1 2 3 4 5))]
[(map inc nil) (map inc []) (map :a [{:a 1} {:b 2}]) (map {:a 1} [:a :b])]
; expect: [() () (1 nil) (1 nil)]
[(filter odd? (range 6)) (filter nil? [1 nil]) (filter odd? nil) (remove odd? (range 6)) (filter identity [1 nil false 2])]
; expect: [(1 3 5) (nil) () (0 2 4) (1 2)]
[(take 2 [1 2 3]) (take 5 [1]) (take 0 [1]) (take -1 [1]) (drop 1 [1 2]) (drop 5 [1]) (drop 0 [1]) (drop -1 [1])]
; expect: [(1 2) (1) () () (2) () (1) (1)]
[(take-while pos? [1 2 -1 3]) (drop-while pos? [1 2 -1 3]) (take-while pos? []) (drop-while pos? [1])]
; expect: [(1 2) (-1 3) () ()]
[(take-last 2 [1 2 3]) (take-last 5 [1]) (take-last 0 [1]) (drop-last [1 2 3]) (drop-last 2 [1 2 3]) (take-nth 2 (range 7))]
; expect: [(2 3) (1) nil (1 2) (1) (0 2 4 6)]
[(concat) (concat [1]) (concat [1] [2]) (concat [1] nil [2] () [3]) (concat {:a 1} "b")]
; expect: [() (1) (1 2) (1 2 3) ([:a 1] \b)]
[(mapcat reverse [[1 2] [3 4]]) (mapcat list [1 2] [3 4]) (mapcat identity nil)]
; expect: [(2 1 4 3) (1 3 2 4) ()]
[(interleave [1 2] [:a :b]) (interleave [1 2 3] [:a]) (interleave [1] [2] [3]) (interpose 0 [1 2 3]) (interpose 0 [])]
; expect: [(1 :a 2 :b) (1 :a) (1 2 3) (1 0 2 0 3) ()]
[(partition 2 [1 2 3 4 5]) (partition 2 1 [1 2 3]) (partition 3 3 [:x] [1 2 3 4]) (partition 2 3 (range 8)) (partition 3 [1 2])]
; expect: [((1 2) (3 4)) ((1 2) (2 3)) ((1 2 3) (4 :x)) ((0 1) (3 4) (6 7)) ()]
[(partition-all 2 [1 2 3]) (partition-all 2 1 [1 2 3]) (partition-all 2 [])]
; expect: [((1 2) (3)) ((1 2) (2 3) (3)) ()]
[(partition-by odd? [1 3 2 4 5]) (partition-by identity [1 1 2]) (partition-by odd? [])]
; expect: [((1 3) (2 4) (5)) ((1 1) (2)) ()]
[(split-at 2 [1 2 3]) (split-with pos? [1 -1 2])]
; expect: [[(1 2) (3)] [(1) (-1 2)]]
[(range 3) (range 1 4) (range 0 10 3) (range 3 0 -1) (range 0) (range 5 1) (range 0 1 0.25) (range 1 2 1/2)]
; expect: [(0 1 2) (1 2 3) (0 3 6 9) (3 2 1) () () (0 0.25 0.5 0.75) (1 3/2)]
[(take 3 (range)) (take 3 (iterate inc 5)) (take 3 (repeat :x)) (repeat 2 :y) (take 4 (cycle [1 2 3])) (cycle []) (take 2 (repeatedly (fn [] 7))) (repeatedly 2 (constantly 8))]
; expect: [(0 1 2) (5 6 7) (:x :x :x) (:y :y) (1 2 3 1) () (7 7) (8 8)]
[(distinct [1 1 2 1]) (dedupe [1 1 2 1 1]) (distinct []) (distinct [nil nil 1.0 1])]
; expect: [(1 2) (1 2 1) () (nil 1.0 1)]
[(flatten [1 [2 [3 (list 4)]] nil]) (flatten nil) (flatten 5)]
; expect: [(1 2 3 4 nil) () ()]
[(keep (fn [x] (when (odd? x) (* x x))) (range 5)) (keep :a [{:a 1} {} {:a false}])]
; expect: [(1 9) (1 false)]
[(map-indexed vector [:a :b]) (keep-indexed (fn [i x] (when (odd? i) x)) [:a :b :c :d])]
; expect: [([0 :a] [1 :b]) (:b :d)]
[(some even? [1 2]) (some even? [1 3]) (some #{2} [1 2]) (some :a [{} {:a 5}]) (some nil? [])]
; expect: [true nil 2 5 nil]
[(every? odd? [1 3]) (every? odd? [1 2]) (every? odd? []) (not-any? odd? [2]) (not-every? odd? [1 2])]
; expect: [true false true true true]
[(last [1 2 3]) (last nil) (butlast [1 2 3]) (butlast [1]) (second [1 2]) (nthrest [1 2 3 4] 2) (nthnext [1 2 3] 5) (nthrest [1] 3)]
; expect: [3 nil (1 2) nil 2 (3 4) nil ()]
[(replace {1 :one} [1 2 1]) (replace {1 :one} '(1 2))]
; expect: [[:one 2 :one] (:one 2)]
(tree-seq vector? identity [1 [2 [3]]])
; expect: ([1 [2 [3]]] 1 [2 [3]] 2 [3] 3)
[(sequence [1 2]) (sequence nil) (sequence (map inc) [1 2]) (seq (sequence (filter odd?) [2]))]
; expect: [(1 2) () (2 3) nil]
[(doall (map inc [1 2])) (dorun (map inc [1 2])) (run! inc [1 2])]
; expect: [(2 3) nil nil]
[(rest (map inc [1 2])) (next (map inc [1])) (first (map inc [])) (nth (map inc [1 2]) 1) (nth (range) 100) (count (map inc [1 2 3]))]
; expect: [(3) nil nil 3 100 3]
[(cons 0 (map inc [1])) (conj (map inc [1]) 0) (conj (range 2) :a) (empty (map inc [1]))]
; expect: [(0 2) (0 2) (:a 0 1) ()]
[(reductions + [1 2 3]) (reductions + 10 [1 2]) (reductions + []) (reductions conj [] [1 2])]
; expect: [(1 3 6) (10 11 13) (0) ([] [1] [1 2])]
[(seq (map inc nil)) (seq (filter odd? [2 4])) (seq [1]) (seq nil) (next [1 2]) (next nil)]
; expect: [nil nil (1) nil (2) nil]
[(max-key abs -3 2 1) (min-key abs -3 2 1) (apply max-key second [[:a 1] [:b 3] [:c 2]])]
; expect: [-3 1 [:b 3]]
(reduce + (take 100 (filter even? (map (fn [x] (* x x)) (range)))))
; expect: 1313400
(let [[a b & more] (range 5)] [a b more])
; expect: [0 1 (2 3 4)]
(count (filter even? (range 300)))
; expect: 150
(reduce + (map inc (filter odd? (range 200))))
; expect: 10100
(map inc 5)
; expect error: found an integer
(take 2 5)
; expect error: found an integer
(first (map 5 [1]))
; expect error: not a function
(nth (map inc [1 2]) 2)
; expect error: index
(lazy-cat [1] (map inc [1]) nil)
; expect: (1 2)
(let [s (seq [1 2 3])] [(first s) (rest s) (count s) (seq? s) (vec s) (reverse s)])
; expect: [1 (2 3) 3 true [1 2 3] (3 2 1)]
(let [r (range 10)] [(first r) (count r) (last r) (nth r 3) (rest (range 2)) (reverse (range 3)) (vec (rest (rest (range 4))))])
; expect: [0 10 9 3 (1) (2 1 0) [2 3]]
(rand-nth [7])
; expect: 7
