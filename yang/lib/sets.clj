;; clojure.set of the core library.
;;
;; Is:     clojure.set in plain Clojure.
;; Is not: the sets themselves, which are the machine's.
;; Fits:   one file of the core library (core.clj has its rules).
;; Source: Clojure 1.11's clojure.set.

(defn clojure.set/union
  ([] #{})
  ([a] a)
  ([a b] (if (< (count a) (count b)) (into b a) (into a b)))
  ([a b & more] (reduce clojure.set/union (clojure.set/union a b) more)))

(defn clojure.set/intersection
  ([a] a)
  ([a b]
   (if (< (count b) (count a))
     (clojure.set/intersection b a)
     (impl/fold-seq (fn [found x] (if (contains? b x) found (disj found x))) a a)))
  ([a b & more] (reduce clojure.set/intersection (clojure.set/intersection a b) more)))

(defn clojure.set/difference
  ([a] a)
  ([a b]
   (if (< (count a) (count b))
     (impl/fold-seq (fn [left x] (if (contains? b x) (disj left x) left)) a a)
     (impl/fold-seq disj a b)))
  ([a b & more] (reduce clojure.set/difference (clojure.set/difference a b) more)))

(defn clojure.set/subset? [a b]
  (and (<= (count a) (count b)) (every? (fn [x] (contains? b x)) a)))

(defn clojure.set/superset? [a b] (clojure.set/subset? b a))
(defn clojure.set/select [keep? items]
  (impl/fold-seq (fn [found x] (if (keep? x) found (disj found x))) items items))
(defn clojure.set/project [relation ks] (set (map (fn [row] (select-keys row ks)) relation)))
(defn clojure.set/map-invert [m] (impl/fold-seq (fn [found [k v]] (assoc found v k)) {} m))

(defn clojure.set/rename-keys [m names]
  (impl/fold-seq
    (fn [found [old new]] (if (contains? m old) (assoc found new (get m old)) found))
    (apply dissoc m (keys names))
    names))

(defn clojure.set/rename [relation names]
  (set (map (fn [row] (clojure.set/rename-keys row names)) relation)))

(defn clojure.set/index [relation ks]
  (impl/fold-seq
    (fn [found row]
      (let [k (select-keys row ks)] (assoc found k (conj (get found k #{}) row))))
    {} relation))

(defn impl/join-by [left right names]
  (let [index (clojure.set/index left (keys names))]
    (impl/fold-seq
      (fn [found row]
        (impl/fold-seq (fn [rows other] (conj rows (merge other row)))
                       found
                       (get index (clojure.set/rename-keys (select-keys row (vals names)) (clojure.set/map-invert names)))))
      #{} right)))

(defn clojure.set/join
  ([left right] (impl/join-common left right))
  ([left right names] (impl/join-by left right names)))

(defn impl/join-common [left right]
  (if (and (seq left) (seq right))
    (let [common (clojure.set/intersection (set (keys (first left))) (set (keys (first right))))
          index (clojure.set/index left common)]
      (impl/fold-seq
        (fn [found row]
          (impl/fold-seq (fn [rows other] (conj rows (merge other row)))
                         found (get index (select-keys row common))))
        #{} right))
    #{}))
