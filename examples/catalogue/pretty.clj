(ns catalogue.pretty
  "Layout of documents in a width, and of data as such documents.

  A document is text, a line that may become a space, documents one after the other, documents inside an indentation, or
  a group, which stands on one line if it fits. After Wadler's prettier printer, in its strict form: what does not fit is
  decided with one look ahead, so the work is linear in the size of the document for a given width."
  (:require [catalogue.json :as json]
            [clojure.string :as str]))

;; -- documents --

(defrecord Text [text])
(defrecord Line [flat])
(defrecord Both [parts])
(defrecord Nest [indent document])
(defrecord Group [document])

(defn text [s] (->Text s))
(def line "A new line, or a space." (->Line " "))
(def soft-line "A new line, or nothing." (->Line ""))
(def empty-document (->Both []))

(defn document? [x]
  (or (instance? Text x) (instance? Line x) (instance? Both x) (instance? Nest x) (instance? Group x)))

(defn documents
  "Documents one after the other; texts may stand for themselves."
  [& parts]
  (->Both (mapv (fn [part] (if (string? part) (text part) part)) parts)))

(defn nest [indent & parts]
  (->Nest indent (apply documents parts)))

(defn group [& parts]
  (->Group (apply documents parts)))

(defn separated
  "Documents with a separator between them."
  [separator parts]
  (apply documents (interpose separator parts)))

;; -- layout --

(defn- fits?
  "Whether the first line of what is to be laid out fits into a room. Items are [indent mode document]."
  [room items]
  (loop [room room, items items]
    (cond
      (neg? room) false
      (empty? items) true
      :else
      (let [[indent mode document] (first items)
            others (rest items)]
        (condp instance? document
          Text (recur (- room (count (:text document))) others)
          Line (if (= mode :flat)
                 (recur (- room (count (:flat document))) others)
                 true)
          Both (recur room (into others (map (fn [part] [indent mode part]) (rseq (:parts document)))))
          Nest (recur room (conj others [(+ indent (:indent document)) mode (:document document)]))
          Group (recur room (conj others [indent mode (:document document)])))))))

(defn- push-all [items indent mode parts]
  (if (empty? parts)
    items
    (into items (map (fn [part] [indent mode part])) (rseq parts))))

(defn- layout-step
  "What one item of the work list adds to the pieces, as [pieces column items]."
  [width pieces column [[indent mode document] & others]]
  (let [others (or others ())]
    (condp instance? document
      Text [(conj pieces (:text document)) (+ column (count (:text document))) others]
      Line (if (= mode :flat)
             [(conj pieces (:flat document)) (+ column (count (:flat document))) others]
             [(conj pieces (str "\n" (str/join (repeat indent " ")))) indent others])
      Both [pieces column (push-all others indent mode (:parts document))]
      Nest [pieces column (conj others [(+ indent (:indent document)) mode (:document document)])]
      Group (let [flat [indent :flat (:document document)]]
              [pieces column (conj others (if (fits? (- width column) (list flat))
                                            flat
                                            [indent :broken (:document document)]))]))))

(defn render
  "The text of a document in a width."
  [width document]
  (loop [pieces [], column 0, items (list [0 :broken document])]
    (if (empty? items)
      (str/join "\n" (map str/trimr (str/split-lines (str/join pieces))))
      (let [[pieces column items] (layout-step width pieces column items)]
        (recur pieces column items)))))

;; -- data as documents --

(def ^:dynamic *style*
  "How data is shown: :edn or :json."
  :edn)

(defmulti ^:private brackets
  "The opening and closing bracket of a kind of collection in the current style."
  (fn [kind] [*style* kind]))

(defmethod brackets [:edn :map] [_] ["{" "}"])
(defmethod brackets [:edn :vector] [_] ["[" "]"])
(defmethod brackets [:edn :list] [_] ["(" ")"])
(defmethod brackets [:edn :set] [_] ["#{" "}"])
(defmethod brackets [:json :map] [_] ["{" "}"])
(defmethod brackets :default [_] ["[" "]"])

(defn kind-of
  "The kind of a value for printing."
  [x]
  (cond
    (map? x) :map
    (vector? x) :vector
    (set? x) :set
    (sequential? x) :list
    :else :scalar))

(defn- comparable
  "What values of different kinds can be ordered by."
  [x]
  [(cond (nil? x) 0, (boolean? x) 1, (number? x) 2, (char? x) 3, (string? x) 4, (keyword? x) 5, (symbol? x) 6, :else 7)
   (if (or (coll? x) (boolean? x)) (pr-str x) x)])

(defn in-order
  "The items of a set or the entries of a map in an order that does not depend on hashes."
  [coll]
  (if (map? coll)
    (sort-by (comp comparable key) coll)
    (sort-by comparable coll)))

(declare to-document)

(defn- scalar-text [x]
  (case *style*
    :json (json/to-json x)
    :edn (pr-str x)))

(defn- bracketed [kind separator parts]
  (let [[open close] (brackets kind)]
    (if (empty? parts)
      (text (str open close))
      (let [inset (if (= *style* :json) 2 (count open))]
        (if (= *style* :json)
          (group open (nest inset soft-line (separated separator parts)) soft-line close)
          (group open (nest inset (separated separator parts)) close))))))

(defn- entry-document [[k v]]
  (if (= *style* :json)
    (group (json/to-json (if (string? k) k (name k))) ": " (to-document v))
    (group (to-document k) (nest 2 (if (= :scalar (kind-of v)) (text " ") line) (to-document v)))))

(defn to-document
  "The document that shows a value."
  [x]
  (let [kind (kind-of x)
        separator (if (= *style* :json) (documents "," line) line)]
    (case kind
      :scalar (text (scalar-text x))
      :map (bracketed kind
                      (if (= *style* :json) separator (documents "," line))
                      (mapv entry-document (in-order x)))
      :set (bracketed kind separator (mapv to-document (in-order x)))
      (bracketed kind separator (mapv to-document x)))))

(defn pretty
  "A value as text in a width, in a style."
  ([x] (pretty x 78))
  ([x width] (pretty x width :edn))
  ([x width style]
   (binding [*style* style]
     (render width (to-document x)))))
