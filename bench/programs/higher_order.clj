;; filter, map and reduce over a million integers, with functions of the program's own.
(reduce + (map (fn [x] (* x 3)) (filter (fn [x] (= (rem x 2) 0)) (range 1000000))))
