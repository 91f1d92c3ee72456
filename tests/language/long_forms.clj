(= (hash (vec (range 60))) (hash (apply list (range 60))) (hash (map identity (range 60))))
; expect: true
(= (hash (zipmap (range 60) (range 60))) (hash (into {} (map (fn [i] [i i]) (reverse (range 60))))))
; expect: true
(= (hash [(vec (range 40)) (set (range 40)) {:a (vec (range 40))}]) (hash (list (range 40) (set (reverse (range 40))) {:a (range 40)})))
; expect: true
(= (hash {(vec (range 40)) (vec (range 40))}) (hash {(apply list (range 40)) (range 40)}))
; expect: true
(= (hash (seq {(vec (range 30)) (vec (range 30))})) (hash [[(vec (range 30)) (vec (range 30))]]))
; expect: true
(= (hash (conj (vec (range 60)) :x)) (hash (conj (vec (range 60)) :y)))
; expect: false
(compare (vec (range 60)) (vec (range 60)))
; expect: 0
(compare (vec (range 60)) (conj (vec (range 59)) 70))
; expect: -1
(compare [(vec (range 60)) 2] [(vec (range 60)) 1])
; expect: 1
(compare [(vec (range 60)) 2] [(vec (range 60)) :a])
; expect error: compare
(let [nested (fn [n] (loop [i 0 v [1]] (if (< i n) (recur (inc i) [v i]) v)))] [(compare (nested 60) (nested 60)) (= (nested 60) (nested 60))])
; expect: [0 true]
(= {:a (vec (range 60)) :b {1 (range 60)}} {:a (range 60) :b {1 (vec (range 60))}})
; expect: true
(= (set (range 60)) (set (range 1 61)))
; expect: false
(= (seq (zipmap (range 40) (range 40))) (map (fn [i] [i i]) (keys (zipmap (range 40) (range 40)))))
; expect: true
(= (vec (range 60)) (zipmap (range 60) (range 60)))
; expect: false
(not= (vec (range 60)) (conj (vec (range 59)) 0))
; expect: true
(if (= (vec (range 60)) (range 60)) (if (= [1 (vec (range 60))] [1 (vec (range 1 61))]) 1 2) 3)
; expect: 2
(let [s (apply str (repeat 300 "abcdefghij")) t (apply str (repeat 300 "abcdefghij"))] (if (= s t) (= s (str (subs t 1) "a")) 0))
; expect: false
(= (pr-str (vec (range 80))) (str "[" (clojure.string/join " " (range 80)) "]"))
; expect: true
(pr-str (list (vec (range 12)) {:a (vec (range 12))} {:b "q\"q"} #{} {} [] () (map inc (range 12)) "a\nb" \newline nil 1.5))
; expect: "([0 1 2 3 4 5 6 7 8 9 10 11] {:a [0 1 2 3 4 5 6 7 8 9 10 11]} {:b \"q\\\"q\"} #{} {} [] () (1 2 3 4 5 6 7 8 9 10 11 12) \"a\\nb\" \\newline nil 1.5)"
(print-str (list (vec (range 20)) (atom [1 (atom (vec (range 12)))]) "a\nb" (ex-info "m" {:a (vec (range 12))} (ex-info "c" {}))))
; expect: "([0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19] #atom[[1 #atom[[0 1 2 3 4 5 6 7 8 9 10 11]]]] a\nb #error {:message m, :data {:a [0 1 2 3 4 5 6 7 8 9 10 11]}, :cause #error {:message c, :data {}}})"
(let [a (atom nil)] (reset! a [(vec (range 20)) a]) (str a))
; expect: "#atom[[[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19] #atom[[[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19] #atom[[[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19] #atom[[[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19] #atom[...]]]]]]]]]"
(pr-str (apply str (repeat 60 "a\"é\n    ")))
; expect: "\"a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    a\\\"é\\n    \""
(let [s (apply str (repeat 300 "é\""))] [(= (str [s]) (str "[" (pr-str s) "]")) (count (print-str [s s] s))])
; expect: [true 1804]
(count (str (bit-shift-left 1 4000) (/ (bit-shift-left 1 3000) 3) [(bit-shift-left 1 3000)] [(/ 1 (bit-shift-left 1 3000))]))
; expect: 3925
(let [s (apply str (repeat 300 "é"))] [(subs s 298) (subs s 150 152) (nth s 299) (get s 299) (get s 300 :none) (count (subs s 1))])
; expect: ["éé" "éé" \é \é :none 299]
(let [s (apply str (repeat 5000 "abcd"))] [(subs s 19996) (count (subs s 1)) (count (subs s 3 19000)) (= (subs s 4) (subs s 0 19996))])
; expect: ["abcd" 19999 18997 true]
(let [s (apply str (repeat 400 "é "))] [(= (upper-case s) (apply str (repeat 400 "É "))) (= (lower-case (upper-case s)) s)])
; expect: [true true]
(let [s (apply str (repeat 400 "aB"))] [(= (upper-case s) (apply str (repeat 400 "AB"))) (= (lower-case s) (apply str (repeat 400 "ab")))])
; expect: [true true]
(let [s (apply str (repeat 400 " \n"))] [(trim (str s "a b" s)) (trim s) (count (trim (str "é" s "é"))) (blank? s) (blank? (str s "a" s))])
; expect: ["a b" "" 802 true false]
(let [s (apply str (repeat 400 "aé"))] [(index-of (str s "xay" s) "xay") (index-of s "xay") (index-of s "é" 500) (index-of s "é" -5) (index-of s "é" 5000) (includes? (str s "xay") "xay") (includes? s "xay")])
; expect: [800 nil 501 1 nil true false]
(let [s (apply str (repeat 300 "aé"))] [(index-of (str s "b" s) (str "b" s)) (index-of s (str s s)) (includes? s s) (index-of s "" 500)])
; expect: [600 nil true 500]
(let [s (apply str (repeat 300 "ab"))] [(= (clojure.string/replace s "a" "xé") (apply str (repeat 300 "xéb"))) (clojure.string/replace s s "y") (= (clojure.string/replace s "q" "y") s) (count (clojure.string/replace s "" "-"))])
; expect: [true "y" true 1201]
(let [s (apply str (repeat 200 "ab,"))] [(count (clojure.string/split s ",")) (first (clojure.string/split s ",")) (clojure.string/split s s) (= [s] (clojure.string/split s "q")) (count (clojure.string/split s "")) (clojure.string/split (apply str (repeat 600 ",")) ",")])
; expect: [200 "ab" [] true 600 []]
(let [s (apply str (repeat 200 "a, éb, "))] (= (clojure.string/join ", " (clojure.string/split s ", ")) (subs s 0 1398)))
; expect: true
(let [s (apply str (repeat 200 "a, éb, "))] (= (str (clojure.string/join ", " (clojure.string/split s ", ")) ", ") s))
; expect: true
(clojure.string/join "-" [(vec (range 20)) nil "a" :b 1.5 (vec (range 20)) ""])
; expect: "[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19]--a-:b-1.5-[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19]-"
(clojure.string/join (map str (range 60)))
; expect: "01234567891011121314151617181920212223242526272829303132333435363738394041424344454647484950515253545556575859"
(let [s (map inc (range 800))] [(count s) (nth s 799) (nth s 800 :none) (count (cons 1 s)) (nth (rest s) 700)])
; expect: [800 800 :none 801 702]
(let [s (doall (map inc (range 800)))] [(count s) (nth s 799) (nth s 800 :none) (count (cons 1 s)) (count (seq (zipmap s s)))])
; expect: [800 800 :none 801 800]
(let [s (doall (map inc (range 400)))] (nth s 400))
; expect error: nth: index 400 out of bounds
(keys (map (fn [i] [i (- i)]) (range 40)))
; expect: (0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39)
(reduce + (vals (map (fn [i] [i (- i)]) (range 60))))
; expect: -1770
(keys (cons [1 2] (map (fn [i] i) (range 60))))
; expect error: keys: expected entries of a map
(let [v (vec (range 300))] [(count (subvec v 1)) (subvec v 298) (reduce + (subvec v 10 200))])
; expect: [299 [298 299] 19855]
(let [m (zipmap (range 40) (range 40))] [(count (conj {40 1} m)) (count (apply conj #{} (range 40))) (count (apply dissoc m (range 39))) (count (apply disj (set (range 40)) (range 39)))])
; expect: [41 40 1 1]
[(apply + (range 200)) (apply max (range 200)) (apply < (range 200)) (apply < (concat (range 200) [1])) (apply / 1 (repeat 200 1)) (apply bit-or (range 200)) (apply = (repeat 200 :a)) (apply not= (repeat 200 :a))]
; expect: [19900 199 true false 1 255 true false]
(apply + (concat (range 200) [:a]))
; expect error: +: expected a number
(apply assoc {} (range 201))
; expect error: no value
(apply hash-map (range 201))
; expect error: hash-map: the last key has no value
(apply inc (range 200))
; expect error: wrong number of arguments (200) passed to inc
(apply (fn named [a b] a) (range 200))
; expect error: wrong number of arguments (200) passed to named
(apply (fn [a & more] [a (count more) (first more) (list? more)]) (range 200))
; expect: [0 199 1 true]
(apply {:a 1} :a (range 100))
; expect error: wrong number of arguments
(apply apply [list 1 2 [3 4 5 6 7]])
; expect: (1 2 3 4 5 6 7)
(apply prompt* :t (fn [a b c d] (+ a (abort* :t (+ b c d)))) [1 2 3 4])
; expect: 9
(let [m {(vec (range 60)) 1 :a 2}] [(get m (vec (range 60))) (m (apply list (range 60))) ((set (keys m)) (range 60)) (contains? m (range 61)) (get (assoc m (range 60) 3) (vec (range 60))) (count (dissoc m (range 60)))])
; expect: [1 1 [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59] false 3 1]
(frequencies [(vec (range 60)) (range 60) 1 1 :a])
; expect: {[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59] 2, 1 2, :a 1}
(reduce + 0 (vec (repeat 20 (bit-shift-left 1 200))))
; expect: 32138760885179805510839241846823252050444059875655856706027520
(let [f (fn [n] (loop [i 0 a 3] (if (< i n) (recur (inc i) (* a a)) a))) a (f 9) b (f 8)] [(= a (* b b)) (= (quot (* a b) b) a) (rem (+ (* a b) 7) b) (mod (- 7 (* a b)) b) (= (* a (inc b)) (+ (* a b) a)) (- (* (inc a) (dec a)) (* a a))])
; expect: [true true 7 7 true -1]
(let [f (fn [n] (loop [i 0 a 3] (if (< i n) (recur (inc i) (* a a)) a))) a (f 8)] [(str a) (str (- a))])
; expect: ["139008452377144732764939786789661303114218850808529137991604824430036072629766435941001769154109609521811665540548899435521" "-139008452377144732764939786789661303114218850808529137991604824430036072629766435941001769154109609521811665540548899435521"]
(let [a (reduce * (range 1 200)) b (reduce * (range 1 190))] [(= (/ a b) (reduce * (range 190 200))) (numerator (/ b (* 199 a))) (= (+ (/ 1 a) (/ 1 b)) (/ (+ a b) (* a b))) (= (* (/ a 7919) (/ 7919 b)) (/ a b)) (< (/ 1 a) (/ 1 b)) (= (- (/ b a) (/ b a)) 0) (quot (/ a 2) (/ b 3)) (> (/ a 7919) 1.5)])
; expect: [true 1 true true true true 116095041322080031411200 true]
(let [a (reduce * (range 1 200))] [(= (reduce * (map - (range 1 200))) (- a)) (= (quot (- a) 7) (- (quot a 7))) (rem (- a 1) 199) (mod (- 1 a) 211) (even? a) (pos? a) (zero? a) (compare a (inc a)) (count (str a)) (subs (str a) 0 20) (subs (str a) 340)])
; expect: [true true 198 35 true true false -1 373 "39432893368239525177" "000000000000000000000000000000000"]
(bit-and (reduce * (range 1 100)) (dec (bit-shift-left 1 100)))
; expect: 831895706399775544732211478528
(try (quot (reduce * (range 1 200)) 0) (catch Exception e (ex-message e)))
; expect: "Divide by zero"
(* 1.0 (/ (bit-shift-left 1 2000) (bit-shift-left 1 1990)))
; expect: 1024.0
