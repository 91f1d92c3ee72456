; Captured values: by value, nested, through loops, shared and self-referring.
(let [x 1 f (fn [] x) x 2] [(f) x])
; expect: [1 2]
(let [a 1] ((fn [] ((fn [] ((fn [] a)))))))
; expect: 1
(let [a 1 b 2 c 3] ((fn [d] ((fn [e] [a b c d e]) 5)) 4))
; expect: [1 2 3 4 5]
(let [counter (fn [] (let [n (atom 0)] (fn [] (swap! n inc)))) a (counter) b (counter)] [(a) (a) (b) (a)])
; expect: [1 2 1 3]
(let [x 10] (map (fn [y] (+ x y)) [1 2]))
; expect: (11 12)
(let [f (let [hidden 5] (fn [x] (+ x hidden)))] (f 1))
; expect: 6
(let [f (fn f [n] (if (zero? n) [] (conj (f (dec n)) n)))] (f 3))
; expect: [1 2 3]
(let [x 1 f (fn g [n] (if (zero? n) x (g (dec n))))] (f 5))
; expect: 1
(let [x 2 f (fn g [n] (map (fn [m] (if (zero? m) x (first (g (dec m))))) [n]))] (f 3))
; expect: (2)
(letfn [(even [n] (if (zero? n) true (odd (dec n)))) (odd [n] (if (zero? n) false (even (dec n))))] [(even 10) (odd 7) (even 7)])
; expect: [true true false]
(let [k 3] (letfn [(f [n] (if (zero? n) k (g (dec n)))) (g [n] (f n))] [(f 4) (map f [1 2])]))
; expect: [3 (3 3)]
(letfn [(twice [f] (fn [x] (f (f x)))) (add [n] (fn [x] (+ x n)))] ((twice (add 3)) 10))
; expect: 16
(letfn [(f [x] (fn [] (g x))) (g [x] [:g x])] ((f 1)))
; expect: [:g 1]
(letfn [(f ([] (f 1)) ([x] (f x 2)) ([x y] [x y]))] (f))
; expect: [1 2]
(letfn [] 5)
; expect: 5
(letfn [(f [& xs] (if (seq xs) (+ (first xs) (apply f (rest xs))) 0))] (f 1 2 3))
; expect: 6
(let [a 1] (letfn [(f [] (g)) (g [] (h)) (h [] a)] (f)))
; expect: 1
(let [x 1] (letfn [(f [] (letfn [(g [] (+ x (h))) (h [] 10)] (g)))] (f)))
; expect: 11
(let [make (fn [n] (letfn [(get-n [] n) (plus [m] (+ m (get-n)))] {:get get-n :plus plus})) a (make 1) b (make 100)] [((:get a)) ((:plus a) 5) ((:plus b) 5)])
; expect: [1 6 105]
(let [f (fn [x] (fn [y] (fn [z] [x y z])))] (((f 1) 2) 3))
; expect: [1 2 3]
(let [x 5 f (fn [] (loop [i 0 acc 0] (if (= i 3) acc (recur (inc i) (+ acc x)))))] (f))
; expect: 15
(let [a 1 f (fn [x] (let [b (+ a x) g (fn [y] (* b y))] (g 3)))] (f 2))
; expect: 9
(let [a 1 f (fn [a] (fn [] a))] [((f 2)) a])
; expect: [2 1]
(try (let [x 1] ((fn [] (throw (ex-info "e" {:x x}))))) (catch ExceptionInfo e (ex-data e)))
; expect: {:x 1}
(let [y (fn [f] ((fn [x] (x x)) (fn [x] (f (fn [v] ((x x) v))))))] ((y (fn [self] (fn [n] (if (zero? n) 1 (* n (self (dec n))))))) 6))
; expect: 720
(let [zero (fn [f] (fn [x] x)) succ (fn [n] (fn [f] (fn [x] (f ((n f) x))))) add (fn [m n] (fn [f] (fn [x] ((m f) ((n f) x))))) three (succ (succ (succ zero)))] (((add three three) inc) 0))
; expect: 6
(let [fs (for [i (range 3)] (fn [x] (* i x)))] (map (fn [f] (f 10)) fs))
; expect: (0 10 20)
