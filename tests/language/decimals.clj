; Decimals: an integer and a scale; tests/conformance/clojure/decimals.clj compares many more with Clojure.
[1.5M 1M 1e3M 0.0000001M -0.0M]
; expect: [1.5M 1M 1E+3M 1E-7M 0.0M]
[(+ 1.5M 2.25M) (- 1M 0.25M) (* 1.50M 2.0M) (/ 1M 8M) (quot 7.5M 2M) (rem 7.5M 2M) (mod -7.5M 2M)]
; expect: [3.75M 0.75M 3.000M 0.125M 3.0M 1.5M 0.5M]
[(+ 1 1.5M) (+ 1/2 1M) (+ 1.5M 0.5) (inc 1.5M) (dec 0.5M) (- 1.50M) (abs -1.5M) (max 1 1.5M) (min 2M 3/2)]
; expect: [2.5M 1.5M 2.0 2.5M -0.5M -1.50M 1.5M 1.5M 3/2]
(/ 1M 3M)
; expect error: Non-terminating decimal expansion
(+ 1/3 1M)
; expect error: Non-terminating decimal expansion
(/ 1M 0)
; expect error: Divide by zero
(quot 1M 0.0M)
; expect error: Divide by zero
(try (/ 1M 3) (catch ArithmeticException e :caught))
; expect: :caught
(* 1e1500M 1e1500M)
; expect error: a decimal of more than 2000 digits
[(= 1.0M 1.00M) (= 1 1M) (== 1 1.0M 1.0) (= 1.5 1.5M) (= (hash 1.0M) (hash 1.00M)) (not= 1M 2M)]
; expect: [true false true false true true]
[(get {1.0M :a} 1.00M) (contains? #{2.50M} 2.5M) (conj #{1.0M} 1.00M) (assoc {1M 1} 1.0M 2) (get (zipmap (map bigdec (range 40)) (range)) 7.0M)]
; expect: [:a true #{1.0M} {1M 2} 7]
[(< 1M 1.5M 2) (compare 1.0M 1.00M) (compare 1.5M 1) (sort [2M 1 1.5M 3/2 0.5]) (zero? 0.00M) (pos? 0.1M) (neg? -0.1M)]
; expect: [true 0 1 (0.5 1 1.5M 3/2 2M) true true true]
(into (sorted-map) [[1.5M :a] [1 :b] [1.50M :c] [2M :d]])
; expect: {1 :b 1.5M :c 2M :d}
[(str 1.50M) (pr-str 1.50M) (print-str 1.50M) (str [1.50M]) (format "%.1f %s" 2.25M 2.50M) (str 1e-7M)]
; expect: ["1.50" "1.50M" "1.50M" "[1.50M]" "2.3 2.50" "1E-7"]
[(bigdec 1) (bigdec 0.1) (bigdec 1/4) (bigdec "1.50") (bigdec 1e20) (bigdec 12345678901234567890)]
; expect: [1M 0.1M 0.25M 1.50M 1.0E+20M 12345678901234567890M]
(bigdec "x")
; expect error: this is no decimal
(bigdec :a)
; expect error: expected a number, found a keyword
(bigdec ##NaN)
; expect error: this is no decimal
[(decimal? 1M) (decimal? 1) (number? 1M) (rational? 1M) (ratio? 1M) (integer? 1M) (float? 1M) (class 1M) (instance? BigDecimal 1M)]
; expect: [true false true true false false false java.math.BigDecimal true]
[(long 1.9M) (int -1.9M) (double 1.5M) (bigint 1e20M) (rationalize 1.25M) (rationalize 1e2M)]
; expect: [1 -1 1.5 100000000000000000000 5/4 100]
[(with-precision 3 (/ 1M 3)) (with-precision 2 :rounding FLOOR (/ -2M 3M)) (with-precision 1 (+ 19M 1M)) (with-precision 4 (inc 1.23456M))]
; expect: [0.333M -0.67M 2E+1M 2.235M]
(with-precision 3 :rounding UNNECESSARY (* 1.2345M 1M))
; expect error: Rounding necessary
(with-precision 3 :rounding SIDEWAYS (* 1.2345M 1M))
; expect error: no such precision or rounding
(even? 2M)
; expect error: expected an integer, found a decimal
(bit-and 1M 1)
; expect error: expected an integer, found a decimal
(apply + (map bigdec (range 1000)))
; expect: 499500M
(reduce + (repeat 100 0.01M))
; expect: 1.00M
(loop [i 0 x 1M] (if (< i 60) (recur (inc i) (* x 1.5M)) (count (str x))))
; expect: 72
(let [x (atom 1.5M)] (swap! x * 2) (reset! x (+ @x 0.25M)) @x)
; expect: 3.25M
(case 1.5M 1.5M :yes :no)
; expect: :yes
(clojure.edn/read-string "[1.50M 2M -3e2M]")
; expect: [1.50M 2M -3E+2M]
(vec (range 0M 1M 0.25M))
; expect: [0M 0.25M 0.50M 0.75M]
(defprotocol Money (cents [x])) (extend-type BigDecimal Money (cents [x] (long (* 100 x)))) (cents 1.25M)
; expect: 125
(eval (list '+ 1.5M 2))
; expect: 3.5M
(map (fn [k] (k 1M)) [zero? pos? number? str hash decimal? (partial * 2M)])
; expect: (false true true "1" 1055613285 true 2M)
(= (vec (map bigdec (range 50))) (into [] (map #(/ (bigdec (* 10 %)) 10)) (range 50)))
; expect: true
