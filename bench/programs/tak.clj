;; Takeuchi's function, ten times: calls with three arguments.
(defn tak [x y z]
  (if (< y x)
    (tak (tak (- x 1) y z) (tak (- y 1) z x) (tak (- z 1) x y))
    z))

(loop [i 0 sum 0]
  (if (< i 10) (recur (inc i) (+ sum (tak 18 12 6))) sum))
