;; Futures: jobs that wait for one another, failures that reach who awaits them, and a race.

(defn job [name turns value]
  (async (dotimes [_ turns] (pass)) [name value]))

(defn all-of [futures] (mapv await futures))

(defn first-of
  "The value of whichever is ready first."
  [futures]
  (let [winner (promise)]
    (doseq [f futures] (async (deliver winner (await f))))
    (await winner)))

(defn with-retries [n f]
  (async
    (loop [left n]
      (let [[ok value] (try [true (await (f))] (catch ExceptionInfo e [false (ex-message e)]))]
        (cond ok value (zero? left) [:gave-up value] :else (recur (dec left)))))))

(run-threads
  (fn []
    (let [calls (atom 0)
          flaky (fn [] (async (pass) (if (< (swap! calls inc) 3) (throw (ex-info "try later" {})) @calls)))
          fib (fn fib [n] (async (if (< n 2) n (let [a (fib (- n 1)) b (fib (- n 2))] (+ (await a) (await b))))))]
      [(all-of [(job :a 3 1) (job :b 1 2)])
       (first-of [(job :slow 9 1) (job :fast 2 2)])
       (await (with-retries 5 flaky))
       (await (with-retries 1 (fn [] (async (throw (ex-info "broken" {}))))))
       (await (fib 9))
       (await (async (await (async (await (async :deep))))))])))
; expect: [[[:a 1] [:b 2]] [:fast 2] 3 [:gave-up "broken"] 34 :deep]
