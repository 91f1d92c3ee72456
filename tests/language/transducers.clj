; Transducers and reduced.
(transduce (map inc) + [1 2 3])
; expect: 9
(transduce (map inc) + 10 [1 2 3])
; expect: 19
(into [] (filter odd?) (range 6))
; expect: [1 3 5]
(into [] (comp (map inc) (filter even?)) (range 6))
; expect: [2 4 6]
(into #{} (map inc) [1 1 2])
; expect: #{2 3}
(into [] (take 2) (range))
; expect: [0 1]
(into [] (comp (filter odd?) (take 3)) (range))
; expect: [1 3 5]
(into [] (drop 2) [1 2 3 4])
; expect: [3 4]
[(into [] (take-while pos?) [1 2 -1 3]) (into [] (drop-while pos?) [1 -1 2])]
; expect: [[1 2] [-1 2]]
[(into [] (remove odd?) (range 4)) (into [] (keep (fn [x] (when (odd? x) x))) (range 4)) (into [] (distinct) [1 1 2]) (into [] (map-indexed vector) [:a :b])]
; expect: [[0 2] [1 3] [1 2] [[0 :a] [1 :b]]]
(into [] (mapcat (fn [x] [x x])) [1 2])
; expect: [1 1 2 2]
(into [] cat [[1 2] [3]])
; expect: [1 2 3]
(transduce (comp (map inc) (take 2)) conj [] (range))
; expect: [1 2]
(reduce (fn [total x] (if (> total 10) (reduced total) (+ total x))) 0 (range))
; expect: 15
[(reduced? (reduced 1)) (reduced? 1) (unreduced (reduced 5)) (unreduced 5)]
; expect: [true false 5 5]
(reduce (fn [_ x] (if (= x 3) (reduced :found) :none)) nil [1 2 3 4])
; expect: :found
(reduce-kv (fn [_ k v] (if (= v 2) (reduced k) nil)) nil {:a 2})
; expect: :a
((completing + (fn [x] [x])) 5)
; expect: [5]
(transduce (map inc) (completing conj count) [] [1 2 3])
; expect: 3
(sequence (comp (map inc) (filter odd?)) (range 5))
; expect: (1 3 5)
(eduction (map inc) [1 2])
; expect: (2 3)
