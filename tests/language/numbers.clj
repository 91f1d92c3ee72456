; Integers, arithmetic and its edge cases.
(+)
; expect: 0
(+ 5)
; expect: 5
(+ 1 2)
; expect: 3
(+ 1 2 3 4 5 6 7 8 9 10)
; expect: 55
(- 7)
; expect: -7
(- 10 1 2 3)
; expect: 4
(*)
; expect: 1
(* 6 7)
; expect: 42
(* 1 2 3 4 5)
; expect: 120
[(inc 41) (dec 43) (inc -1) (dec 0)]
; expect: [42 42 0 -1]
[(quot 7 2) (quot -7 2) (quot 7 -2) (quot -7 -2)]
; expect: [3 -3 -3 3]
[(rem 7 2) (rem -7 2) (rem 7 -2) (rem -7 -2)]
; expect: [1 -1 1 -1]
[(mod 7 2) (mod -7 2) (mod 7 -2) (mod -7 -2) (mod 6 3)]
; expect: [1 1 -1 -1 0]
[(max 1) (max 1 2) (max 3 1 2) (max -1 -2)]
; expect: [1 2 3 -1]
[(min 1) (min 1 2) (min 3 1 2) (min -1 -2)]
; expect: [1 1 1 -2]
[(max 1 2.0) (min 1 2.0) (max 1/2 0) (min 1/2 0.25)]
; expect: [2.0 1 1/2 0.25]
[(abs -5) (abs 5) (abs -2.5) (abs -1/3) (abs 0)]
; expect: [5 5 2.5 1/3 0]
[(zero? 0) (zero? 0.0) (zero? 1) (pos? 1) (pos? 0) (neg? -1) (neg? 0) (neg? -0.5)]
; expect: [true true false true false true false true]
[(even? 0) (even? 7) (even? -2) (odd? 7) (odd? 8) (odd? -1)]
; expect: [true false true true false true]
[0xff 017 2r1010 36rZZ -0x10 +5]
; expect: [255 15 10 1295 -16 5]
(let [x 5 y 3] [(+ x y) (- x y) (* x y) (- x) (- x 1) (+ x 1) (+ 1 x) (- 1 x)])
; expect: [8 2 15 -5 4 6 6 -4]
(let [x 10] (- (+ x 1) (- x 1)))
; expect: 2
(map inc [1 2 3])
; expect: (2 3 4)
(reduce + [1 2 3 4])
; expect: 10
(reduce * [1 2 3 4])
; expect: 24
(apply + [1 2 3])
; expect: 6
(apply - 10 [1 2])
; expect: 7
(apply max [3 9 2])
; expect: 9
(+ "a" 1)
; expect error: expected a number, found a string
(+ 1 nil)
; expect error: expected a number, found nil
(- :a)
; expect error: expected a number, found a keyword
(* 2 [1])
; expect error: expected a number, found a vector
(inc "1")
; expect error: expected a number, found a string
(dec nil)
; expect error: expected a number, found nil
(quot 1 0)
; expect error: Divide by zero
(rem 1 0)
; expect error: Divide by zero
(mod 1 0)
; expect error: Divide by zero
(even? 1.5)
; expect error: expected an integer, found a double
(zero? "0")
; expect error: expected a number
(max 1 "2")
; expect error: expected a number, found a string
(abs nil)
; expect error: expected a number, found nil
[(int 3.9) (int -3.9) (long 2.5) (int 7/2) (int \a) (long 5)]
; expect: [3 -3 2 3 97 5]
(int "5")
; expect error: expected a number, found a string
(int ##NaN)
; expect error: finite
[(double 1) (double 1/2) (double 2.5)]
; expect: [1.0 0.5 2.5]
[(parse-long "42") (parse-long "-7") (parse-long "+7") (parse-long "4.2") (parse-long "") (parse-long "abc") (parse-long " 1")]
; expect: [42 -7 7 nil nil nil nil]
[(parse-double "4.5") (parse-double "1e3") (parse-double "-2") (parse-double "x") (parse-double "")]
; expect: [4.5 1000.0 -2.0 nil nil]
(parse-long 5)
; expect error: expected a string
(parse-double nil)
; expect error: expected a string
[(parse-boolean "true") (parse-boolean "false") (parse-boolean "maybe")]
; expect: [true false nil]
(let [n 0] (cond (pos? n) :positive (neg? n) :negative :else :zero))
; expect: :zero
[(bit-and 12 10) (bit-or 12 10) (bit-xor 12 10) (bit-not 0) (bit-not 5) (bit-and 15 7 3)]
; expect: [8 14 6 -1 -6 3]
[(bit-shift-left 1 10) (bit-shift-right 1024 3) (bit-shift-right -8 1) (bit-shift-right -1 70)]
; expect: [1024 128 -4 -1]
[(bit-test 5 0) (bit-test 5 1) (bit-set 0 3) (bit-clear 15 0) (bit-flip 5 1) (bit-and-not 15 5)]
; expect: [true false 8 14 7 10]
(bit-and 1.0 1)
; expect error: expected an integer, found a double
(bit-shift-left 1 -1)
; expect error: shift by a negative
