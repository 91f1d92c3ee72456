;; 100,000 integer keys put into a map one by one, then looked up.
(defn filled [n]
  (loop [i 0 m {}]
    (if (< i n) (recur (inc i) (assoc m i (* i 2))) m)))

(let [m (filled 100000)]
  (loop [i 0 sum 0]
    (if (< i 100000) (recur (inc i) (+ sum (get m i))) sum)))
