(ns catalogue.rules
  "Forward chaining over facts: rules add facts until nothing new follows, and every fact knows why it holds.

  A fact is a vector. A pattern is a vector with variables, symbols that begin with ?, and _ for anything. A rule has
  conditions: patterns, (not pattern), and (test f args ...) with functions of the program. Rounds are semi-naive: a rule
  fires only where one of its conditions meets a fact of the round before. Rules with `not` wait until those without have
  come to rest."
  (:require [clojure.string :as str]))

;; -- patterns --

(defn variable? [x]
  (and (symbol? x) (str/starts-with? (name x) "?")))

(defn- match-term [bindings pattern x]
  (cond
    (= '_ pattern) bindings
    (variable? pattern) (let [bound (get bindings pattern ::none)]
                          (cond
                            (= bound ::none) (assoc bindings pattern x)
                            (= bound x) bindings
                            :else nil))
    (= pattern x) bindings
    :else nil))

(defn match
  "The bindings with which a pattern is a fact, extending others; nil if there are none."
  [bindings pattern fact]
  (when (= (count pattern) (count fact))
    (reduce (fn [known [part x]]
              (or (match-term known part x) (reduced nil)))
            bindings
            (map vector pattern fact))))

(defn substitute
  "A pattern with its variables replaced."
  [bindings pattern]
  (mapv (fn [part]
          (if (variable? part)
            (if (contains? bindings part)
              (bindings part)
              (throw (ex-info (str "unbound variable " part) {:type ::unbound :variable part})))
            part))
        pattern))

;; -- rules --

(defrecord Rule [title head conditions])

(defprotocol Condition
  (solutions [condition facts bindings] "The bindings under which a condition holds, given some.")
  (positive? [condition] "Whether more facts can only make it hold more often.")
  (pattern-of [condition] "The pattern whose facts it asks for, nil if it asks for none."))

(defn- candidates
  "The facts that can match a pattern: those of its relation, or of its relation and first argument."
  [{:keys [by-relation by-first]} bindings [relation argument]]
  (let [known (if (variable? argument) (get bindings argument ::none) argument)]
    (if (or (= known ::none) (= known '_))
      (get by-relation relation)
      (get by-first [relation known]))))

(defrecord Positive [pattern]
  Condition
  (solutions [_ facts bindings]
    (keep #(match bindings pattern %) (candidates facts bindings pattern)))
  (positive? [_] true)
  (pattern-of [_] pattern))

(defrecord Negative [pattern]
  Condition
  (solutions [_ facts bindings]
    (if (some #(match bindings pattern %) (candidates facts bindings pattern))
      []
      [bindings]))
  (positive? [_] false)
  (pattern-of [_] nil))

(defrecord Test [f arguments]
  Condition
  (solutions [_ _facts bindings]
    (if (apply f (substitute bindings arguments))
      [bindings]
      []))
  (positive? [_] true)
  (pattern-of [_] nil))

(defrecord Binding [variable f arguments]
  Condition
  (solutions [_ _facts bindings]
    (let [x (apply f (substitute bindings arguments))]
      (if-let [found (match-term bindings variable x)]
        [found]
        [])))
  (positive? [_] true)
  (pattern-of [_] nil))

(defn- quoted-parts [parts]
  (mapv (fn [part] (if (symbol? part) (list 'quote part) part)) parts))

(defn- condition-code
  "The code that makes a condition of what a rule says."
  [clause]
  (cond
    (vector? clause) `(->Positive ~(quoted-parts clause))
    (= 'not (first clause)) `(->Negative ~(quoted-parts (second clause)))
    (= 'test (first clause)) `(->Test ~(second clause) ~(quoted-parts (drop 2 clause)))
    (= 'let (first clause)) (let [[_ variable f & arguments] clause]
                              `(->Binding '~variable ~f ~(quoted-parts arguments)))
    :else (throw (ex-info (str "not a condition: " (pr-str clause)) {:clause clause}))))

(defmacro defrule
  "Define a rule: (defrule name \"title\" [head] :when condition ...)."
  [rule-name title head & [when-word & clauses]]
  (assert (= :when when-word) "conditions follow :when")
  `(def ~rule-name
     (->Rule ~title ~(quoted-parts head) ~(mapv condition-code clauses))))

;; -- facts --

(defrecord Facts [all by-relation by-first reasons])

(def no-facts (->Facts #{} {} {} {}))

(defn assert-fact
  "Facts with one more; the reason is why it holds."
  [{:keys [all] :as facts} fact reason]
  (if (contains? all fact)
    facts
    (let [[relation argument] fact]
      (-> facts
          (update :all conj fact)
          (update-in [:by-relation relation] (fnil conj []) fact)
          (update-in [:by-first [relation argument]] (fnil conj []) fact)
          (assoc-in [:reasons fact] reason)))))

(defn assert-facts [facts some-facts]
  (reduce #(assert-fact %1 %2 {:given true}) facts some-facts))

(defn facts-of
  "The facts of a relation, in order."
  [facts relation]
  (sort-by pr-str (get-in facts [:by-relation relation])))

;; -- chaining --

(defn- solve
  "The bindings under which all conditions hold; the one at `place` is only met by new facts."
  [conditions facts delta place]
  (reduce (fn [found [index condition]]
            (let [where (if (= index place) delta facts)]
              (mapcat #(solutions condition where %) found)))
          [{}]
          (map-indexed vector conditions)))

(defn- substitute-known
  "A pattern with the variables replaced that are bound."
  [bindings pattern]
  (mapv #(get bindings % %) pattern))

(defn- consequences
  "What a rule concludes from facts of which some are new, each with its reason."
  [{:keys [title head conditions]} facts delta]
  (for [[place condition] (map-indexed vector conditions)
        :when (pattern-of condition)
        bindings (solve conditions facts delta place)]
    [(substitute bindings head)
     {:rule title
      :because (into [] (comp (keep pattern-of) (map (partial substitute-known bindings))) conditions)}]))

(defn- round
  "Facts after one round, and what was new in it."
  [rules facts delta]
  (reduce (fn [[facts fresh :as state] [fact reason]]
            (if (contains? (:all facts) fact)
              state
              [(assert-fact facts fact reason) (assert-fact fresh fact reason)]))
          [facts no-facts]
          (mapcat #(consequences % facts delta) rules)))

(defn- rest-state
  "Facts after rounds until nothing new follows."
  [rules facts]
  (loop [facts facts, delta facts, rounds 0]
    (let [[facts fresh] (round rules facts delta)]
      (if (empty? (:all fresh))
        [facts rounds]
        (recur facts fresh (inc rounds))))))

(defn infer
  "Facts with all that follows by rules, as {:facts :rounds :added}."
  [rules facts]
  (let [{plain true, negative false} (group-by #(every? positive? (:conditions %)) rules)
        [settled rounds] (rest-state plain facts)
        [final more] (rest-state negative settled)]
    {:facts final
     :rounds (+ rounds more)
     :added (- (count (:all final)) (count (:all facts)))}))

;; -- answers --

(defn ask
  "The distinct bindings under which all patterns hold."
  [facts & patterns]
  (->> patterns
       (map ->Positive)
       (reduce (fn [found condition] (mapcat #(solutions condition facts %) found)) [{}])
       distinct))

(defn explain
  "Why a fact holds, as lines of text, each deeper by what it rests on."
  ([facts fact] (explain facts fact 0))
  ([{:keys [reasons] :as facts} fact depth]
   (let [{:keys [rule because given]} (reasons fact)
         indent (str/join (repeat depth "  "))]
     (cons (str indent (pr-str fact) (if given " is given" (str " by " (pr-str rule))))
           (lazy-seq (mapcat #(explain facts % (inc depth)) because))))))
