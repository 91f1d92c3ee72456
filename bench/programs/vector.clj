;; A million items appended one by one, then summed.
(let [v (loop [i 0 v []]
          (if (< i 1000000) (recur (inc i) (conj v i)) v))]
  (reduce + v))
