; Delimited control: prompts, parts of continuations put back, escapes and finalizers, and the library on top.
(+ 1 (prompt :p 5))
; expect: 6
(prompt :p)
; expect: nil
(+ 1 (prompt :p (* 10 (abort :p 5))))
; expect: 6
(+ 1 (prompt* :p (fn [a b] (- a b)) 5 2))
; expect: 4
(apply prompt* [:p (fn [& xs] xs) 1 2 3])
; expect: (1 2 3)
(+ 1 (prompt :p (* 10 (control0 :p k 5))))
; expect: 6
(+ 1 (prompt :p (* 10 (control0 :p k (+ (k 1) (k 2))))))
; expect: 31
(apply control* [:p identity])
; expect error: control*: no prompt has the tag :p
(prompt 'p (+ 1 (prompt :p (abort 'p 7))))
; expect: 7
(let [tag (atom nil) other (atom nil)] (prompt tag (+ 1 (prompt other (+ 10 (abort tag 5))))))
; expect: 5
(prompt (atom 1) (abort (atom 1) 2))
; expect error: no prompt has this tag
(abort :a/b 1)
; expect error: abort*: no prompt has the tag :a/b
(control* 'sym (fn [k] k))
; expect error: control*: no prompt has the tag sym
(prompt "text" 1)
; expect error: prompt*: expected a keyword, symbol or atom, found a string
(control* 5 (fn [k] 1))
; expect error: control*: expected a keyword, symbol or atom
(abort* (fn [] 1) 1)
; expect error: abort*: expected a keyword, symbol or atom
(prompt* :p 5)
; expect error: prompt*: expected a function
(prompt* :p +)
; expect error: prompt*: expected a function
(prompt* :p (fn [x] x))
; expect error: wrong number of arguments (0)
(prompt :p (control* :p (fn [] 1)))
; expect error: wrong number of arguments (1)
(apply prompt* [:p])
; expect error: wrong number of arguments (1) passed to prompt*
(apply (prompt :p (+ 1 (control0 :p k k))) [1 2])
; expect error: wrong number of arguments (2) passed to a continuation
(fn? (prompt :p (control0 :p k k)))
; expect: true
(reset (+ 1 (shift k (* 2 (k (k 10))))))
; expect: 24
(reset (+ 1 (shift k 5)))
; expect: 5
(reset (* 2 (shift a (+ 1 (a (a 1))))) )
; expect: 5
(reset (cons 1 (shift k (cons 2 (k ())))))
; expect: (2 1)
(prompt :p (+ 1 (control :p k (k (k 5)))))
; expect: 7
(defn visit [xs] (if (empty? xs) () (visit (shift k (cons (first xs) (k (rest xs))))))) (reset (visit [1 2 3]))
; expect: (1 2 3)
(defn visit [xs] (if (empty? xs) () (visit (control :p k (cons (first xs) (k (rest xs))))))) (prompt :p (visit [1 2 3]))
; expect: (3 2 1)
(prompt :p (+ 100 (do (control0 :p k 1) 2)))
; expect: 1
(prompt :p (* 2 (prompt :p (+ 1 (control0 :p a (control0 :p b (b (a 10))))))))
; expect: 22
(prompt :p (* 2 (prompt :p (+ 1 (control :p a (control :p b (b (a 10))))))))
; expect: 22
(prompt :p (* 2 (prompt :p (+ 1 (shift-at :p a (shift-at :p b 10))))))
; expect: 20
(prompt :a (+ 1 (prompt :b (* 2 (control0 :a k (prompt :a (k 5)))))))
; expect: 11
(prompt :a (+ 1 (prompt :b (* 2 (control0 :a k (k (k 5)))))))
; expect: 23
(prompt :a (+ 1 (prompt :b (* 2 (control0 :a k (prompt :b (k 5)))))))
; expect: 11
(prompt :out (+ 1 (prompt :in (control0 :out k (+ (k 10) (k 20))))))
; expect: 32
(prompt :out (prompt :in (+ (control0 :out k (k (k 1))) (control0 :in k (k 5)))))
; expect: 11
(prompt :p (let [x (control0 :p k (k 1)) y (control0 :p k (k 2))] (+ x y)))
; expect error: no prompt has the tag :p
(prompt :p (let [x (control :p k (k 1)) y (control :p k (k 2))] (+ x y)))
; expect: 3
(try (prompt :p (throw (ex-info "through" {}))) (catch Exception e (ex-message e)))
; expect: "through"
(try (prompt :p (+ 1 (control0 :p k (throw (ex-info "below" {}))))) (catch Exception e (ex-message e)))
; expect: "below"
(prompt :p (try (control0 :p k (try (k 1) (catch Exception e :outside))) (throw (ex-info "x" {})) (catch Exception e :inside)))
; expect: :inside
(let [k (prompt :p (try (+ 1 (control0 :p k k)) (catch Exception e (ex-message e))))] [(k 1) (string? (k nil)) (k 5)])
; expect: [2 true 6]
(let [k (prompt :p (vector 1 (control0 :p k k) 3))] [(k :a) (k :b) (k (k 2))])
; expect: [[1 :a 3] [1 :b 3] [1 [1 2 3] 3]]
(let [k (prompt :p (loop [i 0 sum 0] (if (< i 3) (recur (inc i) (+ sum (control0 :p k k))) sum)))] (prompt :p ((prompt :p ((prompt :p (k 1)) 10)) 100)))
; expect: 111
(let [k (prompt :p (loop [i 0 sum 0] (if (< i 3) (recur (inc i) (+ sum (control0 :p k k))) sum)))] (k 1))
; expect error: control*: no prompt has the tag :p
(let [k (prompt :p (loop [i 0 sum 0] (if (< i 2) (recur (inc i) (+ sum (control0 :p k k))) sum))) twice (prompt :p (k 1))] [(prompt :p (twice 10)) (prompt :p (twice 20)) (prompt :p ((prompt :p (k 5)) 7))])
; expect: [11 21 12]
(defn down [n] (if (zero? n) :end (prompt :p (control0 :p k (down (dec n)))))) (down 20000)
; expect: :end
(defn step [n] (control0 :p k [n k])) (loop [at (prompt :p (loop [n 0] (step n) (recur (inc n))))] (if (< (first at) 5000) (recur (prompt* :p (second at) nil)) (first at)))
; expect: 5000
(defn deep [n] (if (zero? n) (control0 :p k k) (inc (deep (dec n))))) (let [k (prompt :p (deep 3000))] [(k 0) (k 1) (prompt :p (k 2))])
; expect: [3000 3001 3002]
(prompt :p (call/cc (fn [k] (abort :p (fn? k)))))
; expect: true
(let [saved (atom nil) n (atom 0)] (prompt :p (let [x (+ 1 (prompt :q (call/cc (fn [k] (reset! saved k) 1))))] (if (< (swap! n inc) 3) (@saved (* 10 x)) [x @n]))))
; expect: [211 3]
(+ 1 (prompt :p (* 2 (call/cc (fn [k] (prompt :q (+ 100 (k 5))))))))
; expect: 11
(let [k (prompt :p (+ 1 (call/cc (fn [all] (control0 :p k [k all])))))] (if (vector? k) [((first k) 1) ((second k) 5)] k))
; expect: 6
(prompt :p (+ 1 (call/cc (prompt :q (* 2 (control0 :q k k))))))
; expect error: expected a number
(prompt* :p (prompt :q (+ 1 (control0 :q k k))) 5)
; expect: 6
(let [[k] (prompt :p (+ 1 (control* :p (prompt :q (vector (control0 :q k k))))))] (k 5))
; expect: 6
(let [log (atom [])] [(call/cc (fn [k] (try (k :left) (finally (swap! log conj :f))))) @log])
; expect: [:left [:f]]
(let [log (atom [])] [(prompt :p (try (try (abort :p 5) (finally (swap! log conj 1))) (finally (swap! log conj 2)))) @log])
; expect: [5 [1 2]]
(let [log (atom [])] [(prompt :p (try (abort :p 5) (catch :default e :caught) (finally (swap! log conj 1)))) @log])
; expect: [5 [1]]
(let [log (atom [])] [(try (prompt :p (try (abort :p 5) (finally (throw (ex-info "from finally" {}))))) (catch Exception e (ex-message e)) (finally (swap! log conj :out))) @log])
; expect: ["from finally" [:out]]
(let [log (atom [])] [(call/cc (fn [out] (try (try (out 1) (finally (swap! log conj :a) (out 2))) (finally (swap! log conj :b))))) @log])
; expect: [2 [:a :b]]
(let [log (atom [])] [(call/cc (fn [out] (try (prompt :p (try (out 1) (finally (swap! log conj :a)))) (finally (swap! log conj :b))))) @log])
; expect: [1 [:a :b]]
(let [log (atom []) k (prompt :p (try (+ 1 (control0 :p k k)) (finally (swap! log conj :f))))] [@log (k 1) @log (k 2) @log])
; expect: [[] 2 [:f] 3 [:f :f]]
(let [log (atom []) k (prompt :p (try (+ 1 (control0 :p k k)) (finally (swap! log conj :f))))] [(call/cc (fn [out] (k (call/cc (fn [in] (out 7)))))) (string? (try (k nil) (catch Exception e (ex-message e)))) @log])
; expect: [7 true [:f]]
(let [log (atom []) k (prompt :p (try (abort :q (control0 :p k k)) (finally (swap! log conj :f))))] [(prompt :q (k 1)) (prompt :q (inc (k 2))) @log])
; expect: [1 2 [:f :f]]
(let [log (atom []) saved (atom nil) n (atom 0)] (try (call/cc (fn [k] (reset! saved k))) (if (< (swap! n inc) 3) (@saved nil) nil) (finally (swap! log conj :f))) [@n @log])
; expect: [3 [:f]]
(let [log (atom []) saved (atom nil) n (atom 0)] (try (call/cc (fn [k] (reset! saved k))) (finally (swap! log conj :f))) (if (< (swap! n inc) 3) (@saved nil) [@n @log]))
; expect: [3 [:f :f :f]]
(let [log (atom [])] [(loop [i 0] (if (< i 3) (do (prompt :next (try (if (odd? i) (abort :next nil) (swap! log conj i)) (finally (swap! log conj :f)))) (recur (inc i))) :done)) @log])
; expect: [:done [0 :f :f 2 :f]]
(try (try 1 (finally (throw (ex-info "late" {})))) (catch Exception e (ex-message e)))
; expect: "late"
(try 1 (finally))
; expect: 1
(let [x 5] (try (+ x 1) (finally (* x 2))))
; expect: 6
(take 5 (generator (fn [] (loop [i 0] (yield i) (recur (inc i))))))
; expect: (0 1 2 3 4)
(let [g (generator (fn [] (yield 1) (yield 2)))] [(vec g) (vec g) (count g)])
; expect: [[1 2] [1 2] 2]
(generator (fn [] :nothing))
; expect: ()
(let [tree [1 [2 [3 4]] 5] walk (fn walk [t] (if (vector? t) (run! walk t) (yield t)))] (generator (fn [] (walk tree))))
; expect: (1 2 3 4 5)
(generator (fn [] (yield 1) (run! yield (generator (fn [] (yield :inner)))) (yield 2)))
; expect: (1 :inner 2)
(yield 1)
; expect error: no prompt has the tag :yin.core/generator
(let [log (atom [])] [(vec (generator (fn [] (try (yield 1) (yield 2) (finally (swap! log conj :f)))))) @log])
; expect: [[1 2] [:f]]
(let [co (coroutine (fn [a] (let [b (suspend (* a 2)) c (suspend (+ a b))] [a b c])))] [(resume co 1) (resume co 10) (ended? co) (resume co 100) (ended? co)])
; expect: [2 11 false [1 10 100] true]
(let [co (coroutine (fn [_] 1))] (resume co) (resume co))
; expect error: the coroutine is not suspended
(let [co (atom nil)] (reset! co (coroutine (fn [_] (resume @co)))) (resume @co))
; expect error: the coroutine is not suspended
(let [co (coroutine (fn [_] (throw (ex-info "inside" {}))))] [(try (resume co) (catch Exception e (ex-message e))) (ended? co)])
; expect: ["inside" true]
(let [log (atom [])] (run-threads (fn [] (run! (fn [name] (spawn (fn [] (dotimes [i 3] (swap! log conj [name i]) (pass))))) [:a :b]))) @log)
; expect: [[:a 0] [:b 0] [:a 1] [:b 1] [:a 2] [:b 2]]
(run-threads (fn [] (let [a (async (pass) 1) b (async 2)] (+ (await a) (await b)))))
; expect: 3
(run-threads (fn [] (let [a (async (throw (ex-info "in a thread" {})))] (try (await a) (catch Exception e (ex-message e))))))
; expect: "in a thread"
(run-threads (fn [] (throw (ex-info "in the main thread" {}))))
; expect error: in the main thread
(run-threads (fn [] (await (promise))))
; expect error: the main thread waits for ever
(run-threads (fn [] (let [p (promise)] (async (deliver p 1)) [(await p) (deliver p 2) (await p) (settled? p)])))
; expect: [1 false 1 true]
(run-threads (fn [] (let [c (chan)] (async (dotimes [i 3] (put! c i)) (close! c)) (loop [seen []] (if-let [x (take! c)] (recur (conj seen x)) [seen (take! c) (put! c 1)])))))
; expect: [[0 1 2] nil false]
(run-threads (fn [] (let [c (chan 2)] (async (dotimes [i 5] (put! c i)) (close! c)) (loop [seen []] (let [x (take! c)] (if (nil? x) seen (recur (conj seen x))))))))
; expect: [0 1 2 3 4]
(run-threads (fn [] (let [a (actor (fn [self] (loop [n 0] (let [[what reply] (receive self)] (if (= what :add) (do (deliver reply (inc n)) (recur (inc n))) (deliver reply n))))))] [(ask a :add) (ask a :add) (ask a :get)])))
; expect: [1 2 2]
(solutions (fn [] (let [a (amb 1 2 3) b (amb 4 5 6)] (guard (= 8 (+ a b))) [a b])))
; expect: ([2 6] [3 5])
(first (solutions (fn [] (let [a (choose (iterate inc 1)) b (choose (range 1 a)) c (choose (range 1 b))] (guard (= (* a a) (+ (* b b) (* c c)))) [c b a]))))
; expect: [3 4 5]
(take 4 (solutions (fn [] [(choose-fairly [:a :b]) (choose (iterate inc 0))])))
; expect: ([:a 0] [:b 0] [:a 1] [:b 1])
(solutions (fn [] (fail)))
; expect: ()
(handle {:ask (fn [k x] (k (* x 2))) :return (fn [v] [:r v])} (fn [] (+ (perform :ask 4) (perform :ask 5))))
; expect: [:r 18]
(handle {:a (fn [k] (k 1))} (fn [] (handle {:b (fn [k] (k 10))} (fn [] (+ (perform :a) (perform :b))))))
; expect: 11
(handle {:choose (fn [k xs] (mapcat k xs)) :return list} (fn [] (+ (perform :choose [1 2]) (perform :choose [10 20]))))
; expect: (11 21 12 22)
(handle {:stop (fn [k] :stopped)} (fn [] (perform :stop) :not-reached))
; expect: :stopped
(let [log (atom [])] [(handle {:stop (fn [k] (discontinue k (ex-info "stopped" {})))} (fn [] (try (perform :stop) (catch Exception e (ex-message e)) (finally (swap! log conj :f))))) @log])
; expect: ["stopped" [:f]]
(perform :nobody 1)
; expect error: no prompt has the tag :yin.core/effect
(run* [q] (unify q 5))
; expect: (5)
(run* [q] (fresh [x y] (unify q [x y x]) (any (unify x 1) (unify x 2))))
; expect: ([1 _0 1] [2 _0 2])
(defn append [l s out] (any (all (unify l ()) (unify s out)) (fresh [a d r] (unify l (lcons a d)) (unify out (lcons a r)) (append d s r)))) (run* [x y] (append x y (list 1 2)))
; expect: ([() (1 2)] [(1) (2)] [(1 2) ()])
(run* [q] (fresh [x] (unify x [q]) (unify q [x])))
; expect: ()
(run* [q] (fresh [x] (unify q (lcons 1 (lcons 2 x)))))
; expect: ((1 2 . _0))
;; ---- suspend*: the prompt's value is the continuation, with a value for whoever called prompt*
(suspended-with (prompt :p (+ 1 (suspend* :p :asked))))
; expect: :asked
((prompt :p (+ 1 (suspend* :p nil))) 5)
; expect: 6
(let [k (prompt :p (vector (suspend* :p [1 2]) :end))] [(k :a) (k :b) (suspended-with k) (k (k :c))])
; expect: [[:a :end] [:b :end] [1 2] [[:c :end] :end]]
(let [k (prompt :p (let [a (suspend* :p 1) b (suspend* :p 2)] [a b])) l (prompt* :p k :x)] [(suspended-with k) (suspended-with l) (l :y) (l :z) (suspended-with (prompt* :p k :w))])
; expect: [1 2 [:x :y] [:x :z] 2]
(let [k (prompt :p (loop [sum 0] (recur (+ sum (suspend* :p sum)))))] (loop [k k i 0] (if (< i 10) (recur (prompt* :p k i) (inc i)) (suspended-with k))))
; expect: 45
(let [k (prompt :p (try (finally* (fn [] (inc (suspend* :p 1))) (fn [] (log! "left"))) (catch :default e :caught)))] [(suspended-with k) (k 2) (k :x)])
; expect: [1 3 :caught]
(let [k (prompt :p (prompt :q (prompt :r [(suspend* :p 1) (suspend* :q 2)])))] [(suspended-with (k 0)) ((k 0) 5) ((prompt* :s k 7) 8)])
; expect: [2 [0 5] [7 8]]
(let [whole (atom nil) k (prompt :p (+ 1 (do (call/cc (fn [c] (reset! whole c))) (suspend* :p 3))))] (if (fn? @whole) (let [c @whole] (reset! whole (k 10)) (c nil)) [@whole (k 20)]))
; expect: [11 21]
(apply suspend* [:p 1])
; expect error: suspend*: no prompt has the tag :p
(suspend* 5 1)
; expect error: suspend*: expected a keyword, symbol or atom, found an integer
(suspend* (fn [] 1) 1)
; expect error: suspend*: expected a keyword, symbol or atom
(suspended-with (prompt :p (control* :p (fn [k] k))))
; expect error: suspended-with: expected a continuation of suspend*, found a function
(suspended-with nil)
; expect error: suspended-with: expected a continuation of suspend*, found nil
(let [k (prompt :p (suspend* :p 1))] (k))
; expect error: wrong number of arguments (0) passed to a continuation
;; ---- yield and suspend, called, passed on, and of the program's own
(vec (generator (fn [] (run! yield [1 2]) (yield 3))))
; expect: [1 2 3]
(defn first-of [] (yield 1)) (defn yield [x] [:own x]) [(first-of) (yield 2)]
; expect: [[:own 1] [:own 2]]
(let [yield inc suspend (fn [x] [x])] [(yield 1) (suspend 2)])
; expect: [2 [2]]
(let [co (coroutine (fn [x] (suspend (inc x)) (suspend)))] [(resume co 1) (resume co) (ended? co)])
; expect: [2 nil false]
(yield 1)
; expect error: suspend*: no prompt has the tag :yin.core/generator
(yield)
; expect error: wrong number of arguments (0) passed to yield
