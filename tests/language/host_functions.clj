; Host functions that the core library wraps, under their own names, and the odd ends of the library.
[(upper-case "aé") (lower-case "AÉ") (trim " a ") (blank? " ") (blank? nil)]
; expect: ["AÉ" "aé" "a" true true]
[(starts-with? "abc" "ab") (ends-with? "abc" "bc") (includes? "abc" "b") (index-of "abc" "c") (index-of "abc" "c" 3)]
; expect: [true true true 2 nil]
[(replace-text "aXbX" "X" "-") (split-text "a-b-" "-") (split-text "abc" "") (join-text "," [1 nil "a"])]
; expect: ["a-b-" ["a" "b"] ["a" "b" "c"] "1,,a"]
[(replace-text "ab" "" "-") (replace-text "" "" "-") (split-text "," ",") (split-text "" "")]
; expect: ["-a-b-" "-" [] [""]]
(upper-case nil)
; expect error: expected a string, found nil
(join-text ", " 5)
; expect error: found an integer
[(number-range 0 3 1) (number-range 3 0 1) (number-range 0 1 1/2) (number-range 0 5 0)]
; expect: [(0 1 2) () nil nil]
(number-range 0 "a" 1)
; expect error: expected a number, found a string
[(lazy-seq* (fn [] [1 2])) (lazy-seq? (lazy-seq* (fn [] nil)))]
; expect: [(1 2) true]
(lazy-seq* 5)
; expect error: expected a function
(let [s (map inc [1 2])] [(realize s) s (realize-all s)])
; expect: [nil (2 3) nil]
(let [n (atom 0) s (map (fn [x] (swap! n inc) x) (range))] [(realize-some s 3) @n])
; expect: [nil 3]
[(catches? "Exception" (ex-info "a" {})) (catches? "ExceptionInfo" (ex-info "a" {})) (catches? "ArithmeticException" (ex-info "a" {})) (catches? "NoSuchClass" (ex-info "a" {}))]
; expect: [true true false false]
[(reduced? (ensure-reduced 1)) (unreduced (ensure-reduced (reduced 2)))]
; expect: [true 2]
[(conj! [1] 2) (conj!) (dissoc! {:a 1} :a) (disj! #{1 2} 1) (pop! [1 2]) (assoc! [1] 0 5)]
; expect: [[1 2] [] {} #{2} [1] [5]]
[(pr 1) (newline)]
; expect: [nil nil]
[((some-fn odd?)) ((some-fn odd? nil?) 2 4) ((every-pred odd?)) ((every-pred odd?) 1 3)]
; expect: [nil false true true]
(map (fn [s] (str/blank? s)) ["\u00a0" "\u2003" "\u3000" "\u001f" "x"])
; expect: (false true true true false)
[(trim "\u2003a\u00a0") (str/triml "\u3000a") (str/trimr "a\u2028")]
; expect: ["a\u00a0" "a" "a"]
[(vec* [1]) (vec* (range 2)) (vec* nil) (vec* {:a 1})]
; expect: [[1] [0 1] [] [[:a 1]]]
[(fold-fn? +) (fold-fn? conj) (fold-fn? inc) (fold-fn? (fn [a b] a)) (fold-fn? nil)]
; expect: [true true false false false]
[(fold-items + 1 [1 2 3] 1 3) (fold-items conj [] (range 5 9) 1 3) (fold-items max 0 [] 0 0)]
; expect: [6 [6 7] 0]
(fold-items inc 1 [1] 0 1)
; expect error: expected a host function to fold with, found a function
(fold-items + 1 '(1) 0 1)
; expect error: expected a vector or a range of integers, found a list
(fold-items + 1 [1] 0 2)
; expect error: index 2 out of bounds for length 1
(fold-items + 1 [1] -1 1)
; expect error: index -1 out of bounds for length 1
(fold-items + 1 [1] nil 1)
; expect error: expected an index, found nil
[(range-bounds (range 1 9 2)) (range-bounds (range 3 0 -1)) (range-bounds (range 0.0 1.0 0.5)) (range-bounds [1])]
; expect: [[1 9 2] nil nil nil]
[(count-each {:a 1} [:a :b :b] 0 3) (count-each {} [(map inc [1]) [2]] 0 2)]
; expect: [{:a 2 :b 2} {(2) 2}]
(count-each {:a "x"} [:a] 0 1)
; expect error: found a string
(count-each [] [1] 0 1)
; expect error: expected a map, found a vector
(count-each {} '(1) 0 1)
; expect error: expected a vector, found a list
(count-each {} [1] 0 2)
; expect error: index 2 out of bounds for length 1
(re-seq #"\p{Lu}+|\p{Nd}" "abÄÖc9")
; expect: ("ÄÖ" "9")
(inst-ms (clojure.edn/read-string "#inst \"2026-11-21T01:00:00.5+01:00\""))
; expect: 1795219200500
