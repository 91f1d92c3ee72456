;; Exceptions made of prompts: a handler is a prompt, throwing aborts to it, restarts go on where the error was met.

(defn raise [error] (control* :user/handler (fn [k] [:raised error k])))

(defn handling
  "Call body; an error it raises goes to handler, with a function that goes on in its place."
  [handler body]
  (let [step (prompt* :user/handler (fn [] [:value (body)]))]
    (loop [step step]
      (if (= (first step) :value)
        (second step)
        (let [[_ error k] step]
          (handler error (fn [value] (handling handler (fn [] (let [[kind x] (k value)] x))))))))))

(def log (atom []))

(defn parse [text]
  (try
    (let [n (parse-long text)] (if (nil? n) (raise {:bad text}) n))
    (finally (swap! log conj text))))

(defn total [texts] (reduce + (map parse texts)))

[(handling (fn [error restart] [:no-number (:bad error)]) (fn [] (total ["1" "x" "3"])))
 (handling (fn [error restart] (restart 0)) (fn [] (total ["1" "x" "3"])))
 (handling (fn [error restart] (restart 10)) (fn [] (total ["y" "z"])))
 (handling (fn [outer _] [:outer outer])
   (fn [] (handling (fn [inner _] (raise [:again inner])) (fn [] (raise :first)))))
 (prompt :out (try (try (abort :out :left) (finally (swap! log conj :inner))) (finally (swap! log conj :outer))))
 (try (try (throw (ex-info "thrown" {:n 1})) (finally (swap! log conj :thrown)))
   (catch Exception e [(ex-message e) (ex-data e)]))
 @log]
; expect: [[:no-number "x"] 4 20 [:outer [:again :first]] :left ["thrown" {:n 1}] ["1" "1" "x" "3" "y" "z" :inner :outer :thrown]]
