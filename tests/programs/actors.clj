;; Actors: a bank whose accounts are actors, a ring that passes a token, and a supervisor that starts a worker again.

(defn account [opening]
  (actor
    (fn [self]
      (loop [balance opening]
        (let [[[what amount] reply] (receive self)]
          (case what
            :deposit (do (deliver reply (+ balance amount)) (recur (+ balance amount)))
            :withdraw (if (< balance amount)
                        (do (fail-promise reply (ex-info "too little" {:balance balance})) (recur balance))
                        (do (deliver reply (- balance amount)) (recur (- balance amount))))
            :close (deliver reply balance)))))))

(defn ring [size rounds]
  (let [done (promise)
        start (chan nil)
        end (reduce (fn [before i]
                      (let [after (chan nil)]
                        (spawn (fn [] (loop [] (let [n (take! before)] (put! after (inc n)) (recur)))))
                        after))
                    start (range size))]
    (spawn (fn [] (loop [] (let [n (take! end)] (if (< n (* size rounds)) (do (put! start n) (recur)) (deliver done n))))))
    (put! start 0)
    (await done)))

(defn supervised [work]
  (loop [crashes 0]
    (let [[kind value] (try [:value (await (spawn work))] (catch Exception e [:crash (ex-message e)]))]
      (if (= kind :value) [value crashes] (recur (inc crashes))))))

(run-threads
  (fn []
    (let [a (account 100) b (account 10) attempts (atom 0)]
      [(ask a [:deposit 50])
       (try (ask b [:withdraw 70]) (catch Exception e [(ex-message e) (:balance (ex-data e))]))
       (let [moved (ask a [:withdraw 70])] [moved (ask b [:deposit 70])])
       (ask a [:close])
       (ring 5 4)
       (supervised (fn [] (if (< (swap! attempts inc) 3) (throw (ex-info "crash" {})) @attempts)))])))
; expect: [150 ["too little" 10] [80 80] 80 20 [3 2]]
