;; Non-tail recursion 100,000 deep, ten times.
(defn down [n]
  (if (= n 0) 0 (+ 1 (down (- n 1)))))

(loop [i 0 sum 0]
  (if (< i 10) (recur (inc i) (+ sum (down 100000))) sum))
