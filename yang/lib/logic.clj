;; Logic programming in the core library.
;;
;; Is:     terms, unification, goals and their answers, over the search of control.clj.
;; Is not: Datalog over the database (`q`).
;; Fits:   one file of the core library (core.clj has its rules).
;; Source: Friedman, Byrd, Kiselyov, "The Reasoned Schemer" (2005).
;;
;; A goal takes bindings {number term, :next number} to bindings, or fails; terms are data with variables.

(defn impl/variable? [term] (and (map? term) (contains? term :yin.core/variable)))

(defn impl/walk [bindings term]
  (loop [term term]
    (if (impl/variable? term)
      (let [bound (find bindings (:yin.core/variable term))]
        (if bound (recur (val bound)) term))
      term)))

(defn lcons
  "The list of a first item and a rest that may be a variable."
  [head tail]
  {:yin.core/head head :yin.core/tail tail})

(defn impl/pair? [term]
  (if (map? term) (contains? term :yin.core/head) (and (seq? term) (some? (seq term)))))

(defn impl/head [pair] (if (map? pair) (:yin.core/head pair) (first pair)))
(defn impl/tail [pair] (if (map? pair) (:yin.core/tail pair) (rest pair)))

(defn impl/occurs?
  "Whether a variable stands inside a term that is not a variable."
  [bindings variable term]
  (loop [left (list term)]
    (if (empty? left)
      false
      (let [term (impl/walk bindings (first left)) left (rest left)]
        (cond
          (= term variable) true
          (vector? term) (recur (into left term))
          (impl/pair? term) (recur (conj left (impl/tail term) (impl/head term)))
          :else (recur left))))))

(defn impl/bound [bindings variable term]
  (if (impl/occurs? bindings variable term)
    nil
    (assoc bindings (:yin.core/variable variable) term)))

(defn impl/unified
  "Bindings under which two terms are equal, or nil; no variable stands inside its own value."
  [bindings a b]
  (loop [bindings bindings left (list [a b])]
    (if (or (nil? bindings) (empty? left))
      bindings
      (let [a (impl/walk bindings (first (first left)))
            b (impl/walk bindings (second (first left)))
            left (rest left)]
        (cond
          (= a b) (recur bindings left)
          (impl/variable? a) (recur (impl/bound bindings a b) left)
          (impl/variable? b) (recur (impl/bound bindings b a) left)
          (and (impl/pair? a) (impl/pair? b))
          (recur bindings (conj left [(impl/tail a) (impl/tail b)] [(impl/head a) (impl/head b)]))
          (and (vector? a) (vector? b) (= (count a) (count b)))
          (recur bindings (into left (map vector a b)))
          :else nil)))))

(defn unify
  "The goal that two terms are equal."
  [a b]
  (fn [bindings]
    (let [found (impl/unified bindings a b)]
      (if (nil? found) (fail) found))))

(defn all
  "The goal that all goals hold."
  [& goals]
  (fn [bindings] (reduce (fn [so-far goal] (goal so-far)) bindings goals)))

(defn any
  "The goal that one of the goals holds; each in turn."
  [& goals]
  (fn [bindings] ((choose-fairly goals) bindings)))

(defn impl/fresh [n f]
  (fn [bindings]
    (let [start (:next bindings)
          variables (map (fn [i] {:yin.core/variable i}) (range start (+ start n)))]
      ((apply f variables) (assoc bindings :next (+ start n))))))

(defn impl/shown
  "A term with its variables replaced; those without value are called _0, _1 ... in the order they are met."
  [bindings names term]
  (let [term (impl/walk bindings term)]
    (cond
      (impl/variable? term)
      (let [known (get (deref names) term)]
        (if known
          known
          (let [name (symbol (str "_" (count (deref names))))]
            (swap! names assoc term name)
            name)))
      (vector? term) (mapv (fn [part] (impl/shown bindings names part)) term)
      (impl/pair? term)
      (loop [items [] left term]
        (let [left (impl/walk bindings left)]
          (if (impl/pair? left)
            (recur (conj items (impl/shown bindings names (impl/head left))) (impl/tail left))
            (if (or (nil? left) (= left ()))
              (apply list items)
              (apply list (conj items '. (impl/shown bindings names left)))))))
      :else term)))

(defn impl/run [n f]
  (solutions
    (fn []
      (let [start (map (fn [i] {:yin.core/variable i}) (range n))
            found ((apply f start) {:next n})
            shown (impl/shown found (atom {}) (vec start))]
        (if (= n 1) (first shown) shown)))))
