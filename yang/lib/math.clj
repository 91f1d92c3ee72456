;; clojure.math of the core library, and what clojure.core has of numbers beyond the host functions.
;;
;; Is:     names for the machine's functions of doubles; casts; the unchecked and the promoting arithmetic.
;; Is not: arithmetic itself, which is the machine's.
;; Fits:   one file of the core library (core.clj has its rules). ORDER: real functions, as _primitives_math.pxi has them.
;; Source: Clojure 1.11's clojure.math and java.lang.Math.

(defn clojure.math/sqrt [a] (real-function 0 a))
(defn clojure.math/cbrt [a]
  (let [root (real-function 1 a)]  ; C's may be a digit off: once more by Newton's method
    (if (or (zero? root) (NaN? root) (infinite? root))
      root
      (- root (/ (- (* root root root) a) (* 3.0 root root))))))
(defn clojure.math/exp [a] (real-function 2 a))
(defn clojure.math/expm1 [a] (real-function 3 a))
(defn clojure.math/log [a] (real-function 4 a))
(defn clojure.math/log10 [a] (real-function 5 a))
(defn clojure.math/log1p [a] (real-function 6 a))
(defn clojure.math/sin [a] (real-function 7 a))
(defn clojure.math/cos [a] (real-function 8 a))
(defn clojure.math/tan [a] (real-function 9 a))
(defn clojure.math/asin [a] (real-function 10 a))
(defn clojure.math/acos [a] (real-function 11 a))
(defn clojure.math/atan [a] (real-function 12 a))
(defn clojure.math/sinh [a] (real-function 13 a))
(defn clojure.math/cosh [a] (real-function 14 a))
(defn clojure.math/tanh [a] (real-function 15 a))
(defn clojure.math/floor [a] (real-function 16 a))
(defn clojure.math/ceil [a] (real-function 17 a))
(defn clojure.math/rint [a] (real-function 18 a))
(defn clojure.math/pow [a b]
  (if (and (or (= (double a) 1.0) (= (double a) -1.0)) (or (infinite? b) (NaN? b)))
    ##NaN  ; Java has it so, C does not
    (real-function 0 a b)))
(defn clojure.math/atan2 [y x] (real-function 1 y x))
(defn clojure.math/hypot [x y] (real-function 2 x y))
(defn clojure.math/IEEE-remainder [a b] (real-function 3 a b))
(defn clojure.math/copy-sign [a sign] (real-function 4 a sign))
(defn clojure.math/next-after [a toward] (real-function 5 a toward))
(defn clojure.math/next-up [a] (real-function 5 a ##Inf))
(defn clojure.math/next-down [a] (real-function 5 a ##-Inf))
(defn clojure.math/to-radians [degrees] (* (double degrees) 0.017453292519943295))
(defn clojure.math/to-degrees [radians] (* (double radians) 57.29577951308232))

(defn clojure.math/signum [a]
  (let [a (double a)] (cond (pos? a) 1.0 (neg? a) -1.0 :else a)))

(defn clojure.math/ulp [a]
  (let [a (abs (double a))]
    (cond
      (NaN? a) a
      (infinite? a) a
      (= a 1.7976931348623157E308) (- a (real-function 5 a 0.0))
      :else (- (real-function 5 a ##Inf) a))))

(defn impl/bounded-long [x]
  (cond (> x 9223372036854775807) 9223372036854775807 (< x -9223372036854775808) -9223372036854775808 :else x))

(defn clojure.math/round
  "The nearest integer of 64 bits, halves up."
  [a]
  (let [a (double a)]
    (cond
      (NaN? a) 0
      (infinite? a) (if (pos? a) 9223372036854775807 -9223372036854775808)
      :else (let [down (long (real-function 16 a))]
              (impl/bounded-long (if (>= (- a (double down)) 0.5) (inc down) down))))))

(defn impl/long-argument [name x]
  (if (number? x) (long x) (impl/refuse :type (str name ": expected a number, found " (pr-str x)))))

(defn clojure.math/floor-div [a b]
  (let [a (impl/long-argument "floor-div" a) b (impl/long-argument "floor-div" b)
        q (quot a b)]
    (if (and (not= (neg? a) (neg? b)) (not= (* q b) a)) (dec q) q)))

(defn clojure.math/floor-mod [a b]
  (let [a (impl/long-argument "floor-mod" a) b (impl/long-argument "floor-mod" b)] (mod a b)))

(defn clojure.math/random [] (rand))
(defn impl/exactly-long [x]
  (if (<= -9223372036854775808 x 9223372036854775807) x (impl/refuse :arithmetic "integer overflow")))
(defn clojure.math/add-exact [a b] (impl/exactly-long (+ (long a) (long b))))
(defn clojure.math/subtract-exact [a b] (impl/exactly-long (- (long a) (long b))))
(defn clojure.math/multiply-exact [a b] (impl/exactly-long (* (long a) (long b))))
(defn clojure.math/increment-exact [a] (impl/exactly-long (inc (long a))))
(defn clojure.math/decrement-exact [a] (impl/exactly-long (dec (long a))))
(defn clojure.math/negate-exact [a] (impl/exactly-long (- (long a))))

(defn clojure.math/get-exponent [a]
  (let [a (abs (double a))]
    (cond
      (NaN? a) 1024
      (infinite? a) 1024
      (< a 2.2250738585072014E-308) -1023
      :else (loop [e 0 x a]
              (cond (>= x 2.0) (recur (inc e) (/ x 2.0)) (< x 1.0) (recur (dec e) (* x 2.0)) :else e)))))

(defn clojure.math/scalb [a n]
  (loop [a (double a) n n]
    (cond
      (> n 1000) (recur (* a (real-function 0 2 1000)) (- n 1000))
      (< n -1000) (recur (* a (real-function 0 2 -1000)) (+ n 1000))
      :else (* a (real-function 0 2 n)))))

;; ---- clojure.core

(defn +' ([] 0) ([a] (+ a)) ([a b] (+ a b)) ([a b & more] (apply + a b more)))
(defn -' ([a] (- a)) ([a b] (- a b)) ([a b & more] (apply - a b more)))
(defn *' ([] 1) ([a] (* a)) ([a b] (* a b)) ([a b & more] (apply * a b more)))
(defn inc' [a] (inc a))
(defn dec' [a] (dec a))

(defn impl/wrapped
  "The integer of so many bits, with sign, that an integer is in them."
  [x bits]
  (let [size (bit-shift-left 1 bits) low (bit-and x (dec size))]
    (if (>= low (bit-shift-left 1 (dec bits))) (- low size) low)))

(defn impl/unchecked [x] (if (int? x) (impl/wrapped x 64) x))
(defn unchecked-add [a b] (impl/unchecked (+ a b)))
(defn unchecked-subtract [a b] (impl/unchecked (- a b)))
(defn unchecked-multiply [a b] (impl/unchecked (* a b)))
(defn unchecked-inc [a] (impl/unchecked (inc a)))
(defn unchecked-dec [a] (impl/unchecked (dec a)))
(defn unchecked-negate [a] (impl/unchecked (- a)))
(defn unchecked-add-int [a b] (impl/wrapped (+ a b) 32))
(defn unchecked-subtract-int [a b] (impl/wrapped (- a b) 32))
(defn unchecked-multiply-int [a b] (impl/wrapped (* a b) 32))
(defn unchecked-inc-int [a] (impl/wrapped (inc a) 32))
(defn unchecked-dec-int [a] (impl/wrapped (dec a) 32))
(defn unchecked-negate-int [a] (impl/wrapped (- a) 32))
(defn unchecked-divide-int [a b] (impl/wrapped (quot a b) 32))
(defn unchecked-remainder-int [a b] (rem a b))
(defn impl/clipped
  "A number as an integer of 64 bits: a double beyond them is the nearest."
  [x]
  (cond
    (not (double? x)) (impl/wrapped (long x) 64)
    (NaN? x) 0
    (>= x 9.223372036854775807E18) 9223372036854775807
    (<= x -9.223372036854775808E18) -9223372036854775808
    :else (long x)))
(defn unchecked-long [x] (impl/clipped x))
(defn unchecked-int [x]
  (if (double? x)
    (let [x (impl/clipped x)] (cond (> x 2147483647) 2147483647 (< x -2147483648) -2147483648 :else x))
    (impl/wrapped (long x) 32)))
(defn unchecked-short [x] (impl/wrapped (impl/clipped x) 16))
(defn unchecked-byte [x] (impl/wrapped (impl/clipped x) 8))
(defn unchecked-char [x] (char (bit-and (impl/clipped x) 65535)))
(defn unchecked-double [x] (double x))
(defn unchecked-float [x] (double x))

(defn impl/cast [name x least most]
  (let [made (long x)]
    (if (and (<= least x) (<= x most))
      made
      (impl/refuse :argument (str "Value out of range for " name ": " (pr-str x))))))

(defn byte [x] (impl/cast "byte" x -128 127))
(defn short [x] (impl/cast "short" x -32768 32767))
(defn float [x]
  (let [made (double x)]
    (if (or (> made 3.4028234663852886E38) (< made -3.4028234663852886E38))
      (impl/refuse :argument (str "Value out of range for float: " (pr-str x)))
      made)))
(defn num [x] (if (or (nil? x) (number? x)) x (impl/refuse :type (str "num: expected a number, found " (pr-str x)))))
(defn bigint [x] (cond (string? x) (or (parse-long x) (impl/refuse :argument "bigint: no integer")) :else (impl/whole-part x)))
(defn biginteger [x] (bigint x))
(defn impl/whole-part [x]
  (cond
    (ratio? x) (quot x 1)
    (double? x) (quot (rationalize x) 1)
    :else (long x)))

(defn rationalize
  "The ratio or integer that the shortest digits of a double are; other numbers as they are."
  [x]
  (if (double? x)
    (if (or (NaN? x) (infinite? x))
      (impl/refuse :argument "rationalize: no finite number")
      (let [[digits exponent] (impl/decimal-of (abs x))
            shift (- exponent (count digits))
            value (parse-long digits)
            made (if (neg? shift) (/ value (impl/power 10 (- shift))) (* value (impl/power 10 shift)))]
        (if (neg? x) (- made) made)))
    (if (decimal? x)
      (let [[whole scale] (decimal-parts x)]
        (if (neg? scale) (* whole (impl/power 10 (- scale))) (/ whole (impl/power 10 scale))))
      (num x))))

(defn impl/power [base n]
  (loop [result 1 base base n n]
    (if (pos? n)
      (recur (if (odd? n) (* result base) result) (* base base) (quot n 2))
      result)))

;; ---- decimals

(defn impl/as-decimal
  "A number as it is beside another in `with-precision`: of a ratio beside a decimal so many digits."
  [x other precision mode]
  (if (and (ratio? x) (decimal? other))
    (divide-decimal (numerator x) (denominator x) precision mode)
    x))

(defn impl/precise-sum
  "f of two numbers, rounded where that is a decimal."
  [f precision mode a b]
  (let [made (f (impl/as-decimal a b precision mode) (impl/as-decimal b a precision mode))]
    (if (decimal? made) (round-decimal made precision mode) made)))

(defn impl/precise-quotient [precision mode a b]
  (if (and (or (decimal? a) (decimal? b)) (not (double? a)) (not (double? b)))
    (divide-decimal (impl/as-decimal a b precision mode) (impl/as-decimal b a precision mode) precision mode)
    (/ a b)))

(defn impl/precise
  "A function of arithmetic as it is in `with-precision`; `two` is of two numbers."
  [f two]
  (fn
    ([] (f))
    ([x] (f x))
    ([a b] (two a b))
    ([a b & more] (reduce two (two a b) more))))

(defn impl/with-precision
  "+, -, *, /, inc and dec with decimals of so many digits."
  [precision mode]
  (if (int? precision) nil (impl/refuse :argument (str "with-precision: expected a number of digits, found " (pr-str precision))))
  (let [rounded (fn [f] (fn [a b] (impl/precise-sum f precision mode a b)))
        plus (rounded +)
        minus (rounded -)
        by (fn [a b] (impl/precise-quotient precision mode a b))
        negated (fn [x] (if (decimal? x) (round-decimal (- x) precision mode) (- x)))
        less (impl/precise - minus)
        over (impl/precise / by)]
    [(impl/precise + plus)
     (fn ([x] (negated x)) ([a b] (minus a b)) ([a b & more] (apply less a b more)))
     (impl/precise * (rounded *))
     (fn ([x] (by 1 x)) ([a b] (by a b)) ([a b & more] (apply over a b more)))
     (fn [x] (plus x 1))
     (fn [x] (minus x 1))]))
(defn unsigned-bit-shift-right [x n]
  (let [n (bit-and n 63)]
    (if (neg? x)
      (if (= n 0) x (bit-shift-right (+ x 18446744073709551616) n))
      (bit-shift-right x n))))
