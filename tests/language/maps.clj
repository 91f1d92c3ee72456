; Maps.
[{} {:a 1} {:a 1, "b" [2], 3 {:c nil}} (hash-map) (hash-map :a 1 :b 2)]
; expect: [{} {:a 1} {:a 1 "b" [2] 3 {:c nil}} {} {:a 1 :b 2}]
{:a (+ 1 2) (keyword "b") (str "x" 1)}
; expect: {:a 3 :b "x1"}
(hash-map :a)
; expect error: hash-map
[(get {:a 1} :a) (get {:a 1} :b) (get {:a 1} :b 2) (get {:a nil} :a 2) (get nil :a) (get nil :a 1) (get 5 :a) (get {nil 1} nil)]
; expect: [1 nil 2 nil nil 1 nil 1]
[({:a 1} :a) ({:a 1} :b) ({:a 1} :b :none) (:a {:a 1}) (:b {:a 1} 5)]
; expect: [1 nil :none 1 5]
({:a 1})
; expect error: wrong number of arguments (0)
[(assoc {} :a 1) (assoc {:a 1} :a 2 :b 3) (assoc nil :a 1) (assoc {:a 1} nil nil)]
; expect: [{:a 1} {:a 2 :b 3} {:a 1} {:a 1 nil nil}]
(assoc {} :a 1 :b)
; expect error: assoc
(assoc '(1) 0 1)
; expect error: assoc
[(dissoc {:a 1 :b 2} :a) (dissoc {:a 1} :b) (dissoc {:a 1 :b 2 :c 3} :a :c) (dissoc {:a 1}) (dissoc nil :a) (dissoc {:a 1} :a)]
; expect: [{:b 2} {:a 1} {:b 2} {:a 1} nil {}]
[(contains? {:a nil} :a) (contains? {:a 1} :b) (contains? nil :a) (contains? {} nil)]
; expect: [true false false false]
[(find {:a 1} :a) (find {:a nil} :a) (find {:a 1} :b) (find nil :a)]
; expect: [[:a 1] [:a nil] nil nil]
[(count {}) (count {:a 1 :b 2}) (count nil) (empty? {}) (empty {:a 1}) (seq {}) (not-empty {})]
; expect: [0 2 0 true {} nil nil]
[(keys {:a 1}) (vals {:a 1}) (keys {}) (vals {}) (keys nil) (vals nil)]
; expect: [(:a) (1) nil nil nil nil]
(set (keys {:a 1 :b 2 :c 3}))
; expect: #{:a :b :c}
(sort (vals {:a 3 :b 1 :c 2}))
; expect: (1 2 3)
[(key (first {:a 1})) (val (first {:a 1})) (first {:a 1}) (vec {:a 1})]
; expect: [:a 1 [:a 1] [[:a 1]]]
(map (fn [[k v]] [v k]) {:a 1})
; expect: ([1 :a])
(vector? (first {:a 1}))
; expect: true
(keys 5)
; expect error: found an integer
(keys [1 2])
; expect error: keys
(key 5)
; expect error: key
[(conj {:a 1} [:b 2]) (conj {:a 1} {:b 2 :c 3}) (conj {} [:a 1] [:b 2]) (conj {:a 1} nil) (conj {:a 1} (first {:b 2}))]
; expect: [{:a 1 :b 2} {:a 1 :b 2 :c 3} {:a 1 :b 2} {:a 1} {:a 1 :b 2}]
(conj {} [:a])
; expect error: conj
(conj {} 5)
; expect error: conj
[(into {} [[:a 1] [:b 2]]) (into {:a 1} {:b 2}) (into {} (map (fn [x] [x (* x x)]) (range 3)))]
; expect: [{:a 1 :b 2} {:a 1 :b 2} {0 0 1 1 2 4}]
[(merge {:a 1} {:b 2}) (merge {:a 1} {:a 2} {:a 3}) (merge) (merge nil nil) (merge nil {:a 1}) (merge {:a 1} nil)]
; expect: [{:a 1 :b 2} {:a 3} nil nil {:a 1} {:a 1}]
[(merge-with + {:a 1 :b 2} {:a 10} {:a 100 :c 5}) (merge-with into {:a [1]} {:a [2]})]
; expect: [{:a 111 :b 2 :c 5} {:a [1 2]}]
[(select-keys {:a 1 :b 2 :c nil} [:a :c :d]) (select-keys nil [:a]) (select-keys {:a 1} [])]
; expect: [{:a 1 :c nil} {} {}]
[(get-in {:a {:b {:c 1}}} [:a :b :c]) (get-in {:a 1} [:b :c]) (get-in {:a 1} [:b] 9) (get-in {:a 1} []) (get-in {:a {:b nil}} [:a :b] 9)]
; expect: [1 nil 9 {:a 1} nil]
[(assoc-in {} [:a :b] 1) (assoc-in {:a {:b 1}} [:a :c] 2) (assoc-in nil [:a] 1)]
; expect: [{:a {:b 1}} {:a {:b 1 :c 2}} {:a 1}]
[(update {:a 1} :a inc) (update {} :a (fnil inc 0)) (update {:a 1} :a + 10) (update {:a 1} :a + 1 2 3)]
; expect: [{:a 2} {:a 1} {:a 11} {:a 7}]
[(update-in {:a {:b 1}} [:a :b] inc) (update-in {} [:a :b] (fnil conj []) 1) (update-in {:a {:b 1}} [:a :b] + 2 3)]
; expect: [{:a {:b 2}} {:a {:b [1]}} {:a {:b 6}}]
[(update-vals {:a 1 :b 2} inc) (update-keys {:a 1} name)]
; expect: [{:a 2 :b 3} {"a" 1}]
[(zipmap [:a :b] [1 2]) (zipmap [:a :b] [1]) (zipmap [] [1]) (zipmap [:a :a] [1 2])]
; expect: [{:a 1 :b 2} {:a 1} {} {:a 2}]
[(group-by odd? [1 2 3]) (group-by count ["a" "bb" "c"]) (group-by odd? [])]
; expect: [{true [1 3] false [2]} {1 ["a" "c"] 2 ["bb"]} {}]
(frequencies [:a :b :a 1 1.0 1])
; expect: {:a 2 :b 1 1 2 1.0 1}
(reduce-kv (fn [m k v] (assoc m v k)) {} {:a 1 :b 2})
; expect: {1 :a 2 :b}
(reduce (fn [total [_ v]] (+ total v)) 0 {:a 1 :b 2})
; expect: 3
(let [m (into {} (map (fn [i] [i (* i i)]) (range 1000)))] [(count m) (m 0) (m 31) (m 32) (m 999) (m 1000) (reduce + (vals m))])
; expect: [1000 0 961 1024 998001 nil 332833500]
(let [m (zipmap (range 500) (range 500)) n (reduce dissoc m (range 0 500 2))] [(count n) (n 1) (n 2) (contains? n 499) (count m) (= n (zipmap (range 1 500 2) (range 1 500 2)))])
; expect: [250 1 nil true 500 true]
(= (reduce (fn [m i] (assoc m i i)) {} (range 100)) (reduce (fn [m i] (assoc m i i)) {} (reverse (range 100))))
; expect: true
(let [m {:a 1} n (assoc m :a 2)] [m n])
; expect: [{:a 1} {:a 2}]
{[1 2] :vector, {:a 1} :map, #{1} :set, nil :nil, true :true, \a :char, 1.5 :double, 1/2 :ratio, "s" :string}
; expect: {[1 2] :vector, {:a 1} :map, #{1} :set, nil :nil, true :true, \a :char, 1.5 :double, 1/2 :ratio, "s" :string}
(let [m {[1 2] :vector, {:a 1} :map, #{1} :set, nil :nil}] (map m ['(1 2) {:a 1} #{1} nil]))
; expect: (:vector :map :set :nil)
(map {:a 1 :b 2} [:a :b :c])
; expect: (1 2 nil)
(apply hash-map [:a 1 :b 2])
; expect: {:a 1 :b 2}
(array-map :a 1 :b 2)
; expect: {:a 1 :b 2}
(let [x 1] {:x x, :y (inc x), :z [x x]})
; expect: {:x 1 :y 2 :z [1 1]}
(sort-by key {:b 1 :a 2})
; expect: ([:a 2] [:b 1])
(some (fn [[k v]] (when (= v 2) k)) {:a 1 :b 2})
; expect: :b
(every? (fn [[k v]] (keyword? k)) {:a 1 :b 2})
; expect: true
(map count [{} {:a 1} {:a 1 :b 2}])
; expect: (0 1 2)
[(get {:a 1} :a 2 ) (get #{1} 1) (get #{1} 2 :none)]
; expect: [1 1 :none]
(let [m (assoc {} 1 :int 1.0 :double true :true "1" :string \1 :char)] [(count m) (m 1) (m 1.0) (m true) (m "1") (m \1)])
; expect: [5 :int :double :true :string :char]
(let [m (transient {})] (persistent! (assoc! m :a 1)))
; expect: {:a 1}
