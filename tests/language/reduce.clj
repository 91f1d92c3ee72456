; reduce and its kin.
[(reduce + []) (reduce + [5]) (reduce + 10 []) (reduce + 10 [1 2]) (reduce + nil) (reduce - [10 1 2])]
; expect: [0 5 10 13 0 7]
(reduce conj [] '(1 2 3))
; expect: [1 2 3]
(reduce conj () [1 2 3])
; expect: (3 2 1)
(reduce (fn [m x] (update m (odd? x) (fnil conj []) x)) {} (range 5))
; expect: {false [0 2 4] true [1 3]}
(reduce (fn [a b] (if (> a b) a b)) [3 9 2])
; expect: 9
(reduce str (range 10))
; expect: "0123456789"
(reduce (fn [acc [k v]] (assoc acc v k)) {} {:a 1})
; expect: {1 :a}
(reduce + (range 1 101))
; expect: 5050
(reduce (fn [a x] (conj a (+ (peek a) x))) [0] [1 2 3])
; expect: [0 1 3 6]
(reduce + 0 (map (fn [x] (* x x)) (filter odd? (range 10))))
; expect: 165
(reduce (fn [] :empty) [])
; expect: :empty
(reduce (fn [a] a) [1 2])
; expect error: wrong number of arguments (2)
(reduce + 0 5)
; expect error: found an integer
[(apply + []) (apply + 1 []) (apply + 1 2 nil) (apply str "a" "b" ["c"]) (apply vector (range 3))]
; expect: [0 1 3 "abc" [0 1 2]]
(apply (fn [a & more] [a more]) 1 [2 3])
; expect: [1 (2 3)]
(apply + (range 1000))
; expect: 499500
(apply apply [+ [1 2]])
; expect: 3
(apply + 1)
; expect error: found an integer
(apply 5 [1])
; expect error: not a function
(loop [xs [1 2 3] total 0] (if (seq xs) (recur (rest xs) (+ total (first xs))) total))
; expect: 6
(let [v (volatile! 0)] (run! (fn [x] (vreset! v (+ @v x))) [1 2 3]) @v)
; expect: 6
; A lazy seq without another owner is folded without cells; what can be seen stays the same.
(let [n (atom 0) s (map (fn [x] (swap! n inc) x) [1 2 3])] [(reduce + s) (reduce + s) @n])
; expect: [6 6 3]
(let [log (atom [])] (reduce (fn [sum x] (swap! log conj [:added x]) (+ sum x)) 0 (map (fn [x] (swap! log conj [:made x]) (* 10 x)) (filter odd? (range 4)))) @log)
; expect: [[:made 1] [:added 10] [:made 3] [:added 30]]
(let [log (atom [])] (reduce (fn [sum x] (swap! log conj [:added x]) (+ sum x)) (map (fn [x] (swap! log conj [:made x]) x) (list 1 2 3))) @log)
; expect: [[:made 1] [:made 2] [:added 2] [:made 3] [:added 3]]
(let [n (atom 0)] [(reduce (fn [sum x] (if (> x 5) (reduced sum) (+ sum x))) 0 (map (fn [x] (swap! n inc) x) (filter even? (range)))) @n])
; expect: [6 4]
(let [n (atom 0)] [(reduce (fn [sum x] (if (> x 5) (reduced sum) (+ sum x))) 0 (map (fn [x] (swap! n inc) x) (range 100))) @n])
; expect: [15 7]
(reduce (fn [sum x] (if (= sum 3) (reduced :three) (+ sum x))) 0 (repeat 100 1))
; expect: :three
(reduce (fn [sum x] (if (= sum 3) (reduced :three) (+ sum x))) 0 (repeat 1))
; expect: :three
(try (reduce + (map (fn [x] (/ 6 x)) (filter number? [3 0 1]))) (catch ArithmeticException e :caught))
; expect: :caught
(reduce + (map inc (keep (fn [x] (when (odd? x) x)) (map dec (filter pos? (range -5 6))))))
; expect: 6
[(reduce + (map inc [])) (reduce + 7 (filter odd? [2])) (reduce vector (map inc [0])) (reduce vector (map inc [0 1]))]
; expect: [0 7 1 [1 2]]
(let [k (atom nil) n (atom 0) sum (reduce + (map (fn [x] (if (= x 2) (call/cc (fn [c] (reset! k c) x)) x)) [1 2 3]))] (if (< (swap! n inc) 2) (@k 2) [sum @n]))
; expect: [6 2]
; Host functions are applied to many items in one step.
[(count (reduce conj [] (range 3000))) (reduce + (range 3000)) (reduce + 0.5 (range 2)) (reduce max (vec (range 2500)))]
; expect: [3000 4498500 1.5 2499]
(let [v [0] w (reduce conj v (range 2000)) x (reduce conj w (range 40))] [v (count w) (peek w) (count x)])
; expect: [[0] 2001 1999 2041]
[(reduce + [9223372036854775807 1 1]) (reduce - [10 1 2]) (reduce * (range 1 21 4)) (reduce bit-xor (range 2 9 3)) (reduce min [3 1/2 2])]
; expect: [9223372036854775809N 7 9945 15 1/2]
(reduce + (range 10 0 -3))
; expect: 22
(reduce conj #{} [(map inc [1 2]) [2 3] (map inc [1 2])])
; expect: #{(2 3)}
(reduce conj {} [[:a 1] {:b 2} nil [:a 3]])
; expect: {:a 3 :b 2}
(reduce conj (list) (vec (repeat 3 :x)))
; expect: (:x :x :x)
(reduce + [1 "a"])
; expect error: found a string
(reduce conj 5 [1])
; expect error: found an integer
[(count (frequencies (vec (range 2000)))) (frequencies [(map inc [1]) [2] '(2) nil nil]) (frequencies (map odd? (range 5))) (frequencies "aab")]
; expect: [2000 {(2) 3 nil 2} {false 3 true 2} {\a 2 \b 1}]
[(count (vec (repeat 2500 true))) (repeat 3 :x) (repeat 0 :x) (repeat -1 :x) (into [] (repeat 2.5 :x)) (take 2 (repeat 3 1))]
; expect: [2500 (:x :x :x) () () [:x :x :x] (1 1)]
[(mapv inc (list 1 2)) (mapv inc (filter odd? (range 4))) (filterv odd? (map inc (range 4))) (group-by odd? (map inc (range 3)))]
; expect: [[2 3] [2 4] [1 3] {true [1 3] false [2]}]
[(str/join "," (map str (range 3))) (str/join (map inc [1 2])) (str/join "-" (filter odd? [1 2 3]))]
; expect: ["0,1,2" "23" "1-3"]
(let [s (map inc [1 2])] [(str/join "," s) (vec s) (into [] s) s])
; expect: ["2,3" [2 3] [2 3] (2 3)]
; A generator that nobody else holds is folded as its items come.
[(reduce + (generator (fn [] (dotimes [i 4] (yield i))))) (into [] (generator (fn [] nil))) (vec (generator (fn [] (yield 1) (yield nil))))]
; expect: [6 [] [1 nil]]
(reduce (fn [sum x] (if (> x 2) (reduced sum) (+ sum x))) 0 (generator (fn [] (loop [i 0] (yield i) (recur (inc i))))))
; expect: 3
(let [n (atom 0) g (generator (fn [] (yield (swap! n inc)) (yield (swap! n inc))))] [(reduce + g) (vec g) (first g) @n])
; expect: [3 [1 2] 1 2]
(vec (generator (fn [] (yield (reduce + (generator (fn [] (yield 1) (yield 2))))) (reduce (fn [_ x] (yield x)) nil (map inc [3 4])))))
; expect: [3 4 5]
(let [log (atom [])] (reduce (fn [_ x] (swap! log conj [:used x])) nil (generator (fn [] (dotimes [i 2] (swap! log conj [:made i]) (yield i))))) @log)
; expect: [[:made 0] [:used 0] [:made 1] [:used 1]]
(try (reduce + (generator (fn [] (yield 1) (throw (ex-info "in a generator" {}))))) (catch ExceptionInfo e (ex-message e)))
; expect: "in a generator"
