; Destructuring in let, fn, loop and friends.
(let [[a b] [1 2]] [a b])
; expect: [1 2]
(let [[a b c] [1 2]] [a b c])
; expect: [1 2 nil]
(let [[a] [1 2 3]] a)
; expect: 1
(let [[a & more] [1 2 3]] [a more])
; expect: [1 (2 3)]
(let [[a & more] [1]] [a more])
; expect: [1 nil]
(let [[a b :as all] [1 2 3]] [a b all])
; expect: [1 2 [1 2 3]]
(let [[a & [b & c] :as all] [1 2 3 4]] [a b c all])
; expect: [1 2 (3 4) [1 2 3 4]]
(let [[[a b] [c]] [[1 2] [3]]] [a b c])
; expect: [1 2 3]
(let [[a b] nil] [a b])
; expect: [nil nil]
(let [[a b] '(1 2)] [a b])
; expect: [1 2]
(let [[a b] "xy"] [a b])
; expect: [\x \y]
(let [[a b] (map inc [1 2])] [a b])
; expect: [2 3]
(let [[_ b _ d] [1 2 3 4]] [b d])
; expect: [2 4]
(let [[k v] (first {:a 1})] [k v])
; expect: [:a 1]
(let [{:keys [a b]} {:a 1 :b 2}] [a b])
; expect: [1 2]
(let [{:keys [a b] :or {b 5}} {:a 1}] [a b])
; expect: [1 5]
(let [{:keys [a] :or {a 5}} {:a nil}] a)
; expect: nil
(let [{:keys [a] :as all} {:a 1 :b 2}] [a all])
; expect: [1 {:a 1 :b 2}]
(let [{x :a y :b} {:a 1 :b 2}] [x y])
; expect: [1 2]
(let [{x :a :or {x 9}} {}] x)
; expect: 9
(let [{:strs [a]} {"a" 1}] a)
; expect: 1
(let [{:syms [a]} {'a 1}] a)
; expect: 1
(let [{:keys [x/a y/b]} {:x/a 1 :y/b 2}] [a b])
; expect: [1 2]
(let [{:x/keys [a b]} {:x/a 1 :x/b 2}] [a b])
; expect: [1 2]
(let [{:keys [:a :b]} {:a 1 :b 2}] [a b])
; expect: [1 2]
(let [{{:keys [c]} :b [d e] :v} {:b {:c 1} :v [2 3]}] [c d e])
; expect: [1 2 3]
(let [{[a b] :pair} {:pair [1 2]}] [a b])
; expect: [1 2]
(let [{a 0 b 1} [:x :y]] [a b])
; expect: [:x :y]
(let [{:keys [a]} nil] a)
; expect: nil
(let [{:keys [a]} '(:a 1)] a)
; expect: 1
((fn [[a b] {:keys [c]}] [a b c]) [1 2] {:c 3})
; expect: [1 2 3]
((fn [[a & more]] more) [1 2 3])
; expect: (2 3)
((fn [& [a b]] [a b]) 1)
; expect: [1 nil]
((fn [a & {:keys [b c] :or {c :none}}] [a b c]) 1 :b 2)
; expect: [1 2 :none]
((fn [a & {:keys [b]}] [a b]) 1 {:b 2})
; expect: [1 2]
(defn distance [[x1 y1] [x2 y2]] (+ (abs (- x1 x2)) (abs (- y1 y2))))
(distance [1 1] [4 5])
; expect: 7
(loop [[x & more] [1 2 3] total 0] (if x (recur more (+ total x)) total))
; expect: 6
(for [[k v] {:a 1} {:keys [n]} [{:n v}]] [k n])
; expect: ([:a 1])
(let [a 1 [b c] [a (inc a)] {:keys [d] :or {d (+ b c)}} {}] [a b c d])
; expect: [1 1 2 3]
(map (fn [{:keys [name age]}] (str name age)) [{:name "x" :age 1}])
; expect: ("x1")
(let [[a b] 5] a)
; expect error: found an integer
(let [[a [b]] [1 nil]] [a b])
; expect: [1 nil]
(let [{:keys [a] b :b :as m :or {a 1 b 2}} {:c 3}] [a b m])
; expect: [1 2 {:c 3}]
(reduce (fn [acc [k v]] (+ acc v)) 0 [[:a 1] [:b 2]])
; expect: 3
(doseq [[a b] [[1 2]]] (assert (= 3 (+ a b))))
; expect: nil
(when-let [[a] (seq [1])] a)
; expect: 1
(if-let [{:keys [a]} nil] a :none)
; expect: :none
