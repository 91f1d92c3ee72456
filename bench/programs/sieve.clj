;; The number of primes below a million: a vector of a million flags, changed one by one.
(defn cleared [flags prime n]
  (loop [j (* prime prime) flags flags]
    (if (< j n) (recur (+ j prime) (assoc flags j false)) flags)))

(defn primes [n]
  (loop [i 2 flags (vec (repeat n true)) found 0]
    (if (< i n)
      (if (nth flags i)
        (recur (inc i) (if (< (* i i) n) (cleared flags i n) flags) (inc found))
        (recur (inc i) flags found))
      found)))

(primes 1000000)
