;; Expressions whose value is another one here: the examples of docs/clojure.md, in its order. Each has to differ.

; numbers
(+ 9223372036854775807 1)
(* 4611686018427387904 4)
(inc 9223372036854775807)
(int 9007199254740993)
(float 9007199254740993)
(float 1/3)
(/ 0.0)
(numerator 1)
(denominator 3)
; characters and strings
(count "😀")
(char 65536)
(str (filter odd? (range 9)))
(format "%d" 12345678901234567890)
(compare \a \c)
(compare "a" "c")
; collections
(distinct #{1})
(distinct (sorted-map :b 1 :a 2))
(nth (cycle []) 1.0)
(str/split "a,b" ",")
(map-entry? [1 2])
(chunked-seq? (seq [1 2]))
; hash numbers
(hash "abc")
(format "%h" "abc")
; not here
(.length "abc")

(aget (int-array [1 2]) 0)
(let [third (fn [x] (/ x 3M))] (with-precision 2 (third 1M)))
(* 1e1500M 1e1500M)
