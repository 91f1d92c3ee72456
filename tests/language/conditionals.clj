; if, when, cond, case, condp, and, or, if-let and so on.
[(if true 1 2) (if false 1 2) (if nil 1 2) (if 0 1 2) (if "" 1 2) (if false 1)]
; expect: [1 2 2 1 1 nil]
[(when true 1 2) (when false 1) (when-not false 1) (when-not true 1) (if-not true 1 2) (if-not false 1) (when true)]
; expect: [2 nil 1 nil 2 1 nil]
[(cond) (cond false 1) (cond false 1 nil 2 :else 3) (cond true 1 true 2) (cond nil 1 5 2)]
; expect: [nil nil 3 1 2]
(cond true)
; expect error: cond
[(and) (and 1) (and 1 2) (and nil 2) (and false nil) (and 1 2 3) (and 1 nil 3)]
; expect: [true 1 2 nil false 3 nil]
[(or) (or 1) (or nil 2) (or false nil) (or nil false) (or nil 1 2) (or nil nil 3)]
; expect: [nil 1 2 nil false 1 3]
(let [n (atom 0)] [(or true (swap! n inc)) (and false (swap! n inc)) @n])
; expect: [true false 0]
(let [n (atom 0)] [(or (do (swap! n inc) nil) :x) @n])
; expect: [:x 1]
[(if-let [x 5] x :none) (if-let [x nil] x :none) (if-let [x false] x :none) (if-let [x 1] (inc x)) (if-let [x nil] 1)]
; expect: [5 :none :none 2 nil]
(let [x 1] (if-let [x nil] x x))
; expect: 1
[(when-let [x 5] (inc x)) (when-let [x nil] 1) (when-let [x 1] 2 3)]
; expect: [6 nil 3]
[(if-some [x false] [x] :none) (if-some [x nil] x :none) (when-some [x 0] (inc x)) (when-some [x nil] 1)]
; expect: [[false] :none 1 nil]
[(when-first [x [1 2]] x) (when-first [x []] :some) (when-first [x nil] :some)]
; expect: [1 nil nil]
[(case 1 1 :one 2 :two) (case 2 1 :one 2 :two) (case 3 1 :one :other) (case nil nil :nil :other)]
; expect: [:one :two :other :nil]
(case 5 1 :one)
; expect error: No matching clause: 5
[(case "a" "a" 1 "b" 2) (case :k :k 1 2) (case 'x x 1 2) (case \a \a 1 2) (case 1.5 1.5 :y :n) (case true true 1 false 2)]
; expect: [1 1 1 1 :y 1]
[(case 2 (1 2 3) :low (4 5) :high :none) (case 5 (1 2 3) :low (4 5) :high :none) (case 9 (1 2 3) :low :none)]
; expect: [:low :high :none]
[(case [1 2] [1 2] :vector :no) (case {:a 1} {:a 1} :map :no) (case #{1} #{1} :set :no) (case '(1 2) [1 2] :list :no)]
; expect: [:vector :map :set :list]
[(case 1 1.0 :double :other) (case 1 "1" :string :other)]
; expect: [:other :other]
(let [n (atom 0)] (case (swap! n inc) 1 :once 2 :twice) @n)
; expect: 1
(map (fn [x] (case x (:a :b) 1 :c 2 3)) [:a :b :c :d])
; expect: (1 1 2 3)
[(condp = 2 1 :one 2 :two) (condp = 9 1 :one :none) (condp < 5 10 :big 1 :small) (condp some [1 2] #{5} :five #{2} :>> inc)]
; expect: [:two :none :small 3]
(condp = 5 1 :one)
; expect error: No matching clause: 5
[(not true) (not nil) (not 0) (not (not 5))]
; expect: [false true false true]
(let [x 5] (cond-> [] (odd? x) (conj :odd) (even? x) (conj :even) true (conj :end)))
; expect: [:odd :end]
(map (fn [n] (cond (zero? (mod n 15)) "FizzBuzz" (zero? (mod n 3)) "Fizz" (zero? (mod n 5)) "Buzz" :else n)) (range 1 16))
; expect: (1 2 "Fizz" 4 "Buzz" "Fizz" 7 8 "Fizz" "Buzz" 11 "Fizz" 13 14 "FizzBuzz")
(if (= 1 1) (if (= 1 2) :a :b) :c)
; expect: :b
(let [f (fn [x] (if (< x 0) :neg (if (> x 0) :pos :zero)))] (map f [-1 0 1]))
; expect: (:neg :zero :pos)
(if (nil? nil) (do 1 2) 3)
; expect: 2
(assert (= 1 1))
; expect: nil
(assert (= 1 2))
; expect error: Assert failed
(assert false "the message")
; expect error: the message
; A condition of parts goes straight to its branch.
(defn f [a b c] (if (and (or a (nil? b)) (not (if a (= b c) (and b false)))) :yes :no))
(for [a [nil true] b [nil 1] c [1 2]] (f a b c))
; expect: (:yes :yes :no :no :yes :yes :no :yes)
(let [nan (/ 0.0 0.0) g (fn [x y] [(if (not (< x y)) 1 2) (if (or (< x y) (= x y)) 1 2) (if (and (<= x y) (>= x y)) 1 2)])]
  [(g 1 2) (g 2.0 2.0) (g nan 1) (g nan nan) (g 1N 1)])
; expect: [[2 1 2] [1 1 1] [1 2 2] [1 2 2] [1 1 1]]
(let [seen (atom []) ask (fn [x] (swap! seen conj x) x)]
  [(if (or (ask nil) (and (ask 1) (not (ask false)))) :yes :no) (if (and (ask 2) (or (ask nil) (ask false))) :yes :no) @seen])
; expect: [:yes :no [nil 1 false 2 nil false]]
(let [x nil] (if (or (= x 1) (< x 1)) 1 2))
; expect error: number
(let [v [1 2]] (if (or (let [w (conj v 3)] (= 3 (count w))) (= v 1)) [v (count v)] :no))
; expect: [[1 2] 2]
(map (fn [n] (if (>= n 5) :yes :no)) [4 5 6])
; expect: (:no :yes :yes)
