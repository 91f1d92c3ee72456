;; A rule engine: patterns with variables, facts, rules that fire until nothing is new.

(defn variable-@n? [x] (and (symbol? x) (= \? (first (name x)))))

(defn matched-@n
  "The bindings with which a pattern is the fact; nil where it is not."
  [pattern fact bindings]
  (cond
    (nil? bindings) nil
    (variable-@n? pattern) (if (contains? bindings pattern)
                             (when (= fact (bindings pattern)) bindings)
                             (assoc bindings pattern fact))
    (and (sequential? pattern) (sequential? fact))
    (when (= (count pattern) (count fact))
      (reduce (fn [bindings [p f]] (matched-@n p f bindings)) bindings (map vector pattern fact)))
    :else (when (= pattern fact) bindings)))

(defn answers-@n [patterns facts]
  (reduce (fn [found pattern]
            (for [bindings found
                  fact facts
                  :let [more (matched-@n pattern fact bindings)]
                  :when more]
              more))
          [{}]
          patterns))

(defn fired-@n [facts {:keys [needs gives]}]
  (set (for [bindings (answers-@n needs facts)
             fact gives]
         (mapv (fn [x] (get bindings x x)) fact))))

(defn closure-@n [facts rules]
  (loop [facts (set facts) rounds 0]
    (let [found (reduce set/union facts (map (partial fired-@n facts) rules))]
      (if (or (= found facts) (> rounds @c))
        {:facts facts :rounds rounds}
        (recur found (inc rounds))))))

(def family-@n
  '[{:needs [[?a parent ?b]] :gives [[?a ancestor ?b] [?b descendant ?a]]}
    {:needs [[?a parent ?b] [?b ancestor ?c]] :gives [[?a ancestor ?c]]}
    {:needs [[?p parent ?a] [?p parent ?b]] :gives [[?a sibling ?b] (@word @a "@word" :@word \x nil true)]}])
