; Clojure's equality, hashing and identity.
[(= 1 1) (= 1 2) (= 1 1 1) (= 1 1 2) (not= 1 2) (not= 1 1)]
; expect: [true false true false true false]
[(= 1 1.0) (= 1 1N) (= 1/2 1/2) (= true 1) (= nil false) (= nil nil)]
; expect: [false true true false false true]
[(= "a" "a") (= "a" \a) (= :a :a) (= :a 'a) (= 'a 'a) (= "a" :a) (= \a \a)]
; expect: [true false true false true false true]
[(= [1 2] '(1 2)) (= '(1 2) [1 2]) (= [1 2] [2 1]) (= [1 2] [1 2 3]) (= [] ()) (= [] nil) (= () nil)]
; expect: [true true false false true false false]
[(= [1 2] (map inc [0 1])) (= (range 3) [0 1 2]) (= (range 3) '(0 1 2)) (= (range 3) (range 4))]
; expect: [true true true false]
[(= {:a 1 :b 2} {:b 2 :a 1}) (= {:a 1} {:a 2}) (= {:a 1} {:a 1 :b 2}) (= {} {}) (= {} #{}) (= {} [])]
; expect: [true false false true false false]
[(= #{1 2} #{2 1}) (= #{1} #{1 2}) (= #{} #{}) (= #{1 2} [1 2])]
; expect: [true false true false]
[(= {:a [1 {:b #{2}}]} {:a (list 1 {:b #{2}})}) (= [[1] [2]] '((1) (2)))]
; expect: [true true]
[(= [1 2] [1.0 2.0]) (= {1 :a} {1.0 :a}) (= #{1} #{1.0})]
; expect: [false false false]
[(= (seq "ab") [\a \b]) (= (seq {:a 1}) [[:a 1]]) (= (keys {:a 1}) [:a]) (= (vals {:a 1}) '(1))]
; expect: [true true true true]
[(= (hash 1) (hash 1)) (= (hash [1 2]) (hash '(1 2))) (= (hash {:a 1 :b 2}) (hash {:b 2 :a 1})) (= (hash "a") (hash (str \a)))]
; expect: [true true true true]
(= (hash (map inc [0 1])) (hash [1 2]))
; expect: true
(integer? (hash :k))
; expect: true
[(identical? :a :a) (identical? nil nil) (identical? 1 1) (identical? [1] [2])]
; expect: [true true true false]
(let [v [1 2]] (identical? v v))
; expect: true
(let [a (atom 1) b (atom 1)] [(= a a) (= a b)])
; expect: [true false]
(let [f (fn [x] x)] [(= f f) (= f identity)])
; expect: [true false]
(let [deep (fn [n] (loop [v [] i 0] (if (= i n) v (recur [v] (inc i)))))] (= (deep 1500) (deep 1500)))
; expect: true
(let [deep (fn [n] (loop [v [] i 0] (if (= i n) v (recur [v] (inc i)))))] (= (deep 1500) (deep 1501)))
; expect: false
(contains? #{[1 2]} (list 1 2))
; expect: true
(get {[1 2] :found} '(1 2))
; expect: :found
(get {(range 2) :found} [0 1])
; expect: :found
(= (lazy-seq [1 2]) [1 2])
; expect: true
(= [] (lazy-seq nil))
; expect: true
