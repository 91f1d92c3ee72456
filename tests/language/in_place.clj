; What has one owner is changed in place; versions that somebody holds stay as they were.
(let [v [1 2] w (conj v 3) x (conj v 4)] [v w x])
; expect: [[1 2] [1 2 3] [1 2 4]]
(let [m {:a 1} n (assoc m :b 2) o (dissoc m :a)] [m n o])
; expect: [{:a 1} {:a 1 :b 2} {}]
(let [v (vec (range 40)) w (pop v) x (assoc v 3 :x)] [(count v) (count w) (nth v 3) (nth x 3) (peek v)])
; expect: [40 39 3 :x 39]
(defn grow [v n] (if (= n 0) v (grow (conj v n) (- n 1)))) (let [v [0] w (grow v 40)] [v (count w) (nth w 33)])
; expect: [[0] 41 8]
(loop [i 0 m {} kept []] (if (< i 4) (recur (inc i) (assoc m i i) (conj kept m)) kept))
; expect: [{} {0 0} {0 0 1 1} {0 0 1 1 2 2}]
(loop [i 0 m {} kept nil] (if (< i 20) (recur (inc i) (assoc m i i) (if (= i 12) m kept)) [(count kept) (count m)]))
; expect: [12 20]
(let [v [1 2] f (fn [] v)] [(conj v 3) (f) (conj v 4) (f)])
; expect: [[1 2 3] [1 2] [1 2 4] [1 2]]
(let [v [1 2 3]] (conj v (count v) (peek v) v))
; expect: [1 2 3 3 3 [1 2 3]]
(let [m {:n 1}] (assoc m :n (inc (:n m)) :old m))
; expect: {:n 2 :old {:n 1}}
(let [a (atom [1]) v @a] (swap! a conj 2) [v @a])
; expect: [[1] [1 2]]
(let [v [1 2 3]] [(try (assoc v 9 :x) (catch :default e :no)) v])
; expect: [:no [1 2 3]]
(defn f [v] (try (conj v (throw (ex-info "x" {}))) (catch :default e (conj v :caught)))) (f [1])
; expect: [1 :caught]
(defn f [v] (try (do (conj v 1) (throw (ex-info "x" {}))) (catch :default e v) (finally (count v)))) (f [0])
; expect: [0]
(let [v [1] again (atom nil) n (atom 0) w (conj v (call/cc (fn [k] (reset! again k) 0)))] (swap! n inc) (if (< @n 3) (@again @n) [v w]))
; expect: [[1] [1 2]]
(let [m {} again (atom nil) seen (atom []) m (assoc m :k (call/cc (fn [k] (reset! again k) 0)) :l 1)] (swap! seen conj m) (if (< (count @seen) 3) (@again (count @seen)) @seen))
; expect: [{:k 0 :l 1} {:k 1 :l 1} {:k 2 :l 1}]
(let [s (map inc (range 3))] [(conj #{} s 1) (assoc {} s 1 :b 2) (conj {:a 1} [s 2])])
; expect: [#{(1 2 3) 1} {(1 2 3) 1 :b 2} {:a 1 (1 2 3) 2}]
(let [m (into {} (map (fn [i] [i i]) (range 50))) n (reduce dissoc m (range 49)) o (assoc m 0 :x)] [(count m) n (m 0) (o 0)])
; expect: [50 {49 49} 0 :x]
(defn f ([x] (f x [])) ([x acc] (if (= x 0) acc (f (dec x) (conj acc x))))) [(f 3) (f 3 [9])]
; expect: [[3 2 1] [9 3 2 1]]
(defn swap [a b n] (if (= n 0) [a b] (swap b a (dec n)))) [(swap 1 2 3) (swap 1 2 4)]
; expect: [[2 1] [1 2]]
(defn f [a & more] (if more (apply f more) a)) (f 1 2 3)
; expect: 3
(loop [v (vec (range 3)) i 0] (if (< i (count v)) (recur (assoc v i (* 2 (nth v i))) (inc i)) v))
; expect: [0 2 4]
[(< 1 2.0) (if (< 2.0 3) :y :n) (if (> 1 2.5) :y :n) (if (>= 2 2) :y :n) (if (<= 2 1.5) :y :n) (if (= 1 1.0) :y :n) (if (= 1.5 1.5) :y :n)]
; expect: [true :y :n :y :n :n :y]
[(- 10 3) (- 3 10.5) (* 3 1.5) (+ 1.5 2) (- 1/2 1) (+ 9223372036854775807 2) (- -9223372036854775808 2) (* 9223372036854775807 3)]
; expect: [7 -7.5 4.5 3.5 -1/2 9223372036854775809 -9223372036854775810 27670116110564327421]
(defn f [x] [(if (nil? x) :nil :some) (nil? x) (if (not x) :no :yes) (not x)]) [(f nil) (f false) (f 0)]
; expect: [[:nil true :no true] [:some false :no true] [:some false :yes false]]
(defn f [x] (if (< x 3) 1 2)) (f :a)
; expect error: number
(defn f [x] (if (> 3 x) 1 2)) (f "a")
; expect error: number
