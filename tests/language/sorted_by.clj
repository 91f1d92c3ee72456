; Sorted maps and sets whose comparator is a function of the program.
(defn longer [a b] (compare (count a) (count b)))
[(sorted-set-by longer "ccc" "a" "bb" "dd") (sorted-map-by longer [1 2] :two [] :none [5] :one) (sorted-map-by longer) (seq (sorted-set-by longer "bbb" "a"))]
; expect: [#{"a" "bb" "ccc"} {[] :none, [5] :one, [1 2] :two} {} ("a" "bbb")]
(pr-str (sorted-set-by (fn [a b] (compare b a)) 1 3 2))
; expect: "#{3 2 1}"
(let [m (sorted-map-by (fn [a b] (< b a)) 1 :a 2 :b 3 :c)] [(seq m) (m 2) (get m 5) (get m 5 :no) (contains? m 3) (contains? m 0) (find m 1) (find m 0) (keys m) (vals m) (first m) (rseq m)])
; expect: [([3 :c] [2 :b] [1 :a]) :b nil :no true false [1 :a] nil (3 2 1) (:c :b :a) [3 :c] ([1 :a] [2 :b] [3 :c])]
(let [by (fn [a b] (- (compare (str a) (str b)))) m (sorted-map-by by :a 1)] [(:a m) (:b m 2) (:b m) (m :a) (m :c 9) ((sorted-set-by by 'x) 'x) ('x (sorted-set-by by 'x)) ((sorted-set-by by 'x) 'y)])
; expect: [1 2 nil 1 9 x x nil]
(let [down (fn [a b] (compare b a)) m (sorted-map-by down 2 :b)] [(seq (assoc m 1 :a 3 :c 2 :z)) (seq (dissoc (assoc m 1 :a 3 :c) 2 7)) (dissoc m) (seq (conj m [5 :e] {4 :d, 6 :f} nil)) (seq (conj (sorted-set-by down 1) 3 2 3)) (seq (disj (sorted-set-by down 1 2 3) 2 9)) (disj (sorted-set-by down 1))])
; expect: [([3 :c] [2 :z] [1 :a]) ([3 :c] [1 :a]) {2 :b} ([6 :f] [5 :e] [4 :d] [2 :b]) (3 2 1) (3 1) #{1}]
(conj (sorted-map-by (fn [a b] 0)) [1 2 3])
; expect error: vector of two
(conj (sorted-map-by (fn [a b] 0)) 5)
; expect error: expected a map or an entry
(assoc (sorted-map-by (fn [a b] 0)) 1)
; expect error: wrong number of arguments
(assoc (sorted-map-by (fn [a b] 0)) 1 2 3)
; expect error: assoc: the last key has no value
(assoc (sorted-set-by (fn [a b] 0)) 1 2)
; expect error: assoc: expected a map or a vector
(disj (sorted-map-by (fn [a b] 0)) 1)
; expect error: disj: expected a set
(sorted-map-by (fn [a b] 0) 1)
; expect error: sorted-map-by: the last key has no value
(sorted-set-by (fn [a b] nil) 1 2)
; expect error: expected a number, found nil
(sorted-set-by (fn [a b] "x") 1 2)
; expect error: expected a number, found a string
(sorted-set-by (fn [a] 0) 1 2)
; expect error: wrong number of arguments (2)
[(sorted-set-by (fn [a] 0) 1) (sorted-map-by (fn [a b] (throw (ex-info "no" {}))) 1 2)]
; expect: [#{1} {1 2}]
(try (conj (sorted-set-by (fn [a b] (throw (ex-info "not these" {}))) 1) 2) (catch ExceptionInfo e (ex-message e)))
; expect: "not these"
(count (sorted-set-by (fn [a b] 0.9) 1 2 3))
; expect: 1
(let [down (fn [a b] (compare b a)) s (into (sorted-set-by down) (range 200))] [(count s) (first s) (reduce + s) (s 77) (s 200) (seq (take 3 s)) (count (reduce disj s (range 0 200 2))) (= s (set (range 200))) (= (set (range 200)) s) (= s (into (sorted-set) (range 200))) (= (into (sorted-set) (range 200)) s) (= (hash s) (hash (set (range 200))))])
; expect: [200 199 19900 77 nil (199 198 197) 100 true true true true true]
(let [a (fn [a b] (compare b a)) b (fn [a b] (compare a b))] [(= (sorted-set-by a 1 2 3) (sorted-set-by b 1 2 3)) (= (sorted-map-by a 1 2 3 4) (sorted-map-by b 1 2 3 5)) (= (sorted-map-by a 1 2 3 4) (sorted-map-by b 1 2 3 4)) (= [(sorted-set-by a 1 2)] [(sorted-set-by b 1 2)]) (= (sorted-set-by a 1 2) (sorted-set :a :b)) (= (sorted-set :a :b) (sorted-set-by a 1 2))])
; expect: [true false true true false false]
(let [a (fn [a b] (compare b a)) b (fn [a b] (compare a b)) big (into (sorted-set-by a) (range 60)) other (into (sorted-set-by b) (range 60))] [(= big other) (= [1 big] [1 other]) (= big (disj other 5)) (= big (conj (disj other 5) :x)) (= big (set (range 60))) (= {:a big} {:a other})])
; expect error: compare: expected
(let [a (fn [a b] (compare b a)) b (fn [a b] (compare a b)) big (into (sorted-set-by a) (range 60)) other (into (sorted-set-by b) (range 60))] [(= big other) (= [1 big] [1 other]) (= big (disj other 5)) (= big (conj (disj other 5) -5)) (= big (set (range 60))) (= {:a big} {:a other})])
; expect: [true true false false true true]
(let [m (into (sorted-map) (map (fn [i] [i (str i)]) (range 60))) n (into (sorted-map-by >) m)] [(= m n) (= n m) (= m (into {} m)) (= (into {} m) n) (= m (assoc n 5 5)) (= [m] [(dissoc n 7)])])
; expect: [true true true true false false]
(let [s (sorted-set-by (fn [a b] (compare b a)) 1 3 5 7)] [(subseq s > 3) (subseq s < 3) (subseq s >= 4) (rsubseq s > 3) (rsubseq s <= 5) (subseq s >= 5 <= 1) (subseq s > 5 < 1) (rsubseq s >= 5 < 1)])
; expect: [(1) (7 5) (3 1) (1) (5 7) (5 3 1) (3) (3 5)]
(let [down (fn [a b] (compare b a)) m (into (sorted-map-by down) {1 :a, 2 :b})] [(seq m) (seq (merge m {3 :c})) (seq (update m 1 name)) (select-keys m [2 5]) (seq (merge-with vector m {1 :z})) (seq (empty m)) (seq (assoc (empty m) 1 1 2 2)) (into {} m) (reduce-kv (fn [r k v] (conj r k)) [] m) (let [{x 1 y 2 z 3} m] [x y z])])
; expect: [([2 :b] [1 :a]) ([3 :c] [2 :b] [1 :a]) ([2 :b] [1 "a"]) {2 :b} ([2 :b] [1 [:a :z]]) nil ([2 2] [1 1]) {1 :a, 2 :b} [2 1] [:a :b nil]]
(let [down (fn [a b] (compare b a))] [(apply sorted-set-by down [1 2 3]) (apply conj (sorted-set-by down) (range 5)) (reduce conj (sorted-set-by down) [1 2]) (into (sorted-set-by down) (range 5)) (into (sorted-set-by down) (map inc) [1 2]) (into (sorted-set-by down) (repeat 3 1)) (map (sorted-map-by down 1 :a) [1 2]) (filter (sorted-set-by down 1 3) (range 4))])
; expect: [#{3 2 1} #{4 3 2 1 0} #{2 1} #{4 3 2 1 0} #{3 2} #{1} (:a nil) (1 3)]
(let [log (atom []) s (sorted-set-by (fn [a b] (swap! log conj [a b]) (compare a b)) 5)] (conj s 7) @log)
; expect: [[7 5]]
(let [a (into (sorted-set-by (fn [a b] (compare a b))) (range 100)) b (conj a -1) c (disj a 50)] [(count a) (count b) (count c) (first b) (contains? a 50) (contains? c 50) (= (conj c 50) a)])
; expect: [100 101 99 -1 true false true]
; a comparator that captures its continuation: the change goes on twice from there
(let [kept (atom nil) times (atom 0) s (sorted-set-by (fn [a b] (call/cc (fn [k] (reset! kept k))) (compare a b)) 1)
      t (conj s 2)] (swap! times inc) (if (< @times 3) (@kept nil) [(seq s) (seq t) @times]))
; expect: [(1) (1 2) 3]
; a comparator that leaves
(prompt :p (conj (sorted-set-by (fn [a b] (control0 :p k :left)) 1) 2))
; expect: :left
; a comparator that asks an effect, and goes on where it was
(let [s (into (sorted-set-by (fn [a b] (here) (compare a b))) [3 1 2])] [(seq s) (s 2) (subseq s > 1)])
; expect: [(1 2 3) 2 (2 3)]
; the answer of each comparison comes from outside
(let [part (prompt :ask [(seq (conj (sorted-set-by (fn [a b] (control0 :ask k k)) 10) 20))])] [(prompt :ask (part -1)) (prompt :ask (part 1)) (prompt :ask (part 0))])
; expect: [[(20 10)] [(10 20)] [(10)]]
(defn depth [n] (if (zero? n) 0 (inc (depth (dec n))))) (seq (sorted-set-by (fn [a b] (+ (depth 3000) -3000 (compare a b))) 2 1))
; expect: (1 2)
