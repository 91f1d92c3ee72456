;; Sorted maps and sets: what needs their comparators called.
;;
;; Is:     sorted-map-by and sorted-set-by, subseq and rsubseq; and get, assoc and their like for collections whose
;;         comparator is a function of the program: host functions leave these to their long forms (long.clj), which come
;;         here, so that a comparator runs like any function and may be left, captured and shipped.
;; Is not: the trees (yind/cesk/_sorted.pxi), which are read and changed by rank, the position in the order; nor collections
;;         in the order of `compare`, `<`, `<=`, `>` or `>=`, which host functions serve alone.
;; Fits:   one file of the core library, see core.clj.
;; Source: Clojure 1.11's PersistentTreeMap and clojure.core/subseq for what a comparator is asked; binary search: Knuth,
;;         "The Art of Computer Programming", volume 3, 6.2.1.

(defn comparator [before?]
  (fn [a b] (cond (before? a b) -1 (before? b a) 1 :else 0)))

(defn reversible? [x] (or (vector? x) (sorted? x)))

;; ---- finding

(defn impl/order-of
  "What a comparator says of two keys, as an integer: one that gives booleans is asked both ways."
  [order a b]
  (let [found (order a b)]
    (cond
      (true? found) -1
      (false? found) (if (order b a) 1 0)
      :else (int found))))

(defn impl/sorted-rank
  "How many entries are before a key; minus one and negated if it is not there."
  [coll k]
  (if (sorted-calls? coll)
    (let [order (sorted-order coll)]
      (loop [low 0 high (count coll)]
        (if (< low high)
          (let [middle (quot (+ low high) 2)
                found (impl/order-of order k (sorted-key coll middle))]
            (cond
              (neg? found) (recur low middle)
              (pos? found) (recur (inc middle) high)
              :else middle))
          (- -1 low))))
    (sorted-rank coll k)))

(defn impl/sorted-get [coll k default]
  (let [rank (impl/sorted-rank coll k)]
    (cond
      (neg? rank) default
      (map? coll) (sorted-val coll rank)
      :else (sorted-key coll rank))))

(defn impl/sorted-contains? [coll k] (not (neg? (impl/sorted-rank coll k))))

(defn impl/sorted-find [coll k]
  (let [rank (impl/sorted-rank coll k)]
    (if (neg? rank) nil [(sorted-key coll rank) (sorted-val coll rank)])))

;; ---- changing

(defn impl/sorted-put [coll k value]
  (let [rank (impl/sorted-rank coll k)]
    (cond
      (neg? rank) (sorted-insert coll (- -1 rank) k value)
      (map? coll) (sorted-replace coll rank value)
      :else coll)))

(defn impl/sorted-take [coll k]
  (let [rank (impl/sorted-rank coll k)]
    (if (neg? rank) coll (sorted-remove coll rank))))

(defn impl/sorted-add
  "Add an item to a set, or entries to a map; what is no entry fails as it does for any map."
  [coll item]
  (cond
    (set? coll) (impl/sorted-put coll item nil)
    (nil? item) coll
    (map? item) (impl/fold-seq (fn [so-far [k value]] (impl/sorted-put so-far k value)) coll item)
    (not (vector? item)) (conj {} item)
    (= 2 (count item)) (impl/sorted-put coll (nth item 0) (nth item 1))
    :else (conj {} item)))

(defn sorted-map-by [order & entries]
  (if (odd? (count entries))
    (throw (ex-info "sorted-map-by: the last key has no value" {:fault :argument}))
    (loop [m (sorted-empty true order) left entries]
      (if left
        (recur (impl/sorted-put m (first left) (first (next left))) (next (next left)))
        m))))

(defn sorted-set-by [order & items]
  (loop [s (sorted-empty false order) left items]
    (if left (recur (impl/sorted-put s (first left) nil) (next left)) s)))

;; ---- parts

(defn impl/sorted-test
  "Whether an item of a sorted collection stands to a key as `<`, `<=`, `>` or `>=` says."
  [coll test k]
  (let [order (sorted-order coll)]
    (if (map? coll)
      (fn [entry] (test (impl/order-of order (key entry) k) 0))
      (fn [item] (test (impl/order-of order item k) 0)))))

(defn impl/sorted-seq
  "The items from a key on, up or down; from the next one if it is not there."
  [coll k ascending]
  (let [rank (impl/sorted-rank coll k)]
    (cond
      (not (neg? rank)) (sorted-from coll rank ascending)
      ascending (sorted-from coll (- -1 rank) true)
      :else (sorted-from coll (- -2 rank) false))))

(defn impl/sorted-from
  "A seq without its first item unless that passes; nil stays nil."
  [passes? items]
  (cond (nil? items) nil (passes? (first items)) items :else (next items)))

(defn subseq
  ([coll test k]
   (let [passes? (impl/sorted-test coll test k)]
     (if (or (= test >) (= test >=))
       (impl/sorted-from passes? (impl/sorted-seq coll k true))
       (take-while passes? (sorted-from coll 0 true)))))
  ([coll start-test start end-test end]
   (let [items (impl/sorted-seq coll start true)]
     (if items
       (take-while (impl/sorted-test coll end-test end)
                   (impl/sorted-from (impl/sorted-test coll start-test start) items))
       nil))))

(defn rsubseq
  ([coll test k]
   (let [passes? (impl/sorted-test coll test k)]
     (if (or (= test <) (= test <=))
       (impl/sorted-from passes? (impl/sorted-seq coll k false))
       (take-while passes? (sorted-from coll (dec (count coll)) false)))))
  ([coll start-test start end-test end]
   (let [items (impl/sorted-seq coll end false)]
     (if items
       (take-while (impl/sorted-test coll start-test start)
                   (impl/sorted-from (impl/sorted-test coll end-test end) items))
       nil))))
