;; Lazy streams: endless ones written as loops that yield, put together, and looked at only as far as needed.

(def steps (atom 0))
(defn naturals [] (generator (fn [] (loop [n 0] (swap! steps inc) (yield n) (recur (inc n))))))

(defn primes []
  (generator
    (fn []
      (loop [known [] n 2]
        (if (some (fn [p] (zero? (rem n p))) known)
          (recur known (inc n))
          (do (yield n) (recur (conj known n) (inc n))))))))

(defn merged
  "The items of two ascending streams, ascending, each once."
  [a b]
  (generator
    (fn []
      (loop [a a b b]
        (let [x (first a) y (first b)]
          (cond
            (< x y) (do (yield x) (recur (rest a) b))
            (< y x) (do (yield y) (recur a (rest b)))
            :else (do (yield x) (recur (rest a) (rest b)))))))))

(defn hamming []
  (lazy-seq
    (cons 1 (let [h (hamming)]
              (merged (map (fn [x] (* 2 x)) h) (merged (map (fn [x] (* 3 x)) h) (map (fn [x] (* 5 x)) h)))))))

(defn blocks [n items]
  (generator (fn [] (loop [left (seq items)] (if left (do (yield (vec (take n left))) (recur (seq (drop n left)))) nil)))))

(let [n (naturals) first-ones (doall (take 3 n)) before @steps]
  [first-ones before (nth n 2) @steps (nth n 4) @steps
   (take 8 (primes))
   (take 7 (hamming))
   (blocks 2 [1 2 3 4 5])
   (take 3 (blocks 2 (naturals)))
   (first (drop-while (fn [p] (< p 30)) (primes)))])
; expect: [(0 1 2) 3 2 3 4 5 (2 3 5 7 11 13 17 19) (1 2 3 4 5 6 8) ([1 2] [3 4] [5]) ([0 1] [2 3] [4 5]) 31]
