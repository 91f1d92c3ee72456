; loop, recur, dotimes, while, recursion.
(loop [i 0] (if (< i 10) (recur (inc i)) i))
; expect: 10
(loop [i 0 acc []] (if (= i 4) acc (recur (inc i) (conj acc (* i i)))))
; expect: [0 1 4 9]
(loop [a 1 b 2 n 0] (if (= n 3) [a b] (recur b a (inc n))))
; expect: [2 1]
(loop [] 5)
; expect: 5
(loop [x 5 y (inc x)] y)
; expect: 6
(defn f [n acc] (if (zero? n) acc (recur (dec n) (+ acc n))))
(f 1000 0)
; expect: 500500
((fn [n & more] (if (zero? n) more (recur (dec n) (cons n more)))) 3)
; expect: (1 2 3)
(loop [i 0 out []] (cond (= i 5) out (odd? i) (recur (inc i) out) :else (recur (inc i) (conj out i))))
; expect: [0 2 4]
(loop [i 3] (when (pos? i) (let [j (dec i)] (if (= j 0) :end (recur j)))))
; expect: :end
(loop [i 0] (let [x (* i i)] (if (> x 50) [i x] (recur (inc i)))))
; expect: [8 64]
(loop [i 0 out []] (if (= i 3) out (recur (inc i) (conj out (loop [j 0 n 0] (if (= j i) n (recur (inc j) (+ n j))))))))
; expect: [0 0 1]
(loop [fs [] i 0] (if (= i 3) (map (fn [f] (f)) fs) (recur (conj fs (fn [] (* i 10))) (inc i))))
; expect: (0 10 20)
(let [n (atom 0)] (dotimes [i 5] (swap! n + i)) @n)
; expect: 10
(dotimes [i 0] (throw (ex-info "never" {})))
; expect: nil
(let [n (atom 3) out (atom [])] (while (pos? @n) (swap! out conj @n) (swap! n dec)) @out)
; expect: [3 2 1]
(let [out (atom [])] (doseq [x [1 2 3]] (swap! out conj (* x x))) @out)
; expect: [1 4 9]
(let [out (atom [])] (doseq [x [1 2] y [:a :b]] (swap! out conj [x y])) @out)
; expect: [[1 :a] [1 :b] [2 :a] [2 :b]]
(let [out (atom [])] (doseq [x (range 6) :when (odd? x) :let [y (* 10 x)]] (swap! out conj y)) @out)
; expect: [10 30 50]
(let [out (atom [])] (doseq [x (range) :while (< x 3)] (swap! out conj x)) @out)
; expect: [0 1 2]
(doseq [x nil] x)
; expect: nil
(let [out (atom [])] (doseq [[k v] {:a 1}] (swap! out conj k v)) @out)
; expect: [:a 1]
(defn depth [n] (if (zero? n) 0 (inc (depth (dec n)))))
(depth 1500)
; expect: 1500
(defn sum [xs] (if (seq xs) (+ (first xs) (sum (rest xs))) 0))
(sum (range 500))
; expect: 124750
(defn even-n? [n] (if (zero? n) true (odd-n? (dec n))))
(defn odd-n? [n] (if (zero? n) false (even-n? (dec n))))
(even-n? 1001)
; expect: false
(defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(fib 12)
; expect: 144
(defn ack [m n] (cond (zero? m) (inc n) (zero? n) (ack (dec m) 1) :else (ack (dec m) (ack m (dec n)))))
(ack 2 3)
; expect: 9
(defn hanoi [n a b c] (if (zero? n) [] (into (conj (hanoi (dec n) a c b) [a c]) (hanoi (dec n) b a c))))
(count (hanoi 5 :a :b :c))
; expect: 31
(defn gcd [a b] (if (zero? b) a (recur b (mod a b))))
(gcd 1071 462)
; expect: 21
(defn collatz [n] (loop [n n steps 0] (cond (= n 1) steps (even? n) (recur (quot n 2) (inc steps)) :else (recur (inc (* 3 n)) (inc steps)))))
(map collatz [1 6 7 27])
; expect: (0 8 16 111)
(loop [i 0] (if (< i 5) (do (inc i) (recur (+ i 2))) i))
; expect: 6
(loop [x 10] (case x 0 :zero (recur (dec x))))
; expect: :zero
(loop [xs '(1 2 3) n 0] (if-let [x (first xs)] (recur (rest xs) (+ n x)) n))
; expect: 6
(loop [x 0] (and (< x 5) (or (= x 3) (recur (inc x)))))
; expect: true
(loop [i 0 m {}] (if (= i 3) m (recur (inc i) (assoc m i (loop [j i acc 1] (if (zero? j) acc (recur (dec j) (* acc 2))))))))
; expect: {0 1 1 2 2 4}
(loop [a 0 b 1] (if (> a 100) a (recur b (+ a b))))
; expect: 144
