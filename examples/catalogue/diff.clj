(ns catalogue.diff
  "What changed between two values: edits with paths, which can be applied, undone, counted and shown.

  Maps are compared by key, sets by membership, vectors by a longest common subsequence, in which maps with the same :id
  are the same. An edit is a map with :op (:add, :remove or :change), :path and the values :old and :new; edits apply in
  order, each to what those before it left."
  (:require [catalogue.pretty :refer [pretty]]
            [clojure.set :as set]
            [clojure.string :as str]))

;; -- longest common subsequences --

;; Of items, their identities are compared.

(defn- identity-of [x]
  (if (and (map? x) (contains? x :id))
    [::id (:id x)]
    x))

(defn- same? [x y]
  (= (identity-of x) (identity-of y)))

(defn- lcs-row
  "The next row of the table of lengths: how long a common subsequence up to each column is."
  [xs-item ys row]
  (loop [ys (seq ys), above (next row), corner (first row), left 0, out [0]]
    (if ys
      (let [length (if (same? xs-item (first ys))
                     (inc corner)
                     (max left (first above)))]
        (recur (next ys) (next above) (first above) length (conj out length)))
      out)))

(defn lcs-table
  "All rows of the table, the first for no items of xs."
  [xs ys]
  (vec (reductions (fn [row x] (lcs-row x ys row))
                   (vec (repeat (inc (count ys)) 0))
                   xs)))

(defn align
  "The steps that make ys of xs: [:keep x y], [:remove x] and [:add y], in order."
  [xs ys]
  (let [table (lcs-table xs ys)
        length (fn [i j] (get-in table [i j]))]
    (loop [i (count xs), j (count ys), steps ()]
      (cond
        (and (zero? i) (zero? j))
        (vec steps)

        (and (pos? i) (pos? j) (same? (nth xs (dec i)) (nth ys (dec j))))
        (recur (dec i) (dec j) (conj steps [:keep (nth xs (dec i)) (nth ys (dec j))]))

        (and (pos? j) (or (zero? i) (>= (length i (dec j)) (length (dec i) j))))
        (recur i (dec j) (conj steps [:add (nth ys (dec j))]))

        :else
        (recur (dec i) j (conj steps [:remove (nth xs (dec i))]))))))

(defn- pair-changes
  "A removed item directly before an added one is one item that changed."
  [steps]
  (loop [[[op x :as step] & more] steps, out []]
    (let [[following y] (first more)]
      (cond
        (nil? step) out
        (and (= op :remove) (= following :add)) (recur (rest more) (conj out [:change x y]))
        (and (= op :add) (= following :remove)) (recur (rest more) (conj out [:change y x]))
        :else (recur more (conj out step))))))

;; -- edits --

(defn- edit [op path & {:as values}]
  (merge {:op op :path path} values))

(defmulti ^:private edits-between
  "The edits at a path between two values that differ."
  (fn [_path old new]
    (cond
      (and (map? old) (map? new)) :map
      (and (set? old) (set? new)) :set
      (and (vector? old) (vector? new)) :vector
      :else :value)))

(defn edits
  "The edits that make one value of another."
  ([old new] (edits [] old new))
  ([path old new]
   (if (= old new)
     []
     (edits-between path old new))))

(defmethod edits-between :value [path old new]
  [(edit :change path :old old :new new)])

(defn- in-text-order [ks]
  (sort-by pr-str ks))

(defmethod edits-between :map [path old new]
  (let [[before after] (map (comp set keys) [old new])]
    (vec (concat
          (for [k (in-text-order (set/difference before after))]
            (edit :remove (conj path k) :old (get old k)))
          (mapcat (fn [k] (edits (conj path k) (get old k) (get new k)))
                  (in-text-order (set/intersection before after)))
          (for [k (in-text-order (set/difference after before))]
            (edit :add (conj path k) :new (get new k)))))))

(defmethod edits-between :set [path old new]
  (vec (concat
        (for [x (in-text-order (set/difference old new))]
          (edit :remove (conj path x) :old x))
        (for [x (in-text-order (set/difference new old))]
          (edit :add (conj path x) :new x)))))

(defmethod edits-between :vector [path old new]
  (loop [[[op x y :as step] & more] (pair-changes (align old new)), index 0, out []]
    (if (nil? step)
      out
      (let [here (conj path index)]
        (case op
          (:keep :change) (recur more (inc index) (into out (edits here x y)))
          :add (recur more (inc index) (conj out (edit :add here :new x)))
          :remove (recur more index (conj out (edit :remove here :old x))))))))

;; -- applying --

(defn- insert-at [v index x]
  (-> (subvec v 0 index) (conj x) (into (subvec v index))))

(defn- remove-at [v index]
  (into (subvec v 0 index) (subvec v (inc index))))

(defn- apply-here [coll k {:keys [op new]}]
  (case [(cond (map? coll) :map (set? coll) :set :else :vector) op]
    ([:map :add] [:map :change] [:vector :change]) (assoc coll k new)
    [:map :remove] (dissoc coll k)
    [:set :add] (conj coll new)
    [:set :remove] (disj coll k)
    [:vector :add] (insert-at coll k new)
    [:vector :remove] (remove-at coll k)))

(defn apply-edit
  "A value with one edit."
  [value {:keys [path] :as an-edit}]
  (cond
    (empty? path) (:new an-edit)
    (next path) (update value (first path) apply-edit (update an-edit :path (comp vec rest)))
    :else (apply-here value (first path) an-edit)))

(defn patch
  "A value with edits."
  [value some-edits]
  (reduce apply-edit value some-edits))

(def ^:private inverse {:add :remove, :remove :add, :change :change})

(defn undo
  "The edits that take edits back."
  [some-edits]
  (->> some-edits
       (map (fn [{:keys [op] :as an-edit}]
              (-> an-edit
                  (update :op inverse)
                  (set/rename-keys {:old :new, :new :old}))))
       reverse
       vec))

;; -- showing --

(def ^:private signs {:add "+", :remove "-", :change "~"})

(defn path-text [path]
  (if (empty? path)
    "."
    (str/join (map (fn [step]
                     (cond
                       (keyword? step) (str "." (subs (str step) 1))
                       (integer? step) (str "[" step "]")
                       :else (str "[" (pr-str step) "]")))
                   path))))

(defn edit-text
  "An edit as one line."
  [{:keys [op path old new]}]
  (let [shown #(pretty % 1000)]
    (str (signs op) " " (path-text path) " "
         (case op
           :add (shown new)
           :remove (shown old)
           :change (str (shown old) " -> " (shown new))))))

(defn summary
  "How many edits of each kind."
  [some-edits]
  (let [counts (frequencies (map :op some-edits))]
    (str/join ", " (for [op [:add :change :remove]
                         :let [n (counts op 0)]
                         :when (pos? n)]
                     (format "%d %s" n (name op))))))
