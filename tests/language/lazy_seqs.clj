; Laziness: what is computed, when, and how often.
(let [n (atom 0) s (map (fn [x] (swap! n inc) x) [1 2 3])] (let [before @n] (doall s) [before @n]))
; expect: [0 3]
(let [n (atom 0) s (map (fn [x] (swap! n inc) x) (range 100))] (first s) @n)
; expect: 1
(let [n (atom 0) s (lazy-seq (swap! n inc) [1 2])] [(first s) (second s) (count s) @n])
; expect: [1 2 2 1]
(take 5 ((fn squares [n] (lazy-seq (cons (* n n) (squares (inc n))))) 1))
; expect: (1 4 9 16 25)
(letfn [(primes [s] (lazy-seq (cons (first s) (primes (filter (fn [n] (not= 0 (mod n (first s)))) (rest s))))))] (take 10 (primes (iterate inc 2))))
; expect: (2 3 5 7 11 13 17 19 23 29)
(let [fibs ((fn fib [a b] (lazy-seq (cons a (fib b (+ a b))))) 0 1)] (take 10 fibs))
; expect: (0 1 1 2 3 5 8 13 21 34)
(nth (iterate inc 0) 300)
; expect: 300
(count (take 300 (cycle [1 2 3])))
; expect: 300
(first (drop 200 (filter odd? (range))))
; expect: 401
(last (reductions + (range 200)))
; expect: 19900
(first (reduce concat (map list (range 200))))
; expect: 0
(first (nth (iterate (fn [s] (map inc s)) [0]) 200))
; expect: 200
(let [s (lazy-seq nil)] [(seq s) (empty? s) (first s) (rest s) (count s)])
; expect: [nil true nil () 0]
(lazy-seq (lazy-seq (lazy-seq [1])))
; expect: (1)
(rest (lazy-seq [1 2]))
; expect: (2)
[(= (lazy-seq [1 2]) '(1 2)) (= (map inc [1]) (list 2)) (str (lazy-seq [1])) (vec (lazy-seq [1]))]
; expect: [true true "(1)" [1]]
(let [s (map inc [1 2])] {:s s, :again [s s]})
; expect: {:s (2 3) :again [(2 3) (2 3)]}
(get {(map inc [0 1]) :found} [1 2])
; expect: :found
(try (doall (map (fn [x] (/ 10 x)) [5 0])) (catch ArithmeticException e :caught))
; expect: :caught
(try (map (fn [x] (/ 10 x)) [5 0]) (catch ArithmeticException e :caught) (finally nil))
; expect error: Divide by zero
(let [tries (atom 0) s (lazy-seq (if (= 1 (swap! tries inc)) (throw (ex-info "first time" {})) [:ok]))] [(try (first s) (catch ExceptionInfo e :failed)) (first s) @tries])
; expect: [:failed :ok 2]
(lazy-seq 5)
; expect error: found an integer
(take 3 (map vector (iterate inc 0) (cycle [:a :b])))
; expect: ([0 :a] [1 :b] [2 :a])
(let [xs (range 1000000)] (reduce + (take 3 xs)))
; expect: 3
(let [s (map (fn [x] (* 2 x)) (range 5))] [(apply + s) (apply vector s) (into #{} s) (nth s 2)])
; expect: [20 [0 2 4 6 8] #{0 2 4 6 8} 4]
(empty? (map inc (range)))
; expect: false
(some (fn [x] (when (> x 1000) x)) (iterate (fn [x] (* 2 x)) 1))
; expect: 1024
(take 2 (mapcat (fn [x] [x x]) (range)))
; expect: (0 0)
(let [n (atom 0)] (dorun (take 3 (repeatedly (fn [] (swap! n inc))))) @n)
; expect: 3
(let [n (atom 0) s (for [x [1 2 3]] (do (swap! n inc) x))] [(first s) @n])
; expect: [1 1]
(let [a (map inc [1 2])] [(first a) (vec (lazy-seq a))])
; expect: [2 [2 3]]
(= (range) [0 1 2])
; expect: false
(= [0 1 2] (range))
; expect: false
(= (iterate inc 0) (range 100))
; expect: false
(= (vec (range 100)) (map identity (range)))
; expect: false
(= (take 200 (range)) (range 200))
; expect: true
(let [seen (atom 0) s (map (fn [x] (swap! seen inc) x) (range))] [(= (vec (range 50)) s) (<= @seen 51)])
; expect: [false true]
(let [seen (atom 0) s (map (fn [x] (swap! seen inc) x) (range))] [(nth s 700) @seen])
; expect: [700 701]
(let [s (map (fn [x] (if (= x 60) (throw (ex-info "too far" {})) x)) (range))] (= s (range 55)))
; expect: false
