; Strings and characters of the core.
(str)
; expect: ""
[(str nil) (str 1) (str "a") (str \a) (str :a) (str 'a/b) (str true) (str 1.5)]
; expect: ["" "1" "a" "a" ":a" "a/b" "true" "1.5"]
(str "a" 1 :b nil \c "d")
; expect: "a1:bcd"
[(str [1 "a" \b nil]) (str '(1 2)) (str {:a "x"}) (str #{1}) (str (map inc [1 2]))]
; expect: ["[1 \"a\" \\b nil]" "(1 2)" "{:a \"x\"}" "#{1}" "(2 3)"]
(count "hello")
; expect: 5
[(count "") (count "äöü") (count "日本語") (count "😀!")]
; expect: [0 3 3 2]
[(subs "hello" 1) (subs "hello" 1 3) (subs "hello" 0 0) (subs "hello" 5)]
; expect: ["ello" "el" "" ""]
(subs "äöü😀x" 2 4)
; expect: "ü😀"
(subs "abc" 4)
; expect error: index
(subs "abc" 2 1)
; expect error: index
(subs "abc" -1)
; expect error: index
(subs nil 1)
; expect error: expected a string, found nil
[(first "abc") (rest "abc") (seq "ab") (seq "") (last "abc") (nth "abc" 1)]
; expect: [\a (\b \c) (\a \b) nil \c \b]
(nth "abc" 5)
; expect error: index
[(nth "abc" 5 :none) (get "abc" 1) (get "abc" 5) (get "abc" 5 :none)]
; expect: [:none \b nil :none]
(map str "abc")
; expect: ("a" "b" "c")
(apply str (reverse "hello"))
; expect: "olleh"
(apply str (interpose ", " ["a" "b" "c"]))
; expect: "a, b, c"
(vec "héllo")
; expect: [\h \é \l \l \o]
(frequencies "abracadabra")
; expect: {\a 5 \b 2 \r 2 \c 1 \d 1}
["a\nb" "tab\t" "quote\"" "back\\slash" "\u03bb" "\101"]
; expect: ["a\nb" "tab\t" "quote\"" "back\\slash" "λ" "A"]
[\a \newline \space \tab \return \u03bb \\ \" \( \0]
; expect: [\a \newline \space \tab \return \λ \\ \" \( \0]
[(char 97) (int \a) (int \λ) (char 955) (char \a)]
; expect: [\a 97 955 \λ \a]
(char -1)
; expect error: char
(char "a")
; expect error: char
[(= \a (first "a")) (= "a" (str \a)) (contains? #{\a} (first "abc"))]
; expect: [true true true]
(str "line1
line2")
; expect: "line1\nline2"
(let [s "abc"] (map vector (range) s))
; expect: ([0 \a] [1 \b] [2 \c])
(map (fn [c] (char (inc (int c)))) "HAL")
; expect: (\I \B \M)
(loop [s "" i 0] (if (= i 5) s (recur (str s i) (inc i))))
; expect: "01234"
(count (apply str (repeat 200 "ab")))
; expect: 400
(empty "abc")
; expect: nil
(contains? "abc" 1)
; expect: true
(conj "abc" \d)
; expect error: a string
(reduce (fn [n c] (+ (* 10 n) (- (int c) (int \0)))) 0 "12345")
; expect: 12345
(sort "hello")
; expect: (\e \h \l \l \o)
(set "hello")
; expect: #{\h \e \l \o}
(zipmap "abc" [1 2 3])
; expect: {\a 1 \b 2 \c 3}
(max-key count "aa" "b" "cccc" "dd")
; expect: "cccc"
