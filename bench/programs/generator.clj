;; 100,000 values yielded by a generator and summed: two continuations for each value.
(defn generator
  "A function that gives the next value the producer passes to its `yield`, then nil."
  [producer]
  (let [consumer (atom nil)
        position (atom nil)
        yield (fn [x] (call/cc (fn [k] (reset! position k) (@consumer x))))]
    (fn []
      (call/cc
        (fn [k]
          (reset! consumer k)
          (if @position
            (@position nil)
            (do (producer yield) (@consumer nil))))))))

(defn numbers [yield]
  (loop [i 0]
    (if (< i 100000) (do (yield i) (recur (inc i))) nil)))

(let [next-number (generator numbers)]
  (loop [sum 0]
    (let [x (next-number)]
      (if (nil? x) sum (recur (+ sum x))))))
