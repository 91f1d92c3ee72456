;; Long forms: what would be too much work for one instruction, in portions.
;;
;; Is:     for a host function, the function that the machine calls in its place when it finds that it would take long;
;;         yang.primitives, LONG_FORMS, says which. The same arguments, the same value, the same error.
;; Is not: called for what is small; nor by the reference machine, which has no slices to keep short.
;; Fits:   the loops are here, so that a slice can end in them; their bodies are host functions of the kind PORTION,
;;         which do a bounded part and tell what is left.
;;
;; Of a nested value what is left is a list used as a stack: depth then costs no more than width.

(defn impl/check-all [stack data-only]
  (loop [left stack]
    (if (empty? left) nil (recur (check-some left data-only)))))

(defn long/finish
  "The value of a program, realised all through."
  [value]
  (impl/check-all (list value) false)
  value)

(defn long/effect [effect & arguments]
  (loop [left arguments]
    (if left
      (do (impl/check-all (list (first left)) true) (recur (next left)))
      nil))
  (apply ask-for effect arguments))

(defn impl/poured
  "A collection with the items of another, added one after the other."
  [to from]
  (loop [to to left (seq from)]
    (if left
      (let [found (add-some to left)] (recur (nth found 0) (nth found 1)))
      to)))

(defn long/apply [f & arguments]
  (loop [all () left arguments]
    (if (next left)
      (recur (conj all (first left)) (next left))
      (call-with-list f (impl/poured () (impl/poured all (first left)))))))

;; ---- long forms of what takes any number of arguments; one call on two of them is `whole`, or has portions of its own

(defn impl/chained [f items]
  (let [n (count items)]
    (cond
      (= n 0) (f)
      (= n 1) (f (first items))
      (= n 2) (whole f (first items) (first (next items)))
      :else (loop [result (first items) left (next items)]
              (if left (recur (f result (first left)) (next left)) result)))))

(defn impl/ordered [f items]
  (if (= (count items) 2)
    (whole f (first items) (first (next items)))
    (loop [item (first items) left (next items)]
      (if left
        (if (f item (first left)) (recur (first left) (next left)) false)
        (f item)))))

(defn long/add [& items] (impl/chained + items))
(defn long/subtract [& items] (impl/chained - items))
(defn long/multiply [& items] (impl/chained * items))
(defn long/divide [& items] (impl/chained / items))
(defn long/max [& items] (impl/chained max items))
(defn long/min [& items] (impl/chained min items))
(defn long/bit-and [& items] (impl/chained bit-and items))
(defn long/bit-or [& items] (impl/chained bit-or items))
(defn long/bit-xor [& items] (impl/chained bit-xor items))
(defn long/numeric-equal [& items] (impl/ordered == items))
(defn long/less [& items] (impl/ordered < items))
(defn long/less-equal [& items] (impl/ordered <= items))
(defn long/greater [& items] (impl/ordered > items))
(defn long/greater-equal [& items] (impl/ordered >= items))

(defn impl/told [f separator items]
  (loop [texts [] left items]
    (if left
      (recur (conj texts (whole f (first left))) (next left))
      (whole join-text separator texts))))

(defn long/str [& items] (impl/told str "" items))
(defn long/pr-str [& items] (impl/told pr-str " " items))
(defn long/print-str [& items] (impl/told print-str " " items))

(defn long/list [& items] (impl/poured () (impl/poured () items)))
(defn long/vector [& items] (impl/poured [] items))
(defn long/hash-set [& items] (impl/poured #{} items))

(defn long/hash-map [& items]
  (loop [m {} left items]
    (if left
      (if (next left)
        (recur (assoc m (first left) (first (next left))) (next (next left)))
        (hash-map (first left)))
      m)))

(defn long/conj
  ([coll item]
   (cond
     (sorted-calls? coll) (impl/sorted-add coll item)
     (and (map? coll) (map? item)) (impl/poured coll item)
     :else (whole conj coll item)))
  ([coll item & more]
   (loop [coll (conj coll item) left more]
     (if left (recur (conj coll (first left)) (next left)) coll))))

(defn long/assoc
  ([m k v] (if (sorted-calls? m) (impl/sorted-put m k v) (whole assoc m k v)))
  ([m k v & more]
   (loop [m (assoc m k v) left more]
     (if left
       (if (next left)
         (recur (assoc m (first left) (first (next left))) (next (next left)))
         (throw (ex-info "assoc: the last key has no value" {:fault :argument})))
       m))))

(defn long/dissoc
  ([m] m)
  ([m k] (if (sorted-calls? m) (impl/sorted-take m k) (whole dissoc m k)))
  ([m k & more]
   (loop [m (dissoc m k) left more]
     (if left (recur (dissoc m (first left)) (next left)) m))))

(defn long/disj
  ([coll] coll)
  ([coll x] (if (sorted-calls? coll) (impl/sorted-take coll x) (whole disj coll x)))
  ([coll x & more]
   (loop [coll (disj coll x) left more]
     (if left (recur (disj coll (first left)) (next left)) coll))))

(defn long/fold-items [f init items start end]
  (loop [result init i start]
    (if (< i end) (recur (f result (nth items i)) (inc i)) result)))

(defn long/count-each [counts items start end]
  (loop [counts counts i start]
    (if (< i end)
      (let [x (nth items i)] (recur (assoc counts x (inc (get counts x 0))) (inc i)))
      counts)))

;; ---- long forms of a look-up: a key that is large, or a comparator to be called

(defn long/get
  ([coll k] (if (sorted-calls? coll) (impl/sorted-get coll k nil) (whole get coll k)))
  ([coll k default]
   (if (sorted-calls? coll) (impl/sorted-get coll k default) (whole get coll k default))))

(defn long/contains? [coll k]
  (if (sorted-calls? coll) (impl/sorted-contains? coll k) (whole contains? coll k)))

(defn long/find [coll k]
  (if (sorted-calls? coll) (impl/sorted-find coll k) (whole find coll k)))

(defn long/sorted-set [& items] (impl/poured (sorted-set) items))

(defn long/sorted-map [& items]
  (loop [m (sorted-map) left items]
    (if left
      (recur (assoc m (first left) (first (next left))) (next (next left)))
      m)))

;; ---- long forms of what goes through a collection

(defn long/vec [coll] (impl/poured [] coll))
(defn long/reverse [coll] (impl/poured () coll))

(defn impl/same? [a b]
  (loop [left (list 0 a b)]
    (cond
      (not left) false
      (empty? left) true
      (neg? (first left))  ; two collections whose comparators are not to be called
      (let [b (nth left 2)]
        (recur (conj (nthrest left 3) (into (if (map? b) {} #{}) b) (nth left 1) 0)))
      :else (recur (equal-some left)))))

(defn long/equal
  ([_] true)
  ([a b] (impl/same? a b))
  ([a b & more]
   (loop [a a b b left more]
     (if (= a b)
       (if left (recur b (first left) (next left)) true)
       false))))

(defn long/not-equal
  ([_] false)
  ([a b] (not (impl/same? a b)))
  ([a b & more] (not (apply = a b more))))
