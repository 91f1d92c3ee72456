;; All ways to place eight queens, ten times: linked lists of columns.
(defn safe? [row distance queens]
  (if (empty? queens)
    true
    (let [queen (first queens)]
      (if (or (= queen row) (= queen (+ row distance)) (= queen (- row distance)))
        false
        (recur row (inc distance) (rest queens))))))

(defn solutions [size queens placed]
  (if (= placed size)
    1
    (loop [row 1 found 0]
      (if (> row size)
        found
        (recur (inc row)
               (if (safe? row 1 queens)
                 (+ found (solutions size (conj queens row) (inc placed)))
                 found))))))

(loop [i 0 sum 0]
  (if (< i 10) (recur (inc i) (+ sum (solutions 8 () 0))) sum))
