;; Logic: relations that run in every direction, a family, and numbers as lists.

(defn append [l s out]
  (any (all (unify l ()) (unify s out))
       (fresh [a d r] (unify l (lcons a d)) (unify out (lcons a r)) (append d s r))))

(defn member [x l]
  (fresh [head tail]
    (unify l (lcons head tail))
    (any (unify x head) (member x tail))))

(def parents [[:homer :bart] [:homer :lisa] [:abe :homer] [:mona :homer]])
(defn parent [a b] (apply any (map (fn [[x y]] (all (unify a x) (unify b y))) parents)))
(defn ancestor [a b] (any (parent a b) (fresh [c] (parent a c) (ancestor c b))))

(defn plus [a b sum]
  (any (all (unify a :zero) (unify b sum))
       (fresh [p q] (unify a [:succ p]) (unify sum [:succ q]) (plus p b q))))
(defn number-term [n] (if (zero? n) :zero [:succ (number-term (dec n))]))
(defn term-number [t] (if (= t :zero) 0 (inc (term-number (second t)))))

[(run* [q] (append (list 1 2) (list 3) q))
 (run* [x y] (append x y (list 1 2 3)))
 (run* [q] (append q (list 3) (list 1 2 3)))
 (take 3 (run* [q] (member :x q)))
 (run* [q] (member q (list 1 2 3)))
 (set (run* [q] (ancestor q :bart)))
 (run* [q] (ancestor :lisa q))
 (mapv (fn [pair] (mapv term-number pair)) (run* [a b] (plus a b (number-term 3))))
 (run* [q] (fresh [x y] (unify [x 2 y] [1 y x]) (unify q [x y])))
 (run* [q] (fresh [x y] (unify [x 2 y] [y y x]) (unify q [x y])))]
; expect: [((1 2 3)) ([() (1 2 3)] [(1) (2 3)] [(1 2) (3)] [(1 2 3) ()]) ((1 2)) ((:x . _0) (_0 :x . _1) (_0 _1 :x . _2)) (1 2 3) #{:homer :abe :mona} () [[0 3] [1 2] [2 1] [3 0]] () ([2 2])]
