[(meta [1]) (meta (with-meta [1] {:a 1})) (meta (with-meta (with-meta [1] {:a 1}) nil)) (meta 1) (meta nil) (meta "a") (meta :a)]
; expect: [nil {:a 1} nil nil nil nil nil]
(map (fn [x] (meta (with-meta x {:a 1}))) [[1] '(1) () {1 2} #{1} 'a (map inc [1]) (range 3) (sorted-map 1 2) (sorted-set 1) inc (fn [x] x) (seq [1])])
; expect: ({:a 1} {:a 1} {:a 1} {:a 1} {:a 1} {:a 1} {:a 1} {:a 1} {:a 1} {:a 1} {:a 1} {:a 1} {:a 1})
(with-meta 1 {:a 1})
; expect error: with-meta: expected a collection, symbol or function, found an integer
(with-meta [1] [2])
; expect error: with-meta: expected a map, found a vector
(let [x (with-meta [1 2] {:a 1})] [(= x [1 2]) (= [1 2] x) (= (hash x) (hash [1 2])) (get {[1 2] :found} x) (get {x :found} [1 2]) (contains? #{x} [1 2]) (pr-str x) (str x) (compare x [1 3])])
; expect: [true true true :found :found true "[1 2]" "[1 2]" -1]
(let [x (with-meta [1 2] {:a 1})] (map meta [(conj x 3) (assoc x 0 9) (pop x) (empty x) (into x [3 4]) (vec x) (subvec x 1) (rest x) (seq x) (seq (with-meta '(1) {:m 2})) (pop (with-meta '(1 2) {:m 2})) (map inc x) (mapv inc x) (set x)]))
; expect: ({:a 1} {:a 1} {:a 1} {:a 1} {:a 1} nil nil nil nil {:m 2} nil nil nil nil)
(let [m (with-meta {:a 1 :b 2} {:m 1})] (map meta [(assoc m :c 3) (dissoc m :a) (merge m {:d 1}) (merge {:d 1} m) (update m :a inc) (assoc-in m [:x :y] 1) (select-keys m [:a]) (update-vals m inc) (into {} m) (conj m [:z 1]) (reduce conj m [[:y 1]])]))
; expect: ({:m 1} {:m 1} {:m 1} nil {:m 1} {:m 1} {:m 1} {:m 1} nil {:m 1} {:m 1})
(let [s (with-meta #{1 2} {:m 1})] (map meta [(conj s 3) (disj s 1) (into s [5 6]) (set s)]))
; expect: ({:m 1} {:m 1} {:m 1} nil)
(let [l (with-meta '(1 2) {:m 1})] [(meta (conj l 0)) (meta (rest l)) (meta (cons 0 l)) (conj l 0) (cons 0 l) (first l) (count l) (nth l 1) (apply + l) (concat l l) (reverse l) (list? l)])
; expect: [{:m 1} nil nil (0 1 2) (0 1 2) 1 2 2 3 (1 2 1 2) (2 1) true]
(let [f (with-meta (fn [x] (inc x)) {:m 1})] [(f 1) (map f [1 2]) (meta f) (fn? f) (ifn? f) (apply f [5]) ((comp f f) 1) (reduce (with-meta + {:m 1}) [1 2 3])])
; expect: [2 (2 3) {:m 1} true true 6 3 6]
(let [m (with-meta {:a 1} {:m 1}) s (with-meta 'a {:tag 'String})] [(:a m) (m :a) ('a {s 3}) (s {'a 4}) (name s) (= s 'a) (symbol? s) (meta s) (get {'a 1} s)])
; expect: [1 1 3 4 "a" true true {:tag String} 1]
[(meta ^{:a 1} [1]) (meta ^:b {}) (meta ^{:a (+ 1 2)} #{1}) (meta '^:c (x)) (meta (second '[a ^:d b])) (meta (first (keys '{^:e k v}))) (meta ^{:f 1} (fn [] 1)) (meta (let [x 1] ^{:x x} [x]))]
; expect: [{:a 1} {:b true} {:a 3} {:c true} {:d true} {:e true} {:f 1} {:x 1}]
(meta (vary-meta (vary-meta [1] assoc :a 1) update :a inc))
; expect: {:a 2}
(let [inner (with-meta [1] {:i 1}) outer (with-meta [inner {:k inner}] {:o 1})] [(meta (first outer)) (meta (nth outer 0)) (meta (:k (second outer))) (meta (first (conj () inner))) (= outer [[1] {:k [1]}]) (= (hash outer) (hash [[1] {:k [1]}])) (pr-str outer) (str outer (list inner))])
; expect: [{:i 1} {:i 1} {:i 1} {:i 1} true true "[[1] {:k [1]}]" "[[1] {:k [1]}]([1])"]
(let [x (with-meta (lazy-seq [1 2]) {:m 1})] [(meta x) (first x) (count x) (= x [1 2]) (into [] x) (realized? (with-meta (lazy-seq [1]) {:a 1}))])
; expect: [{:m 1} 1 2 true [1 2] false]
(first (lazy-seq (with-meta '(1 2) {:m 1})))
; expect: 1
(let [m (with-meta (sorted-map-by (fn [a b] (compare b a)) 1 :a 2 :b) {:m 1})] [(meta (assoc m 3 :c)) (keys (assoc m 3 :c)) (meta (dissoc m 1)) (get m 1) (contains? m 2) (meta (into m [[5 :e]])) (keys (into m [[5 :e]]))])
; expect: [{:m 1} (3 2 1) {:m 1} :a true {:m 1} (5 2 1)]
(let [x (with-meta [3 1 2] {:m 1}) [a & more :as all] x {:keys [k]} (with-meta {:k 1} {:m 1})] [a more (meta all) k (sort x) (meta (sort x)) (reduce + x) (some #{3} x) (filter odd? x) (group-by odd? x) (sort-by - x) (frequencies x) (max-key identity 1 2) (zipmap x x) (interleave x x) (partition 2 x) (nth x 1) (peek x) (last x) (into [] (map inc) x) (x 0) (map-indexed vector x)])
; expect: [3 (1 2) {:m 1} 1 (1 2 3) {:m 1} 6 3 (3 1) {true [3 1] false [2]} (3 2 1) {3 1, 1 1, 2 1} 2 {3 3, 1 1, 2 2} (3 3 1 1 2 2) ((3 1)) 1 2 2 [4 2 3] 3 ([0 3] [1 1] [2 2])]
(prompt* :tag (with-meta (fn [x] (inc x)) {:m 1}) 5)
; expect: 6
(call/cc (with-meta (fn [k] (k 5)) {:m 1}))
; expect: 5
(let [a (atom (with-meta [] {:m 1}))] (swap! a conj 1) (swap! a conj 2) [(meta @a) @a])
; expect: [{:m 1} [1 2]]
[(identical? (with-meta [1] {:a 1}) (with-meta [1] {:a 1})) (ex-data (ex-info "a" (with-meta {:x 1} {:m 1}))) (vector? (with-meta [1] {:a 1})) (map? (with-meta {} {:a 1})) (coll? (with-meta () {:a 1})) (empty? (with-meta () {:a 1})) (seq (with-meta () {:a 1})) (sequential? (with-meta (range 2) {:a 1}))]
; expect: [false {:x 1} true true true true nil true]
(meta (reduce conj (with-meta [] {:m 1}) (range 100)))
; expect: {:m 1}
(let [big (with-meta (into [] (repeat 3000 1)) {:m 1})] [(meta (conj big 1)) (count (pr-str big)) (= big (repeat 3000 1)) (meta (into big [1 2]))])
; expect: [{:m 1} 6001 true {:m 1}]
(clojure.walk/postwalk (fn [x] (if (and (coll? x) (meta x)) [:m (meta x)] x)) [1 (with-meta '(2) {:q 1})])
; expect: [1 (2)]
(count (first (first (q '[:find ?x] [(with-meta [1] {:m 1}) (with-meta 'a {:m 1})]))))
; expect: 2
