;; 100,000 integer keys put into a map one by one, then looked up. The keys are scattered, so that every language has
;; to hash them: Lua would keep keys that follow each other in an array.
(defn scattered [i] (rem (* i 7919) 1000003))

(defn filled [n]
  (loop [i 0 m {}]
    (if (< i n) (recur (inc i) (assoc m (scattered i) (* i 2))) m)))

(let [m (filled 100000)]
  (loop [i 0 sum 0]
    (if (< i 100000) (recur (inc i) (+ sum (get m (scattered i)))) sum)))
