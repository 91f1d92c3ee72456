; clojure.string, also under the aliases str/ and string/. Separators are strings or characters.
[(clojure.string/upper-case "abc") (str/upper-case "straße") (string/lower-case "ABC")]
; expect: ["ABC" "STRASSE" "abc"]
(str/capitalize "hELLO wORLD")
; expect: "Hello world"
[(str/capitalize "") (str/capitalize "a")]
; expect: ["" "A"]
[(str/trim "  a b  ") (str/trim "\n\ta\n") (str/triml "  a ") (str/trimr " a  ") (str/trim "")]
; expect: ["a b" "a" "a " " a" ""]
[(str/trim-newline "a\n\n") (str/trim-newline "a\r\n") (str/trim-newline "a ")]
; expect: ["a" "a" "a "]
[(str/blank? "") (str/blank? "  \n") (str/blank? nil) (str/blank? "a")]
; expect: [true true true false]
[(str/starts-with? "hello" "he") (str/starts-with? "hello" "lo") (str/ends-with? "hello" "lo") (str/ends-with? "hello" "") (str/includes? "hello" "ell") (str/includes? "hello" "xyz")]
; expect: [true false true true true false]
[(str/index-of "hello" "l") (str/index-of "hello" \l) (str/index-of "hello" "l" 3) (str/index-of "hello" "z") (str/index-of "hello" "")]
; expect: [2 2 3 nil 0]
[(str/last-index-of "hello" "l") (str/last-index-of "hello" "z") (str/last-index-of "hello" "l" 2)]
; expect: [3 nil 2]
(str/index-of "äöüä" "ä" 1)
; expect: 3
[(str/replace "a-b-c" "-" "+") (str/replace "aaa" "aa" "b") (str/replace "abc" \b \x) (str/replace "abc" "z" "y") (str/replace "abc" "b" "")]
; expect: ["a+b+c" "ba" "axc" "abc" "ac"]
[(str/replace-first "a-b-c" "-" "+") (str/replace-first "abc" "z" "+")]
; expect: ["a+b-c" "abc"]
[(str/split "a,b,c" ",") (str/split "a,b,,c,," ",") (str/split "" ",") (str/split "abc" ",") (str/split "a1b" \1)]
; expect: [["a" "b" "c"] ["a" "b" "" "c"] [""] ["abc"] ["a" "b"]]
[(str/split "a,b,c" "," 2) (str/split "a,b,," "," -1) (str/split "a b c" " " 10)]
; expect: [["a" "b,c"] ["a" "b" "" ""] ["a" "b" "c"]]
(str/split-lines "a\nb\r\nc\n")
; expect: ["a" "b" "c"]
[(str/join [1 2 3]) (str/join ", " ["a" "b"]) (str/join "-" []) (str/join \space [:a nil "b" \c 1.5])]
; expect: ["123" "a, b" "" ":a  b c 1.5"]
(str/join "," (map inc (range 3)))
; expect: "1,2,3"
(str/join "," #{1})
; expect: "1"
(str/reverse "hello")
; expect: "olleh"
(str/escape "a<b>" {\< "&lt;" \> "&gt;"})
; expect: "a&lt;b&gt;"
(str/upper-case :abc)
; expect: ":ABC"
(str/trim 5)
; expect error: expected a string, found an integer
(str/includes? "abc" nil)
; expect error: expected a string, found nil
(str/split nil ",")
; expect error: expected a string, found nil
(ns words (:require [clojure.string :as s :refer [join]]))
(join " " (map s/capitalize (s/split "to be or not" " ")))
; expect: "To Be Or Not"
(->> "the quick brown fox" (#(str/split % " ")) (map str/capitalize) (str/join " "))
; expect: "The Quick Brown Fox"
(map str/upper-case ["a" "b"])
; expect: ("A" "B")
