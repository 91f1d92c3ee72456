; Sorted maps and sets.
[(sorted-map) (sorted-map :b 2 :a 1) (sorted-map 3 :c 1 :a 2 :b 1 :z) (sorted-set) (sorted-set 3 1 2 1)]
; expect: [{} {:a 1, :b 2} {1 :z, 2 :b, 3 :c} #{} #{1 2 3}]
[(pr-str (sorted-map "b" [1] "a" nil)) (str (sorted-set \c \a \b)) (pr-str (seq (sorted-map 2 1 1 2)))]
; expect: ["{\"a\" nil, \"b\" [1]}" "#{\\a \\b \\c}" "([1 2] [2 1])"]
(sorted-map 1)
; expect error: sorted-map: the last key has no value
[(map? (sorted-map)) (set? (sorted-set)) (coll? (sorted-map)) (sorted? (sorted-map)) (sorted? (sorted-set 1)) (sorted? {}) (sorted? [1]) (sorted? nil)]
; expect: [true true true true true false false false]
[(associative? (sorted-map)) (associative? (sorted-set)) (counted? (sorted-set 1)) (sequential? (sorted-map)) (seq? (sorted-set 1)) (ifn? (sorted-set)) (fn? (sorted-map))]
; expect: [true false true false false true false]
(let [m (sorted-map 1 :a 3 :c)] [(get m 1) (get m 2) (get m 2 :none) (m 3) (m 4) (m 4 :none) (contains? m 3) (contains? m 2) (find m 3) (find m 2)])
; expect: [:a nil :none :c nil :none true false [3 :c] nil]
(let [s (sorted-set 1 3 nil)] [(get s 1) (get s 2 :none) (s 3) (s 2) (s nil) (contains? s nil) (contains? s 2)])
; expect: [1 :none 3 nil nil true false]
[(:a (sorted-map :a 1)) (:b (sorted-map :a 1) 2) ('x (sorted-map 'x 5)) (:a (sorted-set :a))]
; expect: [1 2 5 :a]
[(count (sorted-map 1 2)) (count (sorted-set)) (empty? (sorted-set)) (empty? (sorted-map 1 1)) (empty (sorted-map 1 2)) (sorted? (empty (sorted-set 1))) (not-empty (sorted-set))]
; expect: [1 0 true false {} true nil]
[(assoc (sorted-map 2 :b) 1 :a 3 :c) (assoc (sorted-map 1 :a) 1 :z) (dissoc (sorted-map 1 1 2 2 3 3) 2 5) (dissoc (sorted-map 1 1)) (dissoc (sorted-map 1 1) 1)]
; expect: [{1 :a, 2 :b, 3 :c} {1 :z} {1 1, 3 3} {1 1} {}]
[(conj (sorted-set 2) 1 3 2) (disj (sorted-set 1 2 3) 1 3 7) (disj (sorted-set 1)) (disj (sorted-set 1) 1)]
; expect: [#{1 2 3} #{2} #{1} #{}]
[(conj (sorted-map 2 2) [1 1]) (conj (sorted-map 2 2) {1 1, 3 3}) (conj (sorted-map 2 2) nil) (conj (sorted-map) (sorted-map 1 2)) (conj {5 5} (sorted-map 1 2))]
; expect: [{1 1, 2 2} {1 1, 2 2, 3 3} {2 2} {1 2} {5 5, 1 2}]
(conj (sorted-map) [1 2 3])
; expect error: vector of two
(conj (sorted-map) 1)
; expect error: expected a map or an entry
(disj (sorted-map 1 1) 1)
; expect error: expected a set
(dissoc (sorted-set 1) 1)
; expect error: expected a map
(assoc (sorted-set 1) 1 2)
; expect error: expected a map or a vector
[(seq (sorted-map)) (seq (sorted-set 2 1)) (first (sorted-map 2 :b 1 :a)) (rest (sorted-set 3 1 2)) (next (sorted-set 1)) (last (sorted-set 3 1 2)) (second (sorted-set 3 1 2))]
; expect: [nil (1 2) [1 :a] (2 3) nil 3 2]
[(keys (sorted-map 2 :b 1 :a)) (vals (sorted-map 2 :b 1 :a)) (keys (sorted-map)) (map key (sorted-map 2 :b 1 :a)) (nth (seq (sorted-set 5 4 6)) 1) (nth (keys (sorted-map 5 1 4 2)) 1) (nth (vals (sorted-map 5 1 4 2)) 0)]
; expect: [(1 2) (:a :b) nil (1 2) 5 5 2]
[(rseq (sorted-set 1 2 3)) (rseq (sorted-map 1 :a 2 :b)) (rseq (sorted-set)) (count (rseq (sorted-set 1 2 3))) (nth (rseq (sorted-map 1 :a 2 :b)) 1) (next (rseq (sorted-set 1 2 3))) (rest (next (rseq (sorted-set 1 2)))) (rseq [1 2 3])]
; expect: [(3 2 1) ([2 :b] [1 :a]) nil 3 [1 :a] (2 1) () (3 2 1)]
(nth (sorted-set 1 2) 0)
; expect error: nth: expected a vector, seq or string, found a set
[(nth (seq (sorted-set 1 2)) 2 :none) (nth (rseq (sorted-set 1 2)) 2 :none)]
; expect: [:none :none]
[(into (sorted-set) [3 1 2 3]) (into (sorted-map) {2 :b, 1 :a}) (into (sorted-map) [[2 :b] [1 :a]]) (into [] (sorted-map 2 :b 1 :a)) (into {} (sorted-map 1 2)) (into #{} (sorted-set 1))]
; expect: [#{1 2 3} {1 :a, 2 :b} {1 :a, 2 :b} [[1 :a] [2 :b]] {1 2} #{1}]
[(merge (sorted-map 2 2) {1 1}) (merge {2 2} (sorted-map 1 1)) (update (sorted-map 1 1) 1 inc) (select-keys (sorted-map 1 :a 2 :b 3 :c) [3 1]) (merge-with + (sorted-map 1 1 2 2) {2 5, 0 0}) (update-in (sorted-map :a (sorted-map :b 1)) [:a :b] inc)]
; expect: [{1 1, 2 2} {2 2, 1 1} {1 2} {3 :c, 1 :a} {0 0, 1 1, 2 7} {:a {:b 2}}]
[(reduce + (sorted-set 3 1 2)) (reduce conj [] (sorted-set 3 1 2)) (reduce-kv (fn [r k v] (conj r k v)) [] (sorted-map 2 :b 1 :a)) (reduce (fn [r x] (if (= x 2) (reduced r) (conj r x))) [] (sorted-set 3 1 2))]
; expect: [6 [1 2 3] [1 :a 2 :b] [1]]
[(= (sorted-map 1 2) {1 2}) (= {1 2} (sorted-map 1 2)) (= (sorted-set 1 2) #{2 1}) (= #{2 1} (sorted-set 1 2)) (= (sorted-map 1 2) (sorted-map 1 2)) (= (sorted-set 2 1) (sorted-set 1 2))]
; expect: [true true true true true true]
[(= (sorted-map 1 2) {1 3}) (= (sorted-set 1 2) #{1 3}) (= (sorted-set 1) (sorted-set 1 2)) (= (sorted-set 1) [1]) (= (sorted-map) (sorted-set)) (= (sorted-set 1) nil) (= (sorted-set 1 2) #{:a :b}) (= #{:a "b"} (sorted-set 1 2)) (= (sorted-set 1) (sorted-set 1.0))]
; expect: [false false false false false false false false false]
[(= (hash (sorted-map 1 2 3 4)) (hash {1 2, 3 4})) (= (hash (sorted-set 1 2 3)) (hash #{1 2 3})) (= (hash [(sorted-set 1)]) (hash [#{1}]))]
; expect: [true true true]
[(get {(sorted-map 1 2) :found} {1 2}) (get {#{1 2} :found} (sorted-set 2 1)) (contains? #{(sorted-set 1)} #{1}) (count (hash-set (sorted-set 1) #{1} (sorted-map) {}))]
; expect: [:found :found true 2]
(let [{:keys [a b] :or {b 9} :as all} (sorted-map :a 1 :c 3) [x y & more] (seq (sorted-set 5 4 6))] [a b all x y more])
; expect: [1 9 {:a 1, :c 3} 4 5 (6)]
(sorted-set 1 1.5 1/2 nil -1 100000000000000000000 0.25 1.0)
; expect: #{nil -1 0.25 1/2 1 1.5 100000000000000000000}
[(sorted-set "b" "a" "ab") (sorted-set :b :a :a/b :a/a) (sorted-set 'b 'a) (sorted-set true false) (sorted-set \b \a) (sorted-set [2] [1 1] [] [1] [1 0])]
; expect: [#{"a" "ab" "b"} #{:a :b :a/a :a/b} #{a b} #{false true} #{\a \b} #{[] [1] [2] [1 0] [1 1]}]
(sorted-set #inst "2026-01-02" #inst "2026-01-01")
; expect: #{#inst "2026-01-01T00:00:00.000-00:00" #inst "2026-01-02T00:00:00.000-00:00"}
(sorted-set #uuid "00000000-0000-0000-0000-000000000002" #uuid "00000000-0000-0000-0000-000000000001")
; expect: #{#uuid "00000000-0000-0000-0000-000000000001" #uuid "00000000-0000-0000-0000-000000000002"}
(sorted-set 1 "a")
; expect error: compare: expected
(try (sorted-set 1 :a) (catch ClassCastException e (:fault (ex-data e))))
; expect: :type
(= (try (sorted-set 1 :a) (catch :default e (:fault (ex-data e)))) (try (compare 1 :a) (catch :default e (:fault (ex-data e)))))
; expect: true
(get (sorted-map 1 2) "x")
; expect error: compare: expected
(contains? (sorted-set 1) :a)
; expect error: compare: expected
((sorted-set 1) :a)
; expect error: compare: expected
(:a (sorted-map 1 2))
; expect error: compare: expected
(sorted-map {} 1 {1 2} 3)
; expect error: compare: expected something with an order
[(sorted-map {} 1) (get (sorted-map) {}) (contains? (sorted-set) '(1)) (disj (sorted-set) '(1))]
; expect: [{{} 1} nil false #{}]
(assoc (sorted-map 1 :a) 1.0 :b)
; expect: {1 :b}
(conj (sorted-set 1) 1.0)
; expect: #{1}
(sorted-set 1 ##NaN 0 [1 ##NaN] nil)
; expect error: compare: expected
[(count (sorted-set 9007199254740993 9007199254740992.0)) (sorted-set 1e300 (bit-shift-left 1 70) 1/3 0.3) (compare 9007199254740993 9007199254740992.0)]
; expect: [2 #{0.3 1/3 1180591620717411303424 1.0E300} 0]
(let [a 9007199254740992 b 9007199254740992.0 c 9007199254740993 s (sorted-set [c 1] [b 3] [a 5])] [(seq s) (seq (disj s [b 3]))])
; expect: [([9007199254740992.0 3] [9007199254740992 5] [9007199254740993 1]) ([9007199254740992 5] [9007199254740993 1])]
[(count (sorted-set 1 ##NaN 0 ##NaN)) (rest (sorted-set 1 ##NaN 0)) (compare 1 ##NaN) (compare [##NaN 1] [0 2])]
; expect: [3 (0 1) 0 -1]
(let [a (into (sorted-set) (range 100)) b (conj a -1) c (disj a 50) d (disj (conj c 50) 0)] [(count a) (count b) (first b) (contains? a 50) (contains? c 50) (= a (conj c 50)) (first d) (= a (set (range 100)))])
; expect: [100 101 -1 true false true 1 true]
(let [a (into (sorted-map) (map (fn [i] [i (* i i)]) (range 300))) b (reduce (fn [m i] (assoc m i 0)) a (range 0 300 2)) c (reduce dissoc b (range 0 300 3))] [(count a) (get a 200) (get b 200) (get b 201) (count c) (get c 201 :none) (reduce + (vals a)) (reduce + (keys c))])
; expect: [300 40000 0 40401 200 :none 8955050 30000]
(loop [i 0 s (sorted-set)] (if (< i 2000) (recur (inc i) (conj s (rem (* i 7919) 10007))) [(count s) (= (seq s) (sort (map (fn [i] (rem (* i 7919) 10007)) (range 2000))))]))
; expect: [2000 true]
(loop [s (into (sorted-set) (range 500)) out []] (if (seq s) (recur (disj s (first s)) (conj out (first s))) (= out (range 500))))
; expect: true
(loop [s (into (sorted-set) (range 500)) out 0] (if (seq s) (recur (disj s (first (rseq s))) (inc out)) out))
; expect: 500
(loop [i 0 s (into (sorted-set) (range 400))] (if (< i 400) (recur (inc i) (disj s (rem (* i 137) 400))) s))
; expect: #{}
(let [s (into (sorted-set) (range 100))] [(reduce + (rseq s)) (take 3 (rseq s)) (nth (rseq s) 40) (nth (seq s) 40) (count (drop 95 s)) (apply + s)])
; expect: [4950 (99 98 97) 59 40 5 4950]
(frequencies (sorted-set 1 2))
; expect: {1 1, 2 1}
(try (throw (ex-info "no" (sorted-map 1 2))) (catch :default e [(ex-message e) (ex-data e)]))
; expect: ["no" {1 2}]
[(set (sorted-set 2 1)) (sorted? (set (sorted-set 2 1))) (vec (sorted-set 2 1)) (sort > (sorted-set 1 2)) (distinct (sorted-set 1 2)) (zipmap (sorted-set 1 2) [:a :b]) (group-by odd? (sorted-set 3 2 1))]
; expect: [#{1 2} true [1 2] (2 1) (1 2) {1 :a, 2 :b} {true [1 3], false [2]}]
[(clojure.set/union (sorted-set 3) #{1 2}) (clojure.set/difference (sorted-set 1 2 3) #{2}) (clojure.set/intersection (sorted-set 1 2 3) #{2 9})]
; expect: [#{1 2 3} #{1 3} #{2}]
(assoc-in (sorted-map) [:b :c] 1)
; expect: {:b {:c 1}}
(def m (sorted-map :x 1)) (def n (assoc m :a 2)) [m n (identical? m m)]
; expect: [{:x 1} {:a 2, :x 1} true]
[(sorted-map-by > 1 :a 2 :b) (sorted-set-by > 1 3 2) (sorted-map-by <) (sorted-set-by >=) (sorted-set-by compare 2 1) (sorted? (sorted-set-by >))]
; expect: [{2 :b, 1 :a} #{3 2 1} {} #{} #{1 2} true]
[(seq (sorted-set-by > 1 3 2)) (conj (sorted-set-by > 1 3) 2 3) (seq (conj (empty (sorted-set-by > 1)) 1 2)) (first (sorted-map-by > 1 :a 2 :b)) ((sorted-set-by > 1) 1) (get (sorted-map-by < 1 :a) 1) (seq (disj (sorted-set-by > 1 2 3) 2))]
; expect: [(3 2 1) #{3 2 1} (2 1) [2 :b] 1 :a (3 1)]
[(= (sorted-set-by > 1 2 3) (sorted-set 1 2 3)) (= (sorted-set 1 2 3) (sorted-set-by > 1 2 3)) (= (sorted-set-by > 1 2) #{1 2}) (= #{1 2} (sorted-set-by > 1 2)) (= (sorted-map-by > 1 2 3 4) (sorted-map 1 2 3 4)) (= (sorted-map-by > 1 2 3 4) (sorted-map 1 2 3 5)) (= (hash (sorted-set-by > 1 2)) (hash #{1 2}))]
; expect: [true true true true true false true]
(count (sorted-set-by <= 1 1 1))
; expect: 3
(contains? (sorted-set-by <= 1 2) 1)
; expect: false
(sorted-map-by < 1)
; expect error: sorted-map-by: the last key has no value
(sorted-set-by 5 1)
; expect error: sorted-set-by: expected a function, found an integer
(sorted-map-by :a)
; expect error: sorted-map-by: expected a function, found a keyword
(sorted-set-by > 1 "a")
; expect error: expected a number, found a string
[((comparator <) 1 2) ((comparator <) 2 1) ((comparator <) 1 1) (reversible? [1]) (reversible? (sorted-set)) (reversible? '(1)) (reversible? {})]
; expect: [-1 1 0 true true false false]
(let [s (sorted-set 1 3 5 7)] [(subseq s > 3) (subseq s >= 3) (subseq s >= 4) (subseq s > 7) (subseq s < 5) (subseq s <= 5) (subseq s < 1) (subseq s > 2 < 7) (subseq s >= 3 <= 5) (subseq s > 8 < 9)])
; expect: [(5 7) (3 5 7) (5 7) nil (1 3) (1 3 5) () (3 5) (3 5) nil]
(let [s (sorted-set 1 3 5 7)] [(rsubseq s > 3) (rsubseq s >= 3) (rsubseq s >= 4) (rsubseq s > 7) (rsubseq s < 5) (rsubseq s <= 5) (rsubseq s <= 4) (rsubseq s < 1) (rsubseq s > 2 < 7) (rsubseq s >= 3 <= 5)])
; expect: [(7 5) (7 5 3) (7 5) () (3 1) (5 3 1) (3 1) nil (5 3) (5 3)]
(let [m (sorted-map 1 :a 3 :c 5 :e)] [(subseq m > 1) (subseq m <= 3) (rsubseq m <= 3) (map val (rsubseq m > 1)) (subseq (sorted-map) > 1) (subseq (sorted-map) < 1)])
; expect: [([3 :c] [5 :e]) ([1 :a] [3 :c]) ([3 :c] [1 :a]) (:e :c) nil ()]
(let [s (sorted-set-by > 1 3 5 7)] [(subseq s > 3) (subseq s < 3) (subseq s >= 4) (rsubseq s > 3) (rsubseq s <= 5)])
; expect: [(1) (7 5) (3 1) (1) (5 7)]
(subseq [1 2 3] > 1)
; expect error: subseq: expected a sorted collection, found a vector
(subseq (sorted-set 1 2) > :a)
; expect error: compare: expected
(let [s (into (sorted-set) (range 1000))] [(count (subseq s >= 990)) (first (subseq s > 500)) (first (rsubseq s < 500)) (reduce + (subseq s >= 10 < 20)) (nth (subseq s >= 100) 50)])
; expect: [10 501 499 145 150]
