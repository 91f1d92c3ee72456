(ns catalogue.json
  "JSON texts to data and back.

  Objects become maps, arrays become vectors and null becomes nil. What is written is read again as the same."
  (:require [catalogue.scan :as scan :refer [fail]]
            [clojure.string :as str]))

(declare read-value)

;; -- reading --

(def ^:private escapes
  {\" \", \\ \\, \/ \/, \b \backspace, \f \formfeed, \n \newline, \r \return, \t \tab})

(def ^:private blank? #{\space \tab \newline \return})

(defn- skip-blanks [text at]
  (scan/skip-while blank? text at))

(defn- read-unicode
  "The character of four hexadecimal digits."
  [text at]
  (let [end (+ at 4)]
    (when-not (and (<= end (count text))
                   (every? scan/hex-digit? (subs text at end)))
      (fail text at "four hexadecimal digits are expected after \\u"))
    [(char (scan/hex-value (subs text at end))) end]))

(defn- read-escape
  "The character that an escape stands for; the position is after the backslash."
  [text at]
  (let [c (scan/peek-char text at)]
    (cond
      (= c \u) (read-unicode text (inc at))
      (contains? escapes c) [(escapes c) (inc at)]
      :else (fail text at (str "unknown escape " (pr-str c))))))

(defn- read-string-value [text start]
  (loop [at (inc start), parts []]
    (let [[run at] (scan/take-chars #(not (or (= % \") (= % \\))) text at)
          parts (conj parts run)]
      (case (scan/peek-char text at)
        \" [(apply str parts) (inc at)]
        \\ (let [[c at] (read-escape text (inc at))]
             (recur at (conj parts c)))
        (fail text start "a string without an end")))))

(def ^:private number-pattern
  #"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?")

(defn- read-number [text start]
  (let [[run at] (scan/take-chars (fn [c] (or (scan/digit? c) (#{\- \+ \. \e \E} c))) text start)
        [whole integer fraction exponent] (re-matches number-pattern run)]
    (cond
      (nil? whole) (fail text start (str run " is not a number"))
      (or fraction exponent) [(parse-double whole) at]
      :else [(parse-long integer) at])))

(defn- read-word [text start]
  (let [[word at] (scan/take-chars scan/letter? text start)]
    (case word
      "true" [true at]
      "false" [false at]
      "null" [nil at]
      (fail text start (if (empty? word)
                         (str "unexpected " (pr-str (scan/peek-char text start)))
                         (str "unknown word " word))))))

(defn- read-items
  "What stands between brackets, separated by commas; read-one reads one item."
  [read-one close text start]
  (loop [at (skip-blanks text (inc start)), items []]
    (if (and (empty? items) (= close (scan/peek-char text at)))
      [items (inc at)]
      (let [[item at] (read-one text at)
            items (conj items item)
            at (skip-blanks text at)
            c (scan/peek-char text at)]
        (cond
          (= c close) [items (inc at)]
          (= c \,) (recur (skip-blanks text (inc at)) items)
          (nil? c) (fail text start "a bracket is not closed")
          :else (fail text at (str "expected , or " close)))))))

(defn- read-entry [key-fn]
  (fn [text at]
    (when-not (= \" (scan/peek-char text at))
      (fail text at "a key is a string"))
    (let [[k at] (read-string-value text at)
          at (scan/expect text (skip-blanks text at) ":")
          [v at] (scan/with-context k (read-value key-fn text at))]
      [[(key-fn k) v] at])))

(defn- read-value [key-fn text at]
  (let [at (skip-blanks text at)
        c (scan/peek-char text at)]
    (cond
      (nil? c) (fail text at "a value is expected, but the text ends")
      (= c \") (read-string-value text at)
      (= c \[) (read-items (partial read-value key-fn) \] text at)
      (= c \{) (let [[entries at] (read-items (read-entry key-fn) \} text at)]
                 [(into {} entries) at])
      (or (= c \-) (scan/digit? c)) (read-number text at)
      :else (read-word text at))))

(defn parse
  "The value of a JSON text. Options: :key-fn, what becomes of the keys of objects."
  [text & {:keys [key-fn] :or {key-fn identity}}]
  (let [[value at] (read-value key-fn text 0)
        at (skip-blanks text at)]
    (when (< at (count text))
      (fail text at "something follows the value"))
    value))

;; -- writing --

(def ^:private written-escapes
  {\" "\\\"", \\ "\\\\", \newline "\\n", \return "\\r", \tab "\\t", \backspace "\\b", \formfeed "\\f"})

(defn- write-char [c]
  (or (written-escapes c)
      (let [code (int c)]
        (if (<= 32 code 126)
          (str c)
          (format "\\u%04x" code)))))

(defn quote-text
  "A text as a JSON string."
  [text]
  (str \" (str/join (map write-char text)) \"))

(defprotocol JsonValue
  "What can be written as JSON."
  (to-json [value] "The JSON text of a value, without spaces."))

(defn- key-text [k]
  (quote-text (if (or (keyword? k) (symbol? k))
                (if-let [n (namespace k)]
                  (str n "/" (name k))
                  (name k))
                (str k))))

(defn- write-object [m]
  (str "{"
       (str/join "," (for [[k v] (sort-by (comp key-text key) m)]
                       (str (key-text k) ":" (to-json v))))
       "}"))

(defn- write-array [items]
  (str "[" (str/join "," (map to-json items)) "]"))

(extend-protocol JsonValue
  nil
  (to-json [_] "null")
  Boolean
  (to-json [b] (str b))
  Number
  (to-json [n] (if (ratio? n) (str (double n)) (str n)))
  String
  (to-json [s] (quote-text s))
  Object
  (to-json [x]
    (cond
      (map? x) (write-object x)
      (set? x) (write-array (sort-by to-json x))
      (coll? x) (write-array x)
      (or (keyword? x) (symbol? x)) (key-text x)
      :else (quote-text (str x)))))
