(ns catalogue.path
  "A small query language over data, written as text:

    .books[] | select(.year >= 1950 and .tags has \"logic\") | {title, by: .authors[0].name}

  An expression takes one value to any number of values. It is read to a tree, and the tree is made a transducer, so a
  pipeline runs in one pass and stops as soon as enough has been found.

    .name  .name[0]  .[\"any key\"]  .[]      part of a value, or all its items
    f | g    f, g                         one after the other; the results of both
    { name, key: f }    [ f ]             a map, a vector of all results
    + - * /  = != < <= > >=  and or not   arithmetic and tests of single values
    name(f; g)                            functions, see `functions`"
  (:require [catalogue.scan :as scan :refer [fail]]
            [clojure.string :as str]))

;; -- tokens --

(def ^:private token-patterns
  [[:blank #"\s+"]
   [:number #"\d+(?:\.\d+)?"]
   [:string #"\"(?:[^\"\\]|\\.)*\""]
   [:field #"\.[A-Za-z_][\w-]*"]
   [:word #"[A-Za-z_][\w-]*[?!]?"]
   [:symbol #"!=|<=|>=|[.\[\]{}(),;:|+*/=<>-]"]])

(defn- match-at
  "What a pattern matches at the beginning of a text."
  [pattern text]
  (second (re-find (re-pattern (str "^(" pattern ")")) text)))

(defn- next-token [text at]
  (let [following (subs text at)]
    (some (fn [[kind pattern]]
            (when-let [found (match-at pattern following)]
              {:kind kind :text found :at at}))
          token-patterns)))

(defn tokens
  "The tokens of an expression, blanks left out."
  [text]
  (loop [at 0, found []]
    (if (= at (count text))
      (conj found {:kind :end :text "" :at at})
      (if-let [{piece :text, :as token} (next-token text at)]
        (recur (+ at (count piece))
               (cond-> found (not= :blank (:kind token)) (conj token)))
        (fail text at (str "unexpected " (pr-str (scan/peek-char text at))))))))

;; -- the tree --
;;
;; A parser takes the state {:text :tokens} to [tree state]. Operators of one level are read from the left.

(declare parse-pipe)

(defn- looking [{[token] :tokens}] token)

(defn- at? [state text]
  (let [token (looking state)]
    (and (= text (:text token)) (not= :string (:kind token)))))

(defn- advance [state]
  (update state :tokens rest))

(defn- complain [{:keys [text] :as state} wanted]
  (let [{found :text, :keys [at kind]} (looking state)]
    (fail text at (str wanted " is expected, not "
                       (if (= kind :end) "the end" (pr-str found))))))

(defn- expect [state piece]
  (if (at? state piece)
    (advance state)
    (complain state piece)))

(def ^:private unescapes {"\\n" "\n", "\\t" "\t", "\\\"" "\"", "\\\\" "\\"})

(defn- unquote-text [text]
  (str/replace (subs text 1 (dec (count text))) #"\\." (fn [escape] (get unescapes escape escape))))

(defn- parse-separated
  "Trees of parse-one with a separator between them, up to a closing token."
  [parse-one separator close state]
  (if (at? state close)
    [[] (advance state)]
    (loop [state state, trees []]
      (let [[tree state] (parse-one state)
            trees (conj trees tree)]
        (if (at? state separator)
          (recur (advance state) trees)
          [trees (expect state close)])))))

(defn- parse-field
  "An entry of a map: a name alone, or a name and an expression."
  [state]
  (let [{:keys [kind text]} (looking state)]
    (when-not (#{:word :string} kind)
      (complain state "a key"))
    (let [k (keyword (if (= kind :string) (unquote-text text) text))
          state (advance state)]
      (if (at? state ":")
        (let [[tree state] (parse-pipe (assoc (advance state) :commas false))]
          [[k tree] state])
        [[k [:field k]] state]))))

(defn- parse-brackets
  "What stands in brackets after a value: nothing for all items, an index or a key."
  [state]
  (if (at? state "]")
    [[:items] (advance state)]
    (let [[tree after] (parse-pipe (assoc state :commas true))]
      [[:at tree] (assoc (expect after "]") :commas (:commas state))])))

(defn- parse-steps
  "The fields and brackets that follow a value."
  [[tree state]]
  (loop [tree tree, state state]
    (cond
      (= :field (:kind (looking state)))
      (recur [:pipe tree [:field (keyword (subs (:text (looking state)) 1))]] (advance state))

      (at? state "[")
      (let [[step state] (parse-brackets (advance state))]
        (recur (if (= step [:items])
                 [:pipe tree step]
                 [:index tree (second step)])
               state))

      :else [tree state])))

(defn- parse-primary [state]
  (let [{:keys [kind text]} (looking state)
        following (advance state)
        inner (assoc following :commas true)
        restored (fn [[tree after]] [tree (assoc after :commas (:commas state))])]
    (case kind
      :number [[:constant (if (str/includes? text ".") (parse-double text) (parse-long text))] following]
      :string [[:constant (unquote-text text)] following]
      :field [[:field (keyword (subs text 1))] following]
      :word (case text
              ("true" "false") [[:constant (= text "true")] following]
              "null" [[:constant nil] following]
              (if (at? following "(")
                (let [[arguments after] (parse-separated parse-pipe ";" ")" (advance inner))]
                  (restored [[:call text arguments] after]))
                [[:call text []] following]))
      :symbol (case text
                "." [[:identity] following]
                "(" (let [[tree after] (parse-pipe inner)]
                      (restored [tree (expect after ")")]))
                "[" (let [[tree after] (parse-pipe inner)]
                      (restored [[:collect tree] (expect after "]")]))
                "{" (let [[fields after] (parse-separated parse-field "," "}" inner)]
                      (restored [[:object fields] after]))
                "-" (let [[tree after] (parse-primary following)]
                      [[:operator "-" [:constant 0] tree] after])
                (complain state "a value"))
      (complain state "a value"))))

(def ^:private levels
  "Operators, the loosest first."
  [#{"or"} #{"and"} #{"=" "!=" "<" "<=" ">" ">=" "has" "matches"} #{"+" "-"} #{"*" "/"}])

(defn- parse-level [[operators & tighter] state]
  (let [parse-operand (if tighter
                        (partial parse-level tighter)
                        (comp parse-steps parse-primary))]
    (loop [[left state] (parse-operand state)]
      (let [{:keys [text kind]} (looking state)]
        (if (and (operators text) (not= kind :string))
          (let [[right state] (parse-operand (advance state))]
            (recur [[:operator text left right] state]))
          [left state])))))

(defn- parse-alternatives [state]
  (loop [[tree state] (parse-level levels state)]
    (if (and (:commas state) (at? state ","))
      (let [[other state] (parse-level levels (advance state))]
        (recur [[:both tree other] state]))
      [tree state])))

(defn- parse-pipe [state]
  (loop [[tree state] (parse-alternatives state)]
    (if (at? state "|")
      (let [[other state] (parse-alternatives (advance state))]
        (recur [[:pipe tree other] state]))
      [tree state])))

(defn parse
  "The tree of an expression."
  [text]
  (let [[tree state] (parse-pipe {:text text :tokens (tokens text) :commas true})]
    (if (= :end (:kind (looking state)))
      tree
      (complain state "the end"))))

;; -- running --

(defmulti ^:private transducer
  "The transducer of a tree: from values to results."
  first)

(defn- results [tree value]
  (into [] (transducer tree) [value]))

(defn- single [tree value]
  (first (into [] (comp (transducer tree) (take 1)) [value])))

(defn- index-into [value k]
  (cond
    (and (sequential? value) (integer? k)) (nth value (if (neg? k) (+ k (count value)) k) nil)
    (and (map? value) (string? k)) (get value (keyword k) (get value k))
    :else (get value k)))

(def ^:private comparisons
  {"<" neg?, "<=" (complement pos?), ">" pos?, ">=" (complement neg?)})

(defn type-of
  "The kind of a value, as the function `type` tells it."
  [value]
  (cond
    (nil? value) "null"
    (boolean? value) "boolean"
    (number? value) "number"
    (string? value) "string"
    (map? value) "object"
    (coll? value) "array"
    :else "other"))

(defn- compare-values [a b]
  (if (and (= (number? a) (number? b)) (= (string? a) (string? b)))
    (compare a b)
    (compare (type-of a) (type-of b))))

(defn- has? [value x]
  (cond
    (string? value) (str/includes? value (str x))
    (map? value) (contains? value (keyword x))
    :else (boolean (some #{x} value))))

(defn- operate [operator a b]
  (case operator
    "+" (cond (and (number? a) (number? b)) (+ a b)
              (map? a) (merge a b)
              (sequential? a) (into (vec a) b)
              :else (str a b))
    "-" (if (number? a) (- a b) (vec (remove (set b) a)))
    "*" (* a b)
    "/" (/ a b)
    "=" (= a b)
    "!=" (not= a b)
    "and" (and a b)
    "or" (or a b)
    "has" (has? a b)
    "matches" (boolean (and a (re-find (re-pattern b) a)))
    ((comparisons operator) (compare-values a b))))

(defmethod transducer :identity [_] identity)
(defmethod transducer :constant [[_ x]] (map (constantly x)))
(defmethod transducer :field [[_ k]] (map (fn [value] (index-into value (name k)))))
(defmethod transducer :items [_]
  (mapcat (fn [value] (if (map? value) (map val (sort-by (comp str key) value)) value))))
(defmethod transducer :at [[_ tree]]
  (mapcat (fn [value] (map (partial index-into value) (results tree value)))))
(defmethod transducer :index [[_ tree k]]
  (mapcat (fn [value]
            (let [chosen (single k value)]
              (map #(index-into % chosen) (results tree value))))))
(defmethod transducer :pipe [[_ f g]] (comp (transducer f) (transducer g)))
(defmethod transducer :both [[_ f g]]
  (mapcat (fn [value] (concat (results f value) (results g value)))))
(defmethod transducer :collect [[_ tree]] (map (partial results tree)))
(defmethod transducer :operator [[_ operator a b]]
  (map (fn [value] (operate operator (single a value) (single b value)))))
(defmethod transducer :object [[_ fields]]
  (map (fn [value]
         (into {} (for [[k tree] fields] [k (single tree value)])))))

;; -- functions --

(defn- average [numbers]
  (when (seq numbers)
    (double (/ (reduce + numbers) (count numbers)))))

(def functions
  "What can be called: name and number of arguments to a function from trees to a transducer."
  (letfn [(plain [f] (fn [] (map f)))
          (by [f] (fn [tree] (map (fn [value] (f (partial single tree) value)))))]
    {["select" 1] (fn [tree] (filter (partial single tree)))
     ["map" 1] (fn [tree] (map (fn [value] (into [] (transducer tree) value))))
     ["not" 1] (fn [tree] (map (comp not (partial single tree))))
     ["first" 1] (fn [tree] (mapcat (fn [value] (take 1 (results tree value)))))
     ["limit" 2] (fn [n tree]
                   (mapcat (fn [value]
                             (into [] (comp (transducer tree) (take (single n value))) [value]))))
     ["sort-by" 1] (by (fn [f value] (vec (sort-by f compare-values value))))
     ["group-by" 1] (by (fn [f value] (mapv val (into (sorted-map) (group-by f value)))))
     ["unique-by" 1] (by (fn [f value] (mapv (comp first val) (into (sorted-map) (group-by f value)))))
     ["max-by" 1] (by (fn [f value] (when (seq value) (apply max-key f value))))
     ["min-by" 1] (by (fn [f value] (when (seq value) (apply min-key f value))))
     ["join" 1] (fn [separator] (map (fn [value] (str/join (single separator value) value))))
     ["split" 1] (fn [separator]
                   (map (fn [value] (str/split value (re-pattern (single separator value))))))
     ["length" 0] (plain count)
     ["keys" 0] (plain (fn [m] (vec (sort (map name (keys m))))))
     ["entries" 0] (plain (fn [m] (mapv (fn [[k v]] {:key (name k) :value v}) (sort-by key m))))
     ["sum" 0] (plain (partial reduce +))
     ["average" 0] (plain average)
     ["unique" 0] (plain (fn [xs] (vec (sort (distinct xs)))))
     ["reverse" 0] (plain (fn [x] (if (string? x) (str/reverse x) (vec (reverse x)))))
     ["flatten" 0] (plain (comp vec flatten))
     ["upper" 0] (plain str/upper-case)
     ["text" 0] (plain str)
     ["empty" 0] (fn [] (remove (constantly true)))
     ["type" 0] (plain type-of)}))

(defmethod transducer :call [[_ function arguments]]
  (if-let [make (get functions [function (count arguments)])]
    (apply make arguments)
    (throw (ex-info (format "no function %s of %d arguments" function (count arguments))
                    {:type ::unknown-function, :function function}))))

(defn compile-query
  "The function from a value to the vector of an expression's results."
  [text]
  (let [xform (transducer (parse text))]
    (fn [value] (into [] xform [value]))))

(defn query
  "The results of an expression for a value."
  [text value]
  ((compile-query text) value))
