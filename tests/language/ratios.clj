; Exact quotients.
(/ 1 3)
; expect: 1/3
(/ 6 3)
; expect: 2
(/ 4)
; expect: 1/4
(/ 12 2 3)
; expect: 2
(/ -3 6)
; expect: -1/2
(/ 3 -6)
; expect: -1/2
(+ 1/3 2/3)
; expect: 1
(+ 1/2 1)
; expect: 3/2
(- 1/2 1/3)
; expect: 1/6
(* 2/3 3/4)
; expect: 1/2
(/ 1/2 1/4)
; expect: 2
(+ 1/2 0.5)
; expect: 1.0
[(numerator 6/4) (denominator 6/4)]
; expect: [3 2]
[(< 1/3 1/2) (= 1/2 2/4) (= 1/2 0.5) (== 1/2 0.5) (> 1/2 0)]
; expect: [true true false true true]
[(quot 7/2 1) (rem 7/2 1) (mod -7/2 1)]
; expect: [3 1/2 1/2]
[(ratio? 1/2) (ratio? 2) (rational? 1/2) (rational? 2) (rational? 0.5) (integer? 1/2) (number? 1/2)]
; expect: [true false true true false false true]
[(inc 1/2) (dec 1/2) (- 1/2) (pos? 1/2) (neg? -1/2) (zero? 1/2)]
; expect: [3/2 -1/2 -1/2 true true false]
[(str 1/3) (pr-str -22/7)]
; expect: ["1/3" "-22/7"]
(get {1/2 :half} (/ 2 4))
; expect: :half
(/ 1 0)
; expect error: Divide by zero
(/ 1/2 0)
; expect error: Divide by zero
(/ 0)
; expect error: Divide by zero
(reduce + (map (fn [n] (/ 1 n)) (range 1 11)))
; expect: 7381/2520
(int 22/7)
; expect: 3
