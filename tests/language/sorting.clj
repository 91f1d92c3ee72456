; Sorting.
[(sort [3 1 2]) (sort []) (sort nil) (sort [1]) (sort ["b" "a"]) (sort [:b :a]) (sort #{2 1})]
; expect: [(1 2 3) () () (1) ("a" "b") (:a :b) (1 2)]
[(sort > [1 3 2]) (sort < [1 3 2]) (sort (fn [a b] (compare b a)) [1 3 2]) (sort (comp - compare) [1 3 2])]
; expect: [(3 2 1) (1 2 3) (3 2 1) (3 2 1)]
(sort-by count ["ccc" "a" "bb"])
; expect: ("a" "bb" "ccc")
(sort-by :n [{:n 2 :x :a} {:n 1 :x :b} {:n 2 :x :c}])
; expect: ({:n 1 :x :b} {:n 2 :x :a} {:n 2 :x :c})
(sort-by first > [[1 :a] [3 :b] [2 :c]])
; expect: ([3 :b] [2 :c] [1 :a])
(sort-by (juxt count identity) ["bb" "a" "aa" "c"])
; expect: ("a" "c" "aa" "bb")
(sort [[2 1] [1 5] [1 2 0]])
; expect: ([1 5] [2 1] [1 2 0])
(sort [1 2.5 1/2 -1])
; expect: (-1 1/2 1 2.5)
(sort [nil 3 nil 1])
; expect: (nil nil 1 3)
(sort [1 "a"])
; expect error: compare
(= (sort (map (fn [i] (mod (* i 7919) 1009)) (range 120))) (sort (reverse (map (fn [i] (mod (* i 7919) 1009)) (range 120)))))
; expect: true
(take 5 (sort (map (fn [i] (mod (* i 7919) 1009)) (range 120))))
; expect: (0 17 21 25 29)
(sort-by val < {:a 3 :b 1 :c 2})
; expect: ([:b 1] [:c 2] [:a 3])
(map first (sort-by second [[:a 1] [:b 1] [:c 0] [:d 1]]))
; expect: (:c :a :b :d)
(first (sort-by - (range 10)))
; expect: 9
(sort "banana")
; expect: (\a \a \a \b \n \n)
