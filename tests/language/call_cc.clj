; call/cc: escaping, re-entering, many times, with try, from data.
(+ 1 (call/cc (fn [k] (* 10 (k 4)))))
; expect: 5
(call/cc (fn [k] 5))
; expect: 5
(call/cc (fn [k] (k 5) 6))
; expect: 5
(call/cc (fn [k] (+ 1 (k (k 2)))))
; expect: 2
(+ 1 (call/cc (fn [k] (map k [1 2 3]) 5)))
; expect: 6
(call/cc (fn [return] (doseq [x [1 2 3 4]] (when (= x 3) (return [:found x]))) :none))
; expect: [:found 3]
(call/cc (fn [return] (reduce (fn [acc x] (if (neg? x) (return :negative) (+ acc x))) 0 [1 -2 3])))
; expect: :negative
(call/cc (fn [k] (mapv (fn [x] (if (= x 2) (k :left) x)) [1 2 3])))
; expect: :left
(let [saved (atom nil) n (atom 0) x (call/cc (fn [k] (reset! saved k) 1))] (swap! n inc) (if (< x 5) (@saved (inc x)) [x @n]))
; expect: [5 5]
(let [saved (atom nil) out (atom [])] (swap! out conj (+ 100 (call/cc (fn [k] (reset! saved k) 0)))) (if (< (count @out) 3) (@saved (count @out)) @out))
; expect: [100 101 102]
(let [r (atom [])] (let [k (call/cc identity)] (swap! r conj :pass) (if (fn? k) (k :done) [k @r])))
; expect: [:done [:pass :pass]]
(let [path (atom []) fail (atom nil) amb (fn [choices] (call/cc (fn [k] (let [old @fail] (loop [cs (seq choices)] (if cs (do (call/cc (fn [retry] (reset! fail (fn [] (retry nil))) (k (first cs)))) (recur (next cs))) (do (reset! fail old) (old))))))))] (call/cc (fn [end] (reset! fail (fn [] (end :none))) (let [a (amb [1 2 3 4 5 6 7]) b (amb [1 2 3 4 5 6 7]) c (amb [1 2 3 4 5 6 7])] (if (and (= (* c c) (+ (* a a) (* b b))) (< a b)) [a b c] (@fail))))))
; expect: [3 4 5]
(defn generator [xs] (let [return (atom nil) resume (atom nil)] (fn [] (call/cc (fn [r] (reset! return r) (if @resume (@resume nil) (do (doseq [x xs] (call/cc (fn [k] (reset! resume k) (@return x)))) (@return :end))))))))
(let [g (generator [1 2])] [(g) (g) (g)])
; expect: [1 2 :end]
(try (call/cc (fn [k] (throw (ex-info "inside" {})))) (catch Exception e :caught))
; expect: :caught
(call/cc (fn [k] (try (k :left) (catch Exception e :caught))))
; expect: :left
(let [k (try (call/cc (fn [k] k)) (catch Exception e :caught))] (if (fn? k) (k 5) k))
; expect: 5
(try (let [k (call/cc (fn [k] k))] (if (fn? k) (k 0) (/ 1 k))) (catch ArithmeticException e :divided))
; expect: :divided
(let [f (fn [n] (call/cc (fn [k] (if (zero? n) (k :zero) n))))] [(f 0) (f 1)])
; expect: [:zero 1]
(apply (call/cc (fn [k] (fn [x] (* 2 x)))) [21])
; expect: 42
(apply call/cc [(fn [k] (k 7))])
; expect: 7
(call/cc 5)
; expect error: call/cc
((call/cc (fn [k] k)) 1 2)
; expect error: wrong number of arguments (2)
(fn? (call/cc (fn [k] k)))
; expect: true
(let [n (atom 0) k (call/cc (fn [k] k))] (swap! n inc) (if (fn? k) (k @n) [k @n]))
; expect: [1 2]
(let [x (call/cc (fn [k] (let [y (k 1)] (+ y 1))))] (* x 10))
; expect: 10
(loop [i 0 ks []] (if (< i 3) (recur (inc i) (conj ks (call/cc (fn [k] i)))) ks))
; expect: [0 1 2]
(let [order (atom [])] (+ (do (swap! order conj :a) 1) (call/cc (fn [k] (swap! order conj :b) 2)) (do (swap! order conj :c) 3)) @order)
; expect: [:a :b :c]
(let [saved (atom nil) runs (atom 0) result (try (let [x (call/cc (fn [k] (reset! saved k) 0))] (if (= x 2) (throw (ex-info "at two" {})) x)) (catch Exception e :caught) (finally (swap! runs inc)))] (if (number? result) (@saved (inc result)) [result @runs]))
; expect: [:caught 3]
(let [v (call/cc (fn [k] {:k k :n 0}))] (if (map? v) ((:k v) (inc (:n v))) v))
; expect: 1
