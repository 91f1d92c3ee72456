; Floating point.
[(+ 0.1 0.2) (- 1.5 1) (* 2 1.5) (/ 1.0 4)]
; expect: [0.30000000000000004 0.5 3.0 0.25]
[1e3 1.5e-3 -0.25 1E10]
; expect: [1000.0 0.0015 -0.25 1.0E10]
[(/ 1.0 0) (/ -1.0 0)]
; expect: [##Inf ##-Inf]
(/ 1.0 0.0)
; expect: ##Inf
[(NaN? (/ 0.0 0.0)) (NaN? 1.0) (infinite? ##Inf) (infinite? 1.0)]
; expect: [true false true false]
[(= ##NaN ##NaN) (== ##NaN ##NaN) (< ##NaN 1) (> ##NaN 1)]
; expect: [false false false false]
[(quot 7.5 2) (rem 7.5 2) (mod -7.5 2)]
; expect: [3.0 1.5 0.5]
[(str (quot -1.0 2)) (rem 5.5 0.1) (mod -5.5 0.1) (rem -7.5 2) (mod 7.5 -2) (NaN? (rem 5 ##Inf))]
; expect: ["0.0" 0.0 0.0 -1.5 -0.5 true]
(quot 1.0 0)
; expect error: Divide by zero
[(str 1.0) (str 0.1) (str 1e21) (str 1.0E-5) (str 123456.789) (str 1e7) (str 9999999.0) (str 0.001) (str 1.0E-4) (str -0.0)]
; expect: ["1.0" "0.1" "1.0E21" "1.0E-5" "123456.789" "1.0E7" "9999999.0" "0.001" "1.0E-4" "-0.0"]
[(pr-str 100.0) (pr-str 1.5) (pr-str ##Inf) (pr-str ##-Inf) (pr-str ##NaN) (str 3.0E-10) (str 1.7976931348623157E308) (str 4.9E-324)]
; expect: ["100.0" "1.5" "##Inf" "##-Inf" "##NaN" "3.0E-10" "1.7976931348623157E308" "4.9E-324"]
[(float? 1.0) (float? 1) (double? 1.0) (double? 1/2) (number? 1.0) (integer? 1.0) (int? 1.0)]
; expect: [true false true false true false false]
[(inc 1.5) (dec 1.5) (- 1.5) (abs -1.5)]
; expect: [2.5 0.5 -1.5 1.5]
[(str 9999999999.5) (str 0.00099999) (str 9999999.5) (str 123456789012345680.0) (str 1.0E-3) (str -1234567.25) (str 0.5) (str 2.0E-323)]
; expect: ["9.9999999995E9" "9.9999E-4" "9999999.5" "1.2345678901234568E17" "0.001" "-1234567.25" "0.5" "2.0E-323"]
(reduce + [0.5 0.25 0.25])
; expect: 1.0
[(= 1 1.0) (== 1 1.0) (= 0.0 -0.0) (== 0 -0.0)]
; expect: [false true true true]
(get {1.5 :a} 1.5)
; expect: :a
[(get {1 :int} 1.0) (get {1.0 :double} 1)]
; expect: [nil nil]
