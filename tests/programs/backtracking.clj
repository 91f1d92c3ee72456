;; Backtracking: queens, a puzzle of letters, and a parser that tries every way to read a sum.

(defn queens [n]
  (solutions
    (fn []
      (loop [row 0 placed []]
        (if (= row n)
          placed
          (let [column (choose (range n))]
            (guard (every? (fn [i] (let [c (nth placed i)] (and (not= c column) (not= (- row i) (abs (- c column)))))) (range row)))
            (recur (inc row) (conj placed column))))))))

(defn colourings [neighbours]
  (solutions
    (fn []
      (reduce (fn [colours [place around]]
                (let [colour (amb :red :green :blue)]
                  (guard (not-any? (fn [other] (= (get colours other) colour)) around))
                  (assoc colours place colour)))
              {} neighbours))))

(defn sums
  "Every way to put + or - between the digits, or nothing, so that they come to a target."
  [digits target]
  (solutions
    (fn []
      (let [[sum last-term text]
            (reduce (fn [[sum term text] d]
                      (case (amb :join :plus :minus)
                        :join [sum (if (neg? term) (- (* 10 term) d) (+ (* 10 term) d)) (str text d)]
                        :plus [(+ sum term) d (str text "+" d)]
                        :minus [(+ sum term) (- d) (str text "-" d)]))
                    [0 (first digits) (str (first digits))] (rest digits))]
        (guard (= (+ sum last-term) target))
        text))))

[(queens 5)
 (count (queens 6))
 (first (colourings [[:a []] [:b [:a]] [:c [:a :b]] [:d [:b :c]]]))
 (count (colourings [[:a []] [:b [:a]] [:c [:a :b]] [:d [:a :b :c]]]))
 (sums [1 2 3 4 5] 15)
 (first (sums [9 8 7] 8))]
; expect: [([0 2 4 1 3] [0 3 1 4 2] [1 3 0 2 4] [1 4 2 0 3] [2 0 3 1 4] [2 4 1 3 0] [3 0 2 4 1] [3 1 4 2 0] [4 1 3 0 2] [4 2 0 3 1]) 4 {:a :red :b :green :c :blue :d :red} 0 ("1+23-4-5" "1+2+3+4+5") "9-8+7"]
