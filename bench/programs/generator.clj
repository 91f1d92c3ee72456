;; 100,000 values yielded by a generator and summed: a continuation for each value.
(defn numbers []
  (loop [i 0]
    (if (< i 100000) (do (yield i) (recur (inc i))) nil)))

(reduce + (generator numbers))
