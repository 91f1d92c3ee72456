; fn, defn, arities, rest parameters, functions of functions.
((fn [x] (* x x)) 5)
; expect: 25
((fn [] 42))
; expect: 42
(#(+ %1 %2) 1 2)
; expect: 3
(map #(* % %) [1 2 3])
; expect: (1 4 9)
(#(apply + %&) 1 2 3)
; expect: 6
(#(vector %1 %&) 1 2 3)
; expect: [1 (2 3)]
(defn square [x] (* x x))
(square 7)
; expect: 49
(defn greet "Says hello." [name] (str "Hello, " name))
(greet "world")
; expect: "Hello, world"
(defn area ([side] (area side side)) ([width height] (* width height)))
[(area 3) (area 2 5)]
; expect: [9 10]
(defn f [a & more] [a more])
[(f 1) (f 1 2) (f 1 2 3)]
; expect: [[1 nil] [1 (2)] [1 (2 3)]]
(defn f ([] :none) ([a] [:one a]) ([a b & more] [:many a b more]))
[(f) (f 1) (f 1 2) (f 1 2 3)]
; expect: [:none [:one 1] [:many 1 2 nil] [:many 1 2 (3)]]
(defn f [& xs] (count xs))
[(f) (f nil) (f 1 2)]
; expect: [0 1 2]
(defn f [& {:keys [a b] :or {b 2}}] [a b])
[(f :a 1) (f :a 1 :b 3) (f)]
; expect: [[1 2] [1 3] [nil 2]]
((fn [x] x) 1 2)
; expect error: wrong number of arguments (2)
((fn [x y] x) 1)
; expect error: wrong number of arguments (1)
((fn named [x y & more] x) 1)
; expect error: passed to named
(defn f [a b] a)
(f 1)
; expect error: wrong number of arguments (1) passed to f
(let [f (fn ([a] 1) ([a b] 2))] (f 1 2 3))
; expect error: wrong number of arguments (3)
(5 1)
; expect error: an integer is not a function
("a" 1)
; expect error: a string is not a function
(nil 1)
; expect error: nil is not a function
((fn fact [n] (if (zero? n) 1 (* n (fact (dec n))))) 10)
; expect: 3628800
(let [add (fn [a] (fn [b] (+ a b)))] [((add 1) 2) ((add 10) 5)])
; expect: [3 15]
(let [fns (map (fn [n] (fn [] n)) (range 3))] (map (fn [f] (f)) fns))
; expect: (0 1 2)
(let [fns (loop [i 0 acc []] (if (= i 3) acc (recur (inc i) (conj acc (fn [] i)))))] (mapv (fn [f] (f)) fns))
; expect: [0 1 2]
((comp inc (fn [x] (* 2 x))) 5)
; expect: 11
[((comp) 1) ((comp inc) 1) ((comp str inc +) 1 2) ((comp first rest reverse) [1 2 3])]
; expect: [1 2 "4" 2]
[((partial + 1) 2) ((partial + 1 2) 3 4) ((partial str "a" "b" "c") "d") ((partial +)) ((partial map inc) [1])]
; expect: [3 10 "abcd" 0 (2)]
[((complement odd?) 2) ((complement nil?) nil) (filter (complement #{1}) [1 2])]
; expect: [true false (2)]
[((constantly 5) 1 2 3) ((constantly nil)) (identity :x)]
; expect: [5 nil :x]
[((juxt inc dec) 5) ((juxt first count) [1 2]) ((juxt + - *) 3 2) (map (juxt :a :b) [{:a 1 :b 2}])]
; expect: [[6 4] [1 2] [5 1 6] ([1 2])]
[((fnil inc 0) nil) ((fnil inc 0) 5) ((fnil + 1 2) nil nil) ((fnil conj []) nil 1)]
; expect: [1 6 3 [1]]
(let [n (atom 0) f (memoize (fn [x] (swap! n inc) (* x x)))] [(f 3) (f 3) (f 4) @n])
; expect: [9 9 16 2]
(trampoline (fn even [n] (if (zero? n) :even (fn [] ((fn odd [n] (if (zero? n) :odd (fn [] (even (dec n))))) (dec n))))) 100)
; expect: :even
[((every-pred odd? pos?) 3 5) ((every-pred odd? pos?) -3) ((some-fn odd? neg?) 2 -2) ((some-fn odd?) 2)]
; expect: [true false true false]
(map (fn [f] (f 10)) [inc dec str (partial * 2)])
; expect: (11 9 "10" 20)
(let [{:keys [op]} {:op +}] (op 1 2))
; expect: 3
((if true + -) 1 2)
; expect: 3
(((fn [] inc)) 1)
; expect: 2
(let [compose (fn [& fs] (reduce (fn [f g] (fn [x] (f (g x)))) identity fs))] ((compose inc inc #(* 2 %)) 5))
; expect: 12
(defn f [x] {:pre [(pos? x)] :post [(odd? %)]} (inc x))
[(f 2) (try (f -1) (catch AssertionError e :pre)) (try (f 3) (catch AssertionError e :post))]
; expect: [3 :pre :post]
(defn- private [x] (inc x))
(private 1)
; expect: 2
(defn f [_ _ x] x)
(f 1 2 3)
; expect: 3
(defn f [a b c d e f g h i j] [a b c d e f g h i j])
(f 1 2 3 4 5 6 7 8 9 10)
; expect: [1 2 3 4 5 6 7 8 9 10]
(defn f [x] (if (> x 0) (f (dec x)) :done))
(f 100)
; expect: :done
(pr-str (map fn? [(fn [x] x) inc map]))
; expect: "(true true true)"
