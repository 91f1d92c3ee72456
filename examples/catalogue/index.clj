(ns catalogue.index
  "A text index: documents to terms with positions, queries with operators, ranked results with snippets.

  Queries: words (any of them), +word (must be there), -word (must not be), \"a phrase\", prefix* and field:word."
  (:require [catalogue.stem :refer [stem]]
            [clojure.math :as math]
            [clojure.set :as set]
            [clojure.string :as str]))

;; -- words --

(def stop-words
  (into #{} (str/split "a an and are as at be by for from has he in is it its of on or that the to was were will with" #" ")))

(defn words
  "The words of a text in lower case, each as [word start end]."
  [text]
  (loop [remaining (re-seq #"[A-Za-z]+(?:'[a-z]+)?|\d+" text), from 0, found []]
    (if-let [[word & more] (seq remaining)]
      (let [start (str/index-of text word from)
            end (+ start (count word))]
        (recur more end (conj found [(str/lower-case word) start end])))
      found)))

(def ^:private to-terms
  "Words to terms with the number of the word they were."
  (comp (map-indexed (fn [position [word]] [word position]))
        (remove (comp stop-words first))
        (map (fn [[word position]] [(stem word) position]))))

(defn terms [text]
  (into [] to-terms (words text)))

;; -- the index --

(defprotocol Searchable
  (fields [this] "The texts of a document by field.")
  (label [this] "How results name the document."))

(defrecord Index [documents postings lengths vocabulary])

(def empty-index (->Index {} {} {} (sorted-set)))

(defn- add-posting [postings field id [term position]]
  (update-in postings [term id field] (fnil conj []) position))

(defn- add-field [index id [field text]]
  (let [found (terms text)]
    (-> index
        (update :postings #(reduce (fn [postings term] (add-posting postings field id term)) % found))
        (update-in [:lengths id] (fnil + 0) (count found))
        (update :vocabulary into (map first) found))))

(defn add
  "An index with one more document."
  [index id document]
  (reduce (fn [index entry] (add-field index id entry))
          (assoc-in index [:documents id] document)
          (fields document)))

(defn build
  "The index of documents with their ids."
  [documents]
  (reduce-kv add empty-index documents))

(defn statistics [{:keys [documents postings lengths]}]
  {:documents (count documents)
   :terms (count postings)
   :words (reduce + (vals lengths))
   :longest (key (apply max-key val lengths))})

;; -- queries --

(defrecord Clause [mode kind field terms text])

(def ^:private clause-pattern
  #"([+-])?(?:([a-z]+):)?(?:\"([^\"]*)\"|([A-Za-z0-9']+)(\*)?)")

(defn- to-clause [[_ sign field phrase word star]]
  (let [mode ({"+" :must, "-" :must-not} sign :should)
        field (some-> field keyword)]
    (cond
      phrase (->Clause mode :phrase field (terms phrase) phrase)
      star (->Clause mode :prefix field [[(str/lower-case word) 0]] word)
      :else (->Clause mode :word field (terms word) word))))

(defn parse-query
  "The clauses of a query; those of stop words only are left out."
  [text]
  (->> (re-seq clause-pattern text)
       (map to-clause)
       (filterv (comp seq :terms))))

(defn- positions
  "Where a term stands in a document, by field, or only in one field."
  [{:keys [postings]} term id field]
  (let [found (get-in postings [term id])]
    (if field
      (select-keys found [field])
      found)))

(defn- phrase-starts
  "The positions in a field from which all terms follow each other as in the phrase."
  [index id field phrase]
  (let [[_ first-position] (first phrase)]
    (reduce set/intersection
            (for [[term position] phrase
                  :let [offset (- position first-position)]]
              (into #{}
                    (map #(- % offset))
                    (get (positions index term id field) field))))))

(defmulti ^:private matches
  "The documents a clause finds, each with how often."
  (fn [_index clause] (:kind clause)))

(defn- term-counts [{:keys [postings] :as index} term field]
  (into {}
        (for [id (keys (get postings term))
              :let [n (reduce + (map count (vals (positions index term id field))))]
              :when (pos? n)]
          [id n])))

(defmethod matches :word [index {:keys [terms field]}]
  (apply merge-with + (map (fn [[term]] (term-counts index term field)) terms)))

(defn expand-prefix
  "The terms of an index that begin with a text."
  [{:keys [vocabulary]} prefix]
  (take-while #(str/starts-with? % prefix) (subseq vocabulary >= prefix)))

(defmethod matches :prefix [index {[[prefix]] :terms, field :field}]
  (transduce (map #(term-counts index % field))
             (completing (partial merge-with +))
             {}
             (expand-prefix index prefix)))

(defmethod matches :phrase [{:keys [postings] :as index} {:keys [terms field]}]
  (let [candidates (->> terms
                        (map (comp set keys postings first))
                        (reduce set/intersection))]
    (into {}
          (for [id candidates
                :let [in-fields (if field [field] (keys (get-in postings [(ffirst terms) id])))
                      n (reduce + (map #(count (phrase-starts index id % terms)) in-fields))]
                :when (pos? n)]
            [id n]))))

;; -- ranking: BM25 --

(def ^:private k1 1.2)
(def ^:private b 0.75)

(defn- inverse-frequency [document-count found-count]
  (math/log (+ 1 (/ (+ (- document-count found-count) 0.5)
                    (+ found-count 0.5)))))

(defn- weight [frequency length average]
  (/ (* frequency (+ k1 1))
     (+ frequency (* k1 (+ (- 1 b) (* b (/ length average)))))))

(defn- scores
  "The score that a clause gives to each document it finds."
  [{:keys [documents lengths] :as index} clause]
  (let [found (matches index clause)
        average (/ (reduce + (vals lengths)) (double (count lengths)))
        rarity (inverse-frequency (count documents) (count found))]
    (update-vals (into {} (map (fn [[id n]] [id [n (lengths id)]])) found)
                 (fn [[n length]] (* rarity (weight n length average))))))

(defn- allowed
  "The predicate of ids that the clauses with + and - leave."
  [index clauses]
  (let [ids (fn [mode]
              (map (comp set keys (partial matches index))
                   (filter (comp #{mode} :mode) clauses)))
        wanted (ids :must)
        unwanted (reduce set/union #{} (ids :must-not))]
    (fn [id]
      (and (every? #(contains? % id) wanted)
           (not (contains? unwanted id))))))

(defn search
  "The documents that a query finds, best first, as maps of :id, :score and :document."
  [index text]
  (let [clauses (parse-query text)]
    (->> clauses
         (remove (comp #{:must-not} :mode))
         (map (partial scores index))
         (apply merge-with +)
         (filter (comp (allowed index clauses) key))
         (sort-by (fn [[id score]] [(- score) id]))
         (mapv (fn [[id score]]
                 {:id id, :score score, :document (get-in index [:documents id])})))))

;; -- snippets --

(defn- hit?
  "The predicate of words that a query looks for."
  [text]
  (let [clauses (remove (comp #{:must-not} :mode) (parse-query text))
        {prefixes true, others false} (group-by (comp #(= :prefix %) :kind) clauses)
        wanted (into #{} (comp (mapcat :terms) (map first)) others)
        beginnings (map (comp ffirst :terms) prefixes)]
    (fn [word]
      (or (contains? wanted (stem word))
          (some #(str/starts-with? word %) beginnings)))))

(defn mark
  "A text with brackets around the words that a query looks for."
  [query text]
  (let [wanted? (hit? query)
        [pieces end] (reduce (fn [[pieces from] [word start end]]
                               (if (wanted? word)
                                 [(conj pieces (subs text from start) "[" (subs text start end) "]") end]
                                 [pieces from]))
                             [[] 0]
                             (words text))]
    (str (str/join pieces) (subs text end))))

(defn snippet
  "The part of a text, of so many words at most, that has most of what a query looks for."
  [query text size]
  (let [found (words text)
        wanted? (hit? query)
        flags (mapv (fn [[word]] (if (wanted? word) 1 0)) found)
        windows (map-indexed (fn [index window] [(reduce + window) index])
                             (partition size 1 (repeat 0) flags))
        [_ start] (reduce (fn [[best _ :as kept] [n _ :as window]] (if (> n best) window kept))
                          [-1 0]
                          windows)
        [_ from] (get found start [nil 0 0])
        [_ _ to] (get found (min (+ start size -1) (dec (count found))) [nil 0 0])]
    (str (when (pos? from) "... ")
         (mark query (subs text from to))
         (when (< to (dec (count text))) " ..."))))
