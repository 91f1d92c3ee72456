; reduce and its kin.
[(reduce + []) (reduce + [5]) (reduce + 10 []) (reduce + 10 [1 2]) (reduce + nil) (reduce - [10 1 2])]
; expect: [0 5 10 13 0 7]
(reduce conj [] '(1 2 3))
; expect: [1 2 3]
(reduce conj () [1 2 3])
; expect: (3 2 1)
(reduce (fn [m x] (update m (odd? x) (fnil conj []) x)) {} (range 5))
; expect: {false [0 2 4] true [1 3]}
(reduce (fn [a b] (if (> a b) a b)) [3 9 2])
; expect: 9
(reduce str (range 10))
; expect: "0123456789"
(reduce (fn [acc [k v]] (assoc acc v k)) {} {:a 1})
; expect: {1 :a}
(reduce + (range 1 101))
; expect: 5050
(reduce (fn [a x] (conj a (+ (peek a) x))) [0] [1 2 3])
; expect: [0 1 3 6]
(reduce + 0 (map (fn [x] (* x x)) (filter odd? (range 10))))
; expect: 165
(reduce (fn [] :empty) [])
; expect: :empty
(reduce (fn [a] a) [1 2])
; expect error: wrong number of arguments (2)
(reduce + 0 5)
; expect error: found an integer
[(apply + []) (apply + 1 []) (apply + 1 2 nil) (apply str "a" "b" ["c"]) (apply vector (range 3))]
; expect: [0 1 3 "abc" [0 1 2]]
(apply (fn [a & more] [a more]) 1 [2 3])
; expect: [1 (2 3)]
(apply + (range 1000))
; expect: 499500
(apply apply [+ [1 2]])
; expect: 3
(apply + 1)
; expect error: found an integer
(apply 5 [1])
; expect error: not a function
(loop [xs [1 2 3] total 0] (if (seq xs) (recur (rest xs) (+ total (first xs))) total))
; expect: 6
(let [v (volatile! 0)] (run! (fn [x] (vreset! v (+ @v x))) [1 2 3]) @v)
; expect: 6
