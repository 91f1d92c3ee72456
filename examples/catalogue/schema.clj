(ns catalogue.schema
  "What data has to look like, and everything that is wrong with some data at once.

  A schema is a predicate with a name, or made of others: (maps {...}), (vectors s), (one-of ...), (optional s), (all s p).
  A check gives problems: maps with :path, :value and :expected."
  (:require [catalogue.diff :as diff]
            [clojure.string :as str]))

(defprotocol Schema
  (problems [schema path value] "What is wrong with a value at a path, as a seq.")
  (describe [schema] "The schema in words."))

(defn- problem [path value expected]
  {:path path :value value :expected expected})

(defrecord Predicate [title pred]
  Schema
  (problems [_ path value]
    (when-not (pred value)
      [(problem path value title)]))
  (describe [_] title))

(defrecord Optional [schema]
  Schema
  (problems [_ path value]
    (when (some? value)
      (problems schema path value)))
  (describe [_] (str "optionally " (describe schema))))

(defrecord Vectors [schema]
  Schema
  (problems [_ path value]
    (if (vector? value)
      (mapcat (fn [index item] (problems schema (conj path index) item))
              (range)
              value)
      [(problem path value "a vector")]))
  (describe [_] (str "a vector of " (describe schema))))

(defrecord Maps [entries closed]
  Schema
  (problems [this path value]
    (if-not (map? value)
      [(problem path value (describe this))]
      (concat
       (mapcat (fn [[k schema]] (problems schema (conj path k) (get value k)))
               (sort-by key entries))
       (when closed
         (for [k (sort (remove (set (keys entries)) (keys value)))]
           (problem (conj path k) (get value k) "no such key"))))))
  (describe [_]
    (str "a map with " (str/join ", " (sort (map name (keys entries)))))))

(defrecord OneOf [schemas]
  Schema
  (problems [this path value]
    (when (every? #(seq (problems % path value)) schemas)
      [(problem path value (describe this))]))
  (describe [_] (str/join " or " (map describe schemas))))

(defn maps [entries & {:keys [closed]}] (->Maps entries (boolean closed)))
(defn vectors [schema] (->Vectors schema))
(defn optional [schema] (->Optional schema))
(defn one-of [& schemas] (->OneOf schemas))

(defmacro defschema
  "Define a schema of a predicate: (defschema name \"in words\" [x] test)."
  [schema-name title parameters & body]
  `(def ~schema-name ~title (->Predicate ~title (fn ~parameters ~@body))))

(defschema text "a text" [x] (string? x))
(defschema filled-text "a text that is not blank" [x] (and (string? x) (not (str/blank? x))))
(defschema whole-number "a whole number" [x] (integer? x))
(defschema anything "anything" [_] true)

(defn between [low high]
  (->Predicate (format "a number from %d to %d" low high)
               (fn [x] (and (number? x) (<= low x high)))))

(defn check
  "The problems of a value, in the order of their places."
  [schema value]
  (vec (problems schema [] value)))

(defn problem-text [{:keys [path value expected]}]
  (format "%s: %s is expected, not %s" (diff/path-text path) expected (pr-str value)))

(defn conform
  "The value, if nothing is wrong with it. Throws an error with all problems."
  [schema value]
  (let [found (check schema value)]
    (if (empty? found)
      value
      (throw (ex-info (str (count found) " problems") {:type ::invalid :problems found})))))
