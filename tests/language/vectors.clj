; Vectors.
[[] [1 2 3] [1 [2 [3]]] [(+ 1 1) (inc 2)] (vector) (vector 1 2)]
; expect: [[] [1 2 3] [1 [2 [3]]] [2 3] [] [1 2]]
[(vec nil) (vec '(1 2)) (vec (range 3)) (vec "ab") (vec {:a 1}) (vec [1])]
; expect: [[] [1 2] [0 1 2] [\a \b] [[:a 1]] [1]]
(vec 5)
; expect error: found an integer
[(nth [1 2 3] 0) (nth [1 2 3] 2) (nth [1] 3 :none) (nth nil 0) (nth nil 0 :none)]
; expect: [1 3 :none nil :none]
(nth [1 2] 2)
; expect error: index
(nth [1 2] -1)
; expect error: index
(nth {:a 1} 0)
; expect error: nth
(nth [1 2] :a)
; expect error: found a keyword
[(get [1 2] 0) (get [1 2] 2) (get [1 2] -1) (get [1 2] :a) (get [1 2] 5 :none) (get [1 2] nil)]
; expect: [1 nil nil nil :none nil]
[([1 2 3] 1) (let [v [4 5]] (v 0))]
; expect: [2 4]
([1 2] 2)
; expect error: index
([1 2] :a)
; expect error: vector
[(conj [] 1) (conj [1] 2 3) (conj [1] [2]) (conj [1] nil) (conj [] {:a 1})]
; expect: [[1] [1 2 3] [1 [2]] [1 nil] [{:a 1}]]
[(assoc [1 2] 0 :a) (assoc [1 2] 2 :c) (assoc [] 0 :a) (assoc [1 2 3] 0 :a 2 :c)]
; expect: [[:a 2] [1 2 :c] [:a] [:a 2 :c]]
(assoc [1 2] 3 :x)
; expect error: index
(assoc [1 2] -1 :x)
; expect error: index
(assoc [1 2] :a 1)
; expect error: found a keyword
[(peek [1 2 3]) (peek []) (pop [1 2 3]) (pop [1])]
; expect: [3 nil [1 2] []]
(pop [])
; expect error: empty vector
[(subvec [1 2 3 4] 1) (subvec [1 2 3 4] 1 3) (subvec [1 2] 2) (subvec [1 2] 0 0)]
; expect: [[2 3 4] [2 3] [] []]
(subvec [1 2 3] 2 1)
; expect error: index
(subvec [1 2 3] 1 4)
; expect error: index
(subvec '(1 2) 0)
; expect error: expected a vector
[(count []) (count [1 2 3]) (empty? []) (empty [1 2]) (not-empty [])]
; expect: [0 3 true [] nil]
[(contains? [1 2] 0) (contains? [1 2] 2) (contains? [1 2] -1) (contains? [1 2] :a)]
; expect: [true false false false]
[(first [1 2]) (rest [1 2]) (next [1]) (rest []) (seq []) (seq [1]) (last [1 2]) (butlast [1 2 3])]
; expect: [1 (2) nil () nil (1) 2 (1 2)]
[(find [:a :b] 1) (find [:a] 3)]
; expect: [[1 :b] nil]
[(update [1 2] 0 inc) (update-in [[1] [2]] [1 0] + 10) (assoc-in [[1]] [0 0] :x) (get-in [[1 [2 3]]] [0 1 1])]
; expect: [[2 2] [[1] [12]] [[:x]] 3]
(map vector? [(conj [1] 2) (assoc [1] 0 2) (pop [1]) (subvec [1 2] 1) (into [] '(1)) (mapv inc [1]) (rest [1])])
; expect: (true true true true true true false)
[(mapv inc [1 2]) (mapv inc '(1 2)) (mapv + [1 2] [10 20 30]) (mapv vector [1] [2] [3]) (mapv inc nil)]
; expect: [[2 3] [2 3] [11 22] [[1 2 3]] []]
[(filterv odd? (range 6)) (filterv odd? nil)]
; expect: [[1 3 5] []]
[(into [1] [2 3]) (into [] {:a 1}) (into [1] nil)]
; expect: [[1 2 3] [[:a 1]] [1]]
[(rseq [1 2 3]) (rseq [])]
; expect: [(3 2 1) nil]
(let [v (vec (range 2000))] [(count v) (v 0) (v 31) (v 32) (v 1023) (v 1024) (v 1056) (v 1999) (peek v)])
; expect: [2000 0 31 32 1023 1024 1056 1999 1999]
(let [v (vec (range 1100)) w (assoc v 0 :a 500 :b 1099 :c)] [(w 0) (w 500) (w 1099) (v 0) (v 500) (v 1099) (count w)])
; expect: [:a :b :c 0 500 1099 1100]
(loop [v (vec (range 1100))] (if (= 1000 (count v)) [(peek v) (v 999) (reduce + v)] (recur (pop v))))
; expect: [999 999 499500]
(let [v (vec (range 100)) s (subvec v 10 90)] [(count s) (s 0) (peek s) ((conj s :x) 80) ((assoc s 0 :y) 0) (v 10) (reduce + s)])
; expect: [80 10 89 :x :y 10 3960]
(let [a [1 2] b (conj a 3) c (conj a 4)] [a b c])
; expect: [[1 2] [1 2 3] [1 2 4]]
(count (loop [v [] i 0] (if (= i 1100) v (recur (conj v i) (inc i)))))
; expect: 1100
(reduce-kv (fn [total i x] (+ total (* i x))) 0 [10 20 30])
; expect: 80
; Items of one kind lie close together; one of another kind changes that, and takes nothing from versions that are held.
(let [v [1 2 3] w (assoc v 1 nil) x (assoc w 1 5) y (assoc (conj x 1.5) 3 4)] [v w x y])
; expect: [[1 2 3] [1 nil 3] [1 5 3] [1 5 3 4]]
(loop [v [] left [nil true 1 2.5 \c "s" :k 'q [1] nil]] (if (empty? left) v (recur (conj v (first left)) (rest left))))
; expect: [nil true 1 2.5 \c "s" :k q [1] nil]
(loop [v [1 2 nil :k] seen []] (if (empty? v) seen (recur (pop v) (conj seen (peek v) (count v)))))
; expect: [:k 4 nil 3 2 2 1 1]
(let [v (vec (repeat 40 false)) w (loop [w v i 0] (if (< i 40) (recur (assoc w i i) (inc i)) w))] [(nth v 39) (reduce + w) (nth w 33)])
; expect: [false 780 33]
(let [v (vec (range 40)) w (loop [w v i 0] (if (< i 40) (recur (assoc w i (= i 7)) (inc i)) w))] [(nth v 7) (filterv true? w) (count w)])
; expect: [7 [true] 40]
(let [v (into [] "abc") w (assoc v 0 97)] [v (= v w) w (= w (into [97] "bc")) (= [97 98 99] v)])
; expect: [[\a \b \c] false [97 \b \c] true false]
(let [v [[1] "a" :k] w (assoc v 0 (conj (nth v 0) 2)) x (conj (pop (pop w)) 7)] [v w x])
; expect: [[[1] "a" :k] [[1 2] "a" :k] [[1 2] 7]]
(let [v (vec (concat (range 33) [nil])) w (pop v) x (conj (pop w) :x)] [(peek v) (peek w) (peek x) (count x) (= w (range 33))])
; expect: [nil 32 :x 33 true]
(let [v (into (vec (range 30)) (repeat 40 0.5)) w (subvec v 20 65)] [(reduce + v) (reduce + w) (count w) (nth w 9) (nth w 10)])
; expect: [455.0 262.5 45 29 0.5]
(let [v (into [true] (range 100 0 -3)) w (into v v)] [(count w) (nth w 34) (nth w 35) (nth w 36) (reduce + (subvec w 1 35))])
; expect: [70 1 true 100 1717]
(reduce + (vec (repeat 40 4611686018427387904)))
; expect: 184467440737095516160
(dissoc [1] 0)
; expect error: expected a map
