; try, catch, throw, finally and the kinds of faults.
(try 1)
; expect: 1
(try 1 (catch Exception e 2))
; expect: 1
(try (throw (ex-info "oops" {:code 7})) (catch Exception e [(ex-message e) (ex-data e)]))
; expect: ["oops" {:code 7}]
(throw (ex-info "not caught" {}))
; expect error: not caught
(throw 5)
; expect error: throw
(try (throw (ex-info "a" {})) (catch :default e :any))
; expect: :any
(try (throw (ex-info "a" {})) (catch ExceptionInfo e :info) (catch Exception e :exception))
; expect: :info
(try (throw (ex-info "a" {})) (catch ArithmeticException e :arithmetic) (catch Exception e :exception))
; expect: :exception
(try (/ 1 0) (catch ExceptionInfo e :info) (catch ArithmeticException e :arithmetic))
; expect: :arithmetic
(try (/ 1 0) (catch ArithmeticException e (ex-message e)))
; expect: "Divide by zero"
(try (/ 1 0) (catch ExceptionInfo e :info))
; expect error: Divide by zero
(try (nth [1] 5) (catch IndexOutOfBoundsException e :index))
; expect: :index
(try (+ 1 "a") (catch ClassCastException e :type))
; expect: :type
(try (5 1) (catch ClassCastException e :not-a-function))
; expect: :not-a-function
(try ((fn [x] x)) (catch ArityException e :arity))
; expect: :arity
(try (case 1 2 3) (catch IllegalArgumentException e :case))
; expect: :case
(try (assert false) (catch Exception e :exception) (catch AssertionError e :assertion))
; expect: :exception
(try (+ 1 nil) (catch Throwable e (:fault (ex-data e))))
; expect: :type
(map (fn [f] (try (f) (catch :default e (:fault (ex-data e))))) [#(/ 1 0) #(nth [] 1) #(inc nil) #(nil 1) #((fn [a] a)) #(case 1 2 3) #(assert false) #(throw 5)])
; expect: (:arithmetic :index :type :not-a-function :arity :case :assert :type)
(try (try (/ 1 0) (catch ExceptionInfo e :inner)) (catch ArithmeticException e :outer))
; expect: :outer
(try (try (/ 1 0) (catch ArithmeticException e (throw (ex-info "again" {:n 1})))) (catch ExceptionInfo e (ex-data e)))
; expect: {:n 1}
(let [log (atom [])] [(try (swap! log conj :body) :value (finally (swap! log conj :finally))) @log])
; expect: [:value [:body :finally]]
(let [log (atom [])] (try (try (throw (ex-info "x" {})) (finally (swap! log conj :finally))) (catch Exception e (swap! log conj :caught))) @log)
; expect: [:finally :caught]
(let [log (atom [])] [(try (throw (ex-info "x" {})) (catch Exception e (swap! log conj :catch) :result) (finally (swap! log conj :finally))) @log])
; expect: [:result [:catch :finally]]
(let [log (atom [])] (try (try (throw (ex-info "a" {})) (catch Exception e (throw (ex-info "b" {}))) (finally (swap! log conj :finally))) (catch Exception e (swap! log conj (ex-message e)))) @log)
; expect: [:finally "b"]
(try (try (throw (ex-info "body" {})) (finally (throw (ex-info "finally" {})))) (catch Exception e (ex-message e)))
; expect: "finally"
(try 1 (finally 2))
; expect: 1
(try)
; expect: nil
(try (catch Exception e 1))
; expect: nil
(+ 1 (try (throw (ex-info "a" {})) (catch Exception e 10)) 100)
; expect: 111
(let [x 5] (try (throw (ex-info "a" {})) (catch Exception e x)))
; expect: 5
(let [f (fn [] (throw (ex-info "deep" {:d 1}))) g (fn [] (inc (f)))] (try (+ 1 (g)) (catch Exception e (ex-data e))))
; expect: {:d 1}
(let [e (ex-info "m" {:a 1} (ex-info "cause" {}))] [(ex-message e) (ex-data e) (ex-message (ex-cause e)) (ex-cause (ex-info "x" {}))])
; expect: ["m" {:a 1} "cause" nil]
[(ex-message nil) (ex-data 5) (ex-message "a") (ex-cause nil)]
; expect: [nil nil nil nil]
(ex-info 5 {})
; expect error: ex-info
(ex-info "a" 5)
; expect error: ex-info
(defn risky [n] (if (zero? n) (throw (ex-info "bottom" {:n n})) (inc (risky (dec n)))))
(try (risky 50) (catch ExceptionInfo e (:n (ex-data e))))
; expect: 0
(loop [i 0 out []] (if (= i 3) out (recur (inc i) (conj out (try (if (odd? i) (throw (ex-info "odd" {})) i) (catch Exception e :odd))))))
; expect: [0 :odd 2]
(let [e (try (throw (ex-info "x" {})) (catch Exception e e))] [(error? e) (ex-message e)])
; expect: [true "x"]
(let [stored (ex-info "stored" {:k 1})] (try (throw stored) (catch Exception e (identical? e stored))))
; expect: true
(try (let [[a] 5] a) (catch Exception e :destructure))
; expect: :destructure
(try (reduce + [1 "a"]) (catch Exception e :in-core))
; expect: :in-core
(try (map inc 5) (catch Exception e :never))
; expect error: found an integer
(let [n (atom 0) f (fn f [] (try (swap! n inc) (if (< @n 3) (throw (ex-info "retry" {})) :done) (catch Exception e (f))))] [(f) @n])
; expect: [:done 3]
(try (throw (ex-info "a" {})) (catch Exception _ (try (throw (ex-info "b" {})) (catch Exception e (ex-message e)))))
; expect: "b"
(let [log (atom []) f (fn [x] (try (if x (throw (ex-info "x" {})) :ok) (catch Exception e :caught) (finally (swap! log conj x))))] [(f true) (f false) @log])
; expect: [:caught :ok [true false]]
(try (throw (ex-info "java" {})) (catch java.lang.Exception e :qualified))
; expect: :qualified
(try (throw (ex-info "clj" {})) (catch clojure.lang.ExceptionInfo e :qualified))
; expect: :qualified
(let [x 1 y (try (let [z (+ x 1)] (/ z 0)) (catch Exception e (+ x 10)))] [x y])
; expect: [1 11]
(defn f [n] (try (if (zero? n) :done (f (dec n))) (finally n)))
(f 50)
; expect: :done
