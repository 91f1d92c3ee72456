(ns catalogue.table
  "Rows of data as tables, bars and numbers for people."
  (:require [clojure.string :as str]))

(defn pad
  "A text in a width, on the left or the right of it; what is too long is cut."
  [side width text]
  (let [text (if (> (count text) width)
               (str (subs text 0 (max 0 (- width 2))) "..")
               text)
        blanks (str/join (repeat (- width (count text)) " "))]
    (case side
      :left (str text blanks)
      :right (str blanks text))))

(defmulti cell
  "A value as the text of a cell."
  (fn [value]
    (cond
      (nil? value) :nothing
      (keyword? value) :keyword
      (and (number? value) (not (integer? value))) :real
      (coll? value) :several
      :else :other)))

(defmethod cell :nothing [_] "-")
(defmethod cell :keyword [k] (name k))
(defmethod cell :real [x] (format "%.2f" (double x)))
(defmethod cell :several [xs] (str/join ", " (map cell xs)))
(defmethod cell :other [x] (str x))

(defrecord Column [title value side width])

(defn- column
  "A column of a specification [title value & options]."
  [[title value & {:keys [side width] :or {width 40}}] rows]
  (let [cells (map (comp cell value) rows)
        needed (transduce (map count) max (count title) cells)
        numeric? (and (seq rows) (every? (comp (some-fn number? nil?) value) rows))]
    (->Column title value (or side (if numeric? :right :left)) (min width needed))))

(defn- row-text [columns texts]
  (str/trimr (str/join "  " (map (fn [{:keys [side width]} text] (pad side width text)) columns texts))))

(defn table
  "The lines of a table of rows. A specification of a column is [title function :side :right :width 20]."
  [specifications rows]
  (let [columns (mapv #(column % rows) specifications)
        rule (row-text columns (map (fn [{:keys [width]}] (str/join (repeat width "-"))) columns))]
    (concat [(row-text columns (map :title columns)) rule]
            (for [row rows]
              (row-text columns (map (fn [{:keys [value]}] (cell (value row))) columns))))))

(defn bars
  "The lines of a bar chart of [label number] pairs, the longest bar of a width."
  [width pairs]
  (let [most (reduce max 1 (map second pairs))
        label-width (reduce max 0 (map (comp count cell first) pairs))]
    (for [[label n] pairs
          :let [size (quot (* n width) most)]]
      (format "%s  %s %s"
              (pad :left label-width (cell label))
              (str/join (repeat size "#"))
              (cell n)))))

(defn grouped
  "A whole number with a comma between thousands."
  [n]
  (->> (str (abs n))
       reverse
       (partition-all 3)
       (map (partial apply str))
       (str/join ",")
       str/reverse
       (str (when (neg? n) "-"))))

(defn percent [part whole]
  (if (zero? whole)
    "-"
    (format "%.1f%%" (* 100.0 (/ part whole)))))

(defn wrap
  "The lines of a text in a width."
  [width text]
  (->> (str/split text #"\s+")
       (reduce (fn [lines word]
                 (let [current (peek lines)
                       longer (str current " " word)]
                   (cond
                     (str/blank? current) (conj (pop lines) word)
                     (<= (count longer) width) (conj (pop lines) longer)
                     :else (conj lines word))))
               [""])))

(defn underlined [title]
  [title (str/replace title #"." "=")])
