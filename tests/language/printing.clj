; pr-str, str and print-str: readable text and text for people.
[(pr-str nil) (pr-str true) (pr-str 1) (pr-str 1.0) (pr-str 1/2) (pr-str :a/b) (pr-str 'a) (pr-str "a") (pr-str \a)]
; expect: ["nil" "true" "1" "1.0" "1/2" ":a/b" "a" "\"a\"" "\\a"]
[(pr-str []) (pr-str ()) (pr-str {}) (pr-str #{}) (pr-str [1 [2]]) (pr-str '(1 (2))) (pr-str {:a 1}) (pr-str #{1})]
; expect: ["[]" "()" "{}" "#{}" "[1 [2]]" "(1 (2))" "{:a 1}" "#{1}"]
(pr-str {:a {:b [1 "x" \y nil]}})
; expect: "{:a {:b [1 \"x\" \\y nil]}}"
(contains? #{"{:a 1, :b 2}" "{:b 2, :a 1}"} (pr-str {:a 1 :b 2}))
; expect: true
[(pr-str "a\nb\t\"q\" \\") (pr-str \newline) (pr-str \space) (pr-str \tab) (pr-str "λ")]
; expect: ["\"a\\nb\\t\\\"q\\\" \\\\\"" "\\newline" "\\space" "\\tab" "\"λ\""]
[(pr-str) (pr-str 1 "a" :b) (print-str 1 "a" :b \c) (print-str) (print-str nil)]
; expect: ["" "1 \"a\" :b" "1 a :b c" "" "nil"]
[(print-str ["a" \b]) (str ["a" \b]) (pr-str (list 'a "b"))]
; expect: ["[a b]" "[\"a\" \\b]" "(a \"b\")"]
[(pr-str (map inc [1 2])) (str (range 3)) (pr-str (seq [1])) (pr-str (lazy-seq nil)) (str (filter odd? [2]))]
; expect: ["(2 3)" "(0 1 2)" "(1)" "()" "()"]
[(pr-str (first {:a 1})) (pr-str (keys {:a 1})) (pr-str (vec "ab"))]
; expect: ["[:a 1]" "(:a)" "[\\a \\b]"]
[(println-str 1 "a") (prn-str "a" 1)]
; expect: ["1 a\n" "\"a\" 1\n"]
(pr-str #uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
; expect: "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\""
(pr-str #inst "2024-01-02T03:04:05.678Z")
; expect: "#inst \"2024-01-02T03:04:05.678-00:00\""
(pr-str #bytes "00ff")
; expect: "#bytes \"00ff\""
(str #uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
; expect: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
[(pr-str inc) (pr-str map) (pr-str (fn [x] x)) (pr-str (fn named [x] x)) (str (fn named [x] x))]
; expect: ["#function[inc]" "#function[map]" "#function[fn]" "#function[named]" "#function[named]"]
(defn f [x] x)
(pr-str [f])
; expect: "[#function[f]]"
[(pr-str (atom 1)) (pr-str (atom [1 "a"]))]
; expect: ["#atom[1]" "#atom[[1 \"a\"]]"]
(pr-str (ex-info "m" {:a 1}))
; expect: "#error {:message \"m\", :data {:a 1}}"
(pr-str (call/cc (fn [k] k)))
; expect: "#continuation[]"
(count (pr-str (loop [v [] i 0] (if (= i 1000) v (recur [v] (inc i))))))
; expect: 2002
(str "a" nil "b" [nil])
; expect: "ab[nil]"
(str 1.0 1/2 'x :y \z true)
; expect: "1.01/2x:yztrue"
(pr-str '(quote a) ''b)
; expect: "(quote a) (quote b)"
