;; How often each of 1,000 words is in a text of 100,000; the greatest count and the number of words.
(defn words-of [i] (str "word" (rem (* i i) 4099)))

(let [part (clojure.string/join " " (map words-of (range 1000)))
      text (clojure.string/join " " (repeat 100 part))
      counts (frequencies (clojure.string/split text " "))]
  (+ (* 1000 (reduce max (vals counts))) (count counts)))
