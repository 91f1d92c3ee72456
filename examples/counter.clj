;; Appends a numbered fact again and again, using chance, time and map order as it likes: nothing has to be
;; deterministic for every append to happen exactly once, whenever the node is killed.
;; Runs with: *args* {:to 100}; a token that allows append on */counter.

(def last-number (get *args* :to 100))

(defn noise []
  (let [at (now)
        bag {:time at :chance (rand) (rand-int 1000) :key}]
    (str (first (keys bag)) "/" (rand))))

(loop [i 1]
  (transact! "counter" [{:counter/number i :counter/noise (noise)}])
  (if (< i last-number)
    (recur (inc i))
    i))
