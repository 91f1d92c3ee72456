; let, def, do, scope and shadowing.
(let [x 1 y (+ x 1)] (* x y))
; expect: 2
(let [] 5)
; expect: 5
(let [x 1])
; expect: nil
(let [x 1] (let [x (inc x)] x))
; expect: 2
(let [x 1 x (+ x 1) x (* x 10)] x)
; expect: 20
(let [x 1] [(let [x 2] x) x])
; expect: [2 1]
(do 1 2 3)
; expect: 3
(do)
; expect: nil
(def x 5)
(+ x 1)
; expect: 6
(def x 1)
(def y (+ x 1))
[x y]
; expect: [1 2]
(def x 1)
(def x (inc x))
x
; expect: 2
(def x "with a doc string" 5)
x
; expect: 5
(defonce once 1)
(defonce once 2)
once
; expect: 1
(def counter (atom 0))
(defn next! [] (swap! counter inc))
(next!)
(next!)
@counter
; expect: 2
(defn f [] (g))
(defn g [] :later)
(f)
; expect: :later
(declare later)
(defn f [] (later 5))
(defn later [x] (inc x))
(f)
; expect: 6
(let [+ -] (+ 5 3))
; expect: 2
(let [inc dec map vector] [(inc 5) (map 1 2)])
; expect: [4 [1 2]]
(defn inc [x] (+ x 100))
(inc 1)
; expect: 101
(defn map [f xs] :mine)
[(map 1 2) (mapv identity [1])]
; expect: [:mine [1]]
(let [list [1 2] count (count list)] [count list])
; expect: [2 [1 2]]
((fn [str] (str 1)) (fn [x] [:shadowed x]))
; expect: [:shadowed 1]
(let [if-let 5 when 6] (+ if-let when))
; expect: 11
(let [vector (fn [& xs] :shadowed)] [1 (inc 1)])
; expect: [1 2]
(let [hash-map 1 hash-set 2] [{:a (inc hash-map)} #{(inc hash-set)}])
; expect: [{:a 2} #{3}]
(let [nth 1 get 2 seq 3 first 4] (let [[a b] [7 8] {:keys [c]} {:c 9}] [a b c nth get seq first]))
; expect: [7 8 9 1 2 3 4]
(let [cons 0 concat 0] (for [x [1 2] y [x]] y))
; expect: (1 2)
(def f (let [n (atom 10)] (fn [] (swap! n inc))))
[(f) (f)]
; expect: [11 12]
(if false (def never 1))
never
; expect error: never is not defined
(defn f [] later)
(def result (try (f) (catch :default e :unbound)))
(def later 1)
(def later 2)
[result (f)]
; expect: [:unbound 2]
(let [a 1 b 2] (let [a b b a] [a b]))
; expect: [2 2]
(comment (this is (not) evaluated))
; expect: nil
(+ 1 #_2 #_(ignored form) 3)
; expect: 4
; a comment alone
(+ 1 ; in the middle
   2)
; expect: 3
(def ^:private hidden 3)
hidden
; expect: 3
(let [x' 1 *y* 2 -z 3 a.b 4 x->y 5 n! 6 q? 7] [x' *y* -z a.b x->y n! q?])
; expect: [1 2 3 4 5 6 7]
*args*
; expect: {:who "tests"}
(:who *args*)
; expect: "tests"
(yin.core/inc 1)
; expect: 2
(clojure.core/map inc [1])
; expect: (2)
(let [x 1] (def y x) (inc y))
; expect: 2
(let [y (inc 1)] (def z y))
z
; expect: 2
(loop [i 0] (if (< i 3) (recur (inc i)) (def last-one i)))
last-one
; expect: 3
(let [k 2] (letfn [(g [] k)] (def f (fn [] [(g) k]))))
(f)
; expect: [2 2]
