;; Green threads over channels: a sieve of filters, a pool of workers, and a rendezvous.

(defn numbers-from [n]
  (let [out (chan)] (spawn (fn [] (loop [n n] (put! out n) (recur (inc n))))) out))

(defn without-multiples [p in]
  (let [out (chan)]
    (spawn (fn [] (loop [] (let [n (take! in)] (if (zero? (rem n p)) nil (put! out n)) (recur)))))
    out))

(defn primes [count-of-them]
  (loop [in (numbers-from 2) found []]
    (if (= (count found) count-of-them)
      found
      (let [p (take! in)] (recur (without-multiples p in) (conj found p))))))

(defn pool [workers f items]
  (let [work (chan 2) results (chan nil)]
    (dotimes [w workers]
      (spawn (fn [] (loop [] (let [item (take! work)] (if (nil? item) (put! results :end) (do (pass) (put! results (f item)) (recur))))))))
    (spawn (fn [] (doseq [x items] (put! work x)) (close! work)))
    (loop [left workers sum 0]
      (if (zero? left)
        sum
        (let [x (take! results)] (if (= x :end) (recur (dec left) sum) (recur left (+ sum x))))))))

(defn turns []
  (let [log (atom []) done (mapv (fn [name] (spawn (fn [] (dotimes [i 3] (swap! log conj [name i]) (pass))))) [:a :b :c])]
    (run! await done)
    @log))

(run-threads (fn [] [(primes 7) (pool 3 (fn [x] (* x x)) (range 10)) (turns)]))
; expect: [[2 3 5 7 11 13 17] 285 [[:a 0] [:b 0] [:a 1] [:c 0] [:b 1] [:a 2] [:c 1] [:b 2] [:c 2]]]
