; Threading forms.
(-> 5 inc (* 2) str)
; expect: "12"
(-> 5)
; expect: 5
(-> {:a {:b 1}} :a :b)
; expect: 1
(-> [1 2] (conj 3) first)
; expect: 1
(->> [1 2 3] (map inc) (filter even?) (reduce +))
; expect: 6
(->> 5 (- 10))
; expect: 5
(-> 5 (- 10))
; expect: -5
(-> 3 (#(* % %)) ((fn [x] (+ x 1))))
; expect: 10
(->> (range 10) (filter odd?) (map (fn [x] (* x x))) (take 2) vec)
; expect: [1 9]
[(some-> {:a {:b 1}} :a :b inc) (some-> {:a nil} :a :b inc) (some-> nil inc) (some->> [1 2] (map inc) first)]
; expect: [2 nil nil 2]
[(cond-> 1 true inc false (* 10) (= 1 1) (+ 5)) (cond->> [1 2] true (map inc) false (filter odd?))]
; expect: [7 (2 3)]
(as-> 5 x (+ x 1) (* x x) [x x])
; expect: [36 36]
(as-> {:a [1 2]} m (:a m) (map inc m) (vec m))
; expect: [2 3]
(let [a (doto (atom []) (swap! conj 1) (swap! conj 2))] @a)
; expect: [1 2]
(-> (-> 1 inc) (-> inc))
; expect: 3
(-> 1 (->> (- 10)))
; expect: 9
(macroless)
; expect error: unresolved symbol: macroless
