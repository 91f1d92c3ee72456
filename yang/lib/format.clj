;; format of the core library.
;;
;; Is:     java.util.Formatter's %s %b %c %d %x %o %e %f %g %h %n %% with flags, widths, precisions and argument indexes.
;; Is not: dates (%t), hexadecimal doubles (%a), and what depends on a language of people.
;; Fits:   one file of the core library (core.clj has its rules).
;; Source: java.util.Formatter: doubles are rounded half up from their shortest digits.

(defn impl/format-fail [message] (impl/refuse :format (str "format: " message)))

(defn impl/padded-left [text width c]
  (let [missing (- width (count text))]
    (if (pos? missing) (str (join-text "" (doall (repeat missing c))) text) text)))

(defn impl/padded
  "A text in a width, at its left with the flag -."
  [text flags width]
  (let [missing (- (or width 0) (count text))]
    (cond
      (not (pos? missing)) text
      (contains? flags \-) (str text (join-text "" (doall (repeat missing " "))))
      :else (impl/padded-left text width " "))))

(defn impl/grouped
  "Digits with a comma before every three."
  [digits]
  (loop [end (count digits) parts ()]
    (if (> end 3)
      (recur (- end 3) (conj parts (subs digits (- end 3) end)))
      (join-text "," (conj parts (subs digits 0 end))))))

(defn impl/signed
  "The text of a number: digits (and what stands behind them) with sign, zeros and brackets as the flags want it."
  [negative digits behind flags width]
  (let [digits (if (contains? flags \,) (impl/grouped digits) digits)
        open (cond
               (and negative (contains? flags \()) "("
               negative "-"
               (contains? flags \+) "+"
               (contains? flags \space) " "
               :else "")
        close (if (and negative (contains? flags \()) ")" "")
        body (str digits behind)
        body (if (contains? flags \0)
               (impl/padded-left body (- (or width 0) (count open) (count close)) "0")
               body)]
    (impl/padded (str open body close) flags width)))

(defn impl/format-integer [x flags width]
  (if (int? x)
    (impl/signed (neg? x) (str (abs x)) "" flags width)
    (impl/format-fail (str "%d takes an integer, not " (pr-str x)))))

(defn impl/digits-in-base [x base]
  (loop [left x digits ()]
    (if (< left base)
      (join-text "" (conj digits (nth "0123456789abcdef" left)))
      (recur (quot left base) (conj digits (nth "0123456789abcdef" (rem left base)))))))

(defn impl/format-bits
  "Of an integer below zero the bits of 64, if it has no more."
  [x base flags width]
  (if (not (int? x)) (impl/format-fail (str "%x and %o take an integer, not " (pr-str x))) nil)
  (let [prefix (if (contains? flags \#) (if (= base 16) "0x" "0") "")
        wrapped (if (and (neg? x) (>= x -9223372036854775808)) (+ x 18446744073709551616) x)
        digits (impl/digits-in-base (abs wrapped) base)]
    (if (contains? flags \0)
      (str prefix (impl/padded-left digits (- width (count prefix)) "0"))
      (impl/padded (str (if (neg? wrapped) "-" "") prefix digits) flags width))))

;; ---- doubles: [digits exponent], the number 0.d1d2d3... times ten to the exponent

(defn impl/decimal-of
  "Of a finite double or a decimal, not below zero."
  [x]
  (if (decimal? x)
    (let [[whole scale] (decimal-parts x) digits (str whole)]
      (if (= whole 0) ["0" 1] [digits (- (count digits) scale)]))
    (impl/double-digits x)))

(defn impl/double-digits [x]
  (let [text (str x) e (index-of text "E")
        mantissa (if e (subs text 0 e) text)
        exponent (if e (parse-long (subs text (inc e))) 0)
        point (index-of mantissa ".")
        digits (str (subs mantissa 0 point) (subs mantissa (inc point)))]
    (loop [i 0]
      (cond
        (= i (count digits)) ["0" 1]
        (= (nth digits i) \0) (recur (inc i))
        :else [(subs digits i) (- (+ point exponent) i)]))))

(defn impl/rounded
  "[digits exponent] with n digits at the most, rounded half up; n may be zero or below."
  [[digits exponent] n]
  (cond
    (>= n (count digits)) [digits exponent]
    (neg? n) ["0" 1]
    :else
    (let [up (<= 53 (int (nth digits n)))
          kept (if (pos? n) (parse-long (subs digits 0 n)) 0)
          made (if up (inc kept) kept)
          text (str made)]
      (cond
        (= made 0) ["0" 1]
        (> (count text) n) [text (inc exponent)]
        :else [text exponent]))))

(defn impl/zeros [n] (if (pos? n) (join-text "" (doall (repeat n "0"))) ""))

(defn impl/fixed
  "[digits before the point, digits behind it] of a decimal, with n of these."
  [[digits exponent :as decimal] n]
  (let [[digits exponent] (impl/rounded decimal (+ exponent n))
        zero (= digits "0")
        whole (cond
                (or zero (<= exponent 0)) "0"
                (<= (count digits) exponent) (str digits (impl/zeros (- exponent (count digits))))
                :else (subs digits 0 exponent))
        part (cond
               zero ""
               (<= exponent 0) (str (impl/zeros (- exponent)) digits)
               (<= (count digits) exponent) ""
               :else (subs digits exponent))]
    [whole (str part (impl/zeros (- n (count part))))]))

(defn impl/with-point [n part flags]
  (if (pos? n) (str "." part) (if (contains? flags \#) "." "")))

(defn impl/format-fixed [negative decimal n flags width]
  (let [[whole part] (impl/fixed decimal n)]
    (impl/signed negative whole (impl/with-point n part flags) flags width)))

(defn impl/format-scientific [negative decimal n flags width]
  (let [[digits exponent] (impl/rounded decimal (inc n))
        exponent (if (= digits "0") 0 (dec exponent))
        part (subs digits 1)
        sign (if (neg? exponent) "-" "+")]
    (impl/signed negative (subs digits 0 1)
                 (str (impl/with-point n (str part (impl/zeros (- n (count part)))) flags)
                      "e" sign (impl/padded-left (str (abs exponent)) 2 "0"))
                 (disj flags \,) width)))

(defn impl/format-general [negative decimal n flags width]
  (let [n (if (= n 0) 1 n)
        [digits exponent] (impl/rounded decimal n)]
    (cond
      (= digits "0") (impl/format-fixed negative decimal (dec n) flags width)
      (and (<= -3 exponent) (<= exponent n)) (impl/format-fixed negative decimal (- n exponent) flags width)
      :else (impl/format-scientific negative decimal (dec n) flags width))))

(defn impl/format-double [x form precision flags width]
  (cond
    (not (or (double? x) (decimal? x))) (impl/format-fail (str "%" form " takes a double, not " (pr-str x)))
    (not (== x x)) (impl/padded "NaN" (disj flags \0) width)
    (or (== x ##Inf) (== x ##-Inf))
    (impl/padded (cond
                   (and (neg? x) (contains? flags \()) "(Infinity)"
                   (neg? x) "-Infinity"
                   (contains? flags \+) "+Infinity"
                   (contains? flags \space) " Infinity"
                   :else "Infinity")
                 flags width)
    :else
    (let [negative (or (neg? x) (and (zero? x) (neg? (/ 1.0 x))))
          decimal (impl/decimal-of (abs x))
          n (or precision 6)]
      (case form
        \f (impl/format-fixed negative decimal n flags width)
        \e (impl/format-scientific negative decimal n flags width)
        (impl/format-general negative decimal n flags width)))))

;; ---- specifiers: %[index$][flags][width][.precision]conversion

(defn impl/format-number
  "[number place] of digits at a place; nil as number without any."
  [pattern at]
  (loop [value nil at at]
    (let [digit (impl/digit-of (nth pattern at nil) 10)]
      (if digit
        (if (> (or value 0) 1000000)
          (impl/format-fail "a width is too large")
          (recur (+ (* 10 (or value 0)) digit) (inc at)))
        [value at]))))

(defn impl/format-specifier
  "[{:index :flags :width :precision :form} place] of what stands behind a %."
  [pattern at]
  (let [[number after] (impl/format-number pattern at)
        indexed (and number (= (nth pattern after nil) \$))
        same (= (nth pattern at nil) \<)
        at (cond indexed (inc after) same (inc at) :else at)
        [flags at] (loop [flags #{} at at]
                     (let [c (nth pattern at nil)]
                       (if (contains? #{\- \# \+ \space \0 \, \(} c)
                         (if (contains? flags c)
                           (impl/format-fail (str "the flag " c " twice"))
                           (recur (conj flags c) (inc at)))
                         [flags at])))
        [width at] (impl/format-number pattern at)
        [precision at] (if (= (nth pattern at nil) \.) (impl/format-number pattern (inc at)) [nil at])
        form (nth pattern at nil)]
    (if (nil? form) (impl/format-fail "a conversion is missing") nil)
    [{:index (cond indexed number same :same :else nil) :flags flags :width width :precision precision :form form}
     (inc at)]))

(defn impl/format-check
  "Fails where Java's Formatter does for flags that do not go together or with a conversion."
  [form flags width precision]
  (let [one-of (fn [wanted] (some (fn [flag] (contains? flags flag)) wanted))]
    (if (and (nil? width) (one-of [\- \0])) (impl/format-fail "a width is missing") nil)
    (if (or (and (contains? flags \-) (contains? flags \0)) (and (contains? flags \+) (contains? flags \space)))
      (impl/format-fail "flags that do not go together")
      nil)
    (case form
      (\b \B \h \H) (if (one-of [\# \+ \space \0 \, \(]) (impl/format-fail "a flag without meaning here") nil)
      (\s \S) (if (one-of [\# \+ \space \0 \, \(]) (impl/format-fail "a flag without meaning here") nil)
      (\c \C) (if (or precision (one-of [\# \+ \space \0 \, \(])) (impl/format-fail "a flag or precision without meaning here") nil)
      \d (if (or precision (contains? flags \#)) (impl/format-fail "a precision or flag without meaning here") nil)
      (\x \X \o) (if (or precision (one-of [\+ \space \, \(])) (impl/format-fail "a precision or flag without meaning here") nil)
      (\e \E) (if (contains? flags \,) (impl/format-fail "a flag without meaning here") nil)
      (\g \G) (if (contains? flags \#) (impl/format-fail "a flag without meaning here") nil)
      nil)))

(defn impl/format-text [text precision flags width]
  (impl/padded (if (and precision (< precision (count text))) (subs text 0 precision) text) flags width))

(defn impl/format-char [x flags width]
  (impl/padded (cond
                 (nil? x) "null"
                 (char? x) (str x)
                 :else (impl/format-fail (str "%c takes a character, not " (pr-str x))))
               flags width))

(defn impl/formatted [form x flags width precision]
  (impl/format-check form flags width precision)
  (case form
    \s (impl/format-text (if (nil? x) "null" (str x)) precision flags width)
    \b (impl/format-text (str (boolean x)) precision flags width)
    \c (impl/format-char x flags width)
    \h (impl/format-text (if (nil? x) "null" (impl/digits-in-base (bit-and (hash x) 4294967295) 16)) precision flags width)
    (\d \x \o \e \f \g)
    (cond
      (nil? x) (impl/padded (if (and precision (< precision 4)) (subs "null" 0 precision) "null") (disj flags \0) width)
      (= form \d) (impl/format-integer x flags width)
      (= form \x) (impl/format-bits x 16 flags width)
      (= form \o) (impl/format-bits x 8 flags width)
      :else (impl/format-double x form precision flags width))
    (\S \B \C \X \E \G \H) (upper-case (impl/formatted (nth (lower-case (str form)) 0) x flags width precision))
    (impl/format-fail (str "no conversion %" form))))

(defn format
  "The text of a pattern with % and arguments, as java.util.Formatter makes it."
  [pattern & arguments]
  (let [pattern (impl/rx-text (impl/check-string "format" pattern)) given (vec arguments) n (count pattern)]
    (loop [parts [] at 0 ordinary 0 last-one nil]
      (if (= at n)
        (join-text "" parts)
        (let [c (nth pattern at)]
          (if (not= c \%)
            (recur (conj parts c) (inc at) ordinary last-one)
            (let [[specifier after] (impl/format-specifier pattern (inc at))
                  flags (get specifier :flags) width (get specifier :width) form (get specifier :form)]
              (case form
                \n (if (or width (seq flags) (get specifier :precision))
                     (impl/format-fail "%n takes nothing")
                     (recur (conj parts "\n") after ordinary last-one))
                \% (if (or (get specifier :precision) (and (nil? width) (contains? flags \-)))
                     (impl/format-fail "%% takes a width only")
                     (recur (conj parts (impl/padded "%" flags width)) after ordinary last-one))
                (let [index (get specifier :index)
                      place (cond
                              (= index :same) last-one
                              index (dec index)
                              :else ordinary)]
                  (impl/format-check form flags width (get specifier :precision))
                  (if (or (nil? place) (neg? place) (>= place (count given)))
                    (impl/format-fail (str "an argument is missing for %" form))
                    nil)
                  (recur (conj parts (impl/formatted form (nth given place) flags width (get specifier :precision)))
                         after
                         (if index ordinary (inc ordinary))
                         place))))))))))

(defn printf [pattern & arguments] (print (apply format pattern arguments)))
