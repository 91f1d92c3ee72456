;; Numbers: vectors of vectors, statistics, sieves, integration.

(defn matrix-@n [rows columns f] (vec (for [i (range rows)] (mapv (fn [j] (f i j)) (range columns)))))
(defn transposed-@n [m] (apply mapv vector m))
(defn product-@n [a b]
  (let [columns (transposed-@n b)]
    (mapv (fn [row] (mapv (fn [column] (reduce + (map * row column))) columns)) a)))
(defn power-@n [m n]
  (cond
    (zero? n) (matrix-@n (count m) (count m) (fn [i j] (if (= i j) 1 0)))
    (odd? n) (product-@n m (power-@n m (dec n)))
    :else (let [half (power-@n m (quot n 2))] (product-@n half half))))

(defn statistics-@n [xs]
  (let [n (count xs)
        sum (reduce + 0.0 xs)
        mean (/ sum n)
        squares (reduce (fn [found x] (let [d (- x mean)] (+ found (* d d)))) 0.0 xs)
        ordered (vec (sort xs))]
    {:count n :mean mean :deviation (clojure.math/sqrt (/ squares (max 1 (dec n))))
     :median (if (odd? n)
               (nth ordered (quot n 2))
               (/ (+ (nth ordered (dec (quot n 2))) (nth ordered (quot n 2))) 2))
     :range [(first ordered) (peek ordered)]}))

(defn primes-@n [limit]
  (loop [n 2 sieve (vec (repeat (inc limit) true)) found []]
    (cond
      (> n limit) found
      (nth sieve n) (recur (inc n)
                           (loop [m (* n n) sieve sieve]
                             (if (> m limit) sieve (recur (+ m n) (assoc sieve m false))))
                           (conj found n))
      :else (recur (inc n) sieve found))))

(defn integral-@n [f from to steps]
  (let [h (/ (- to from) (double steps))]
    (loop [i 1 sum (/ (+ (f from) (f to)) 2.0)]
      (if (< i steps) (recur (inc i) (+ sum (f (+ from (* i h))))) (* h sum)))))

(def fibonacci-@n (map first (iterate (fn [[a b]] [b (+ a b)]) [@a @b])))
(def magic-@n [[2 7 6] [9 5 1] [4 3 8] #{1.5 -2/3 16rFF 0x1F 2r1010 36rZZ 1e-9 @n}])
