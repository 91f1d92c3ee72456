(ns catalogue.edn
  "EDN texts to data, with places of errors, discarded forms, tags and comments.

  Characters, strings, keywords, symbols, integers, ratios, doubles, lists, vectors, maps, sets and tagged values."
  (:require [catalogue.scan :as scan :refer [fail]]
            [clojure.string :as str]))

(declare read-form)

(defrecord Tagged [tag value])

(def ^:private blank? #{\space \tab \newline \return \,})
(def ^:private closing #{\) \] \}})
(def ^:private ends-token? (into #{\( \[ \{ \" \;} (concat blank? closing)))

(defn- skip-comment [text at]
  (scan/skip-while #(not= % \newline) text at))

(defn- skip-blanks
  "The position of the next form: blanks, comments and discarded forms are passed over."
  [options text at]
  (let [at (scan/skip-while blank? text at)
        c (scan/peek-char text at)]
    (cond
      (= c \;) (recur options text (skip-comment text at))
      (and (= c \#) (= \_ (scan/peek-char text (inc at))))
      (let [[_ at] (read-form options text (+ at 2))]
        (recur options text at))
      :else at)))

;; -- tokens --

(def ^:private named-characters
  {"newline" \newline, "space" \space, "tab" \tab, "return" \return, "backspace" \backspace, "formfeed" \formfeed})

(defn- token [text at]
  (scan/take-chars (complement ends-token?) text at))

(defn- parse-number
  "The number of a token, nil if it is none."
  [word]
  (condp re-matches word
    #"([+-]?[0-9]+)N?" :>> (fn [[_ digits]] (parse-long (str/replace digits #"^\+" "")))
    #"([+-]?[0-9]+)/([0-9]+)" :>> (fn [[_ n d]] (/ (parse-long n) (parse-long d)))
    #"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?" :>> (fn [[whole]] (parse-double whole))
    #"0[xX]([0-9a-fA-F]+)" :>> (fn [[_ digits]] (scan/hex-value digits))
    nil))

(def ^:private name-pattern
  #"(?:([a-zA-Z*!_?$%&=<>.+-][\w*!?$%&=<>.+:#'-]*)/)?([a-zA-Z*!_?$%&=<>.+/-][\w*!?$%&=<>.+:#'-]*)")

(defn- parse-name
  "[namespace name] of a token, nil if it is no name."
  [word]
  (when-let [[_ before local] (re-matches name-pattern word)]
    [before local]))

(defn- parse-token [text start word]
  (let [c (first word)]
    (or (when (or (scan/digit? c)
                  (and (#{\+ \-} c) (scan/digit? (second word))))
          (or (parse-number word)
              (fail text start (str word " is not a number"))))
        (when (= c \:)
          (if-let [[before local] (parse-name (subs word 1))]
            (keyword before local)
            (fail text start (str word " is not a keyword"))))
        (if-let [[before local] (parse-name word)]
          (symbol before local)
          (fail text start (str word " is not a symbol"))))))

(defn- read-word [text start]
  (let [[word at] (token text start)]
    (case word
      "nil" [nil at]
      "true" [true at]
      "false" [false at]
      "" (fail text start (str "unexpected " (scan/peek-char text start)))
      [(parse-token text start word) at])))

(defn- read-character [text start]
  (let [[more at] (token text (+ start 2))
        word (str (scan/peek-char text (inc start)) more)]
    (cond
      (= 1 (count word)) [(first word) at]
      (named-characters word) [(named-characters word) at]
      (re-matches #"u[0-9a-fA-F]{4}" word) [(char (scan/hex-value (subs word 1))) at]
      :else (fail text start (str "\\" word " is not a character")))))

(defn- read-text [text start]
  (loop [at (inc start), parts []]
    (let [[run at] (scan/take-chars (complement #{\" \\}) text at)
          parts (conj parts run)
          escaped (scan/peek-char text (inc at))]
      (case (scan/peek-char text at)
        \" [(str/join parts) (inc at)]
        \\ (if-let [c ({\n \newline, \t \tab, \r \return, \" \", \\ \\} escaped)]
             (recur (+ at 2) (conj parts c))
             (fail text at (str "unknown escape \\" escaped)))
        (fail text start "a string without an end")))))

;; -- collections --

(defn- read-until
  "The forms up to a closing bracket."
  [options close text start]
  (loop [at (skip-blanks options text (inc start)), forms []]
    (let [c (scan/peek-char text at)]
      (cond
        (nil? c) (fail text start "a bracket is not closed" {:expected close})
        (= c close) [forms (inc at)]
        (closing c) (fail text at (str "expected " close " but found " c))
        :else (let [[form at] (read-form options text at)]
                (recur (skip-blanks options text at) (conj forms form)))))))

(defn- to-map [text start forms]
  (when (odd? (count forms))
    (fail text start "a map has a key without a value"))
  (let [pairs (partition 2 forms)
        repeated (for [[k n] (frequencies (map first pairs)) :when (> n 1)] k)]
    (when (seq repeated)
      (fail text start (str "repeated key " (pr-str (first repeated)))))
    (into {} (map vec) pairs)))

(defn- to-set [text start forms]
  (if (or (empty? forms) (apply distinct? forms))
    (set forms)
    (fail text start "a set has an item twice")))

(defn- read-tagged [{:keys [readers default]} text start tag value]
  (if-let [reader (get readers tag)]
    (try
      (reader value)
      (catch Exception error
        (fail text start (str "#" tag ": " (ex-message error)))))
    (default tag value)))

(defn- read-dispatch [options text start]
  (case (scan/peek-char text (inc start))
    \{ (let [[forms at] (read-until options \} text (inc start))]
         [(to-set text start forms) at])
    \_ (fail text start "nothing follows what is discarded")
    (let [[tag at] (read-word text (inc start))
          [value at] (read-form options text at)]
      (when-not (symbol? tag)
        (fail text start "a tag is a symbol"))
      [(read-tagged options text start tag value) at])))

(defn- read-form [options text at]
  (let [at (skip-blanks options text at)
        c (scan/peek-char text at)
        collection (fn [close make]
                     (let [[forms end] (read-until options close text at)]
                       [(make forms) end]))]
    (case c
      nil (fail text at "a form is expected, but the text ends" {:at-end true})
      \" (read-text text at)
      \\ (read-character text at)
      \( (collection \) (partial apply list))
      \[ (collection \] identity)
      \{ (collection \} (partial to-map text at))
      \# (read-dispatch options text at)
      (read-word text at))))

;; -- the whole --

(def ^:private default-options
  {:readers {} :default ->Tagged})

(defn parse-all
  "All forms of a text, lazily. Options: :readers, a map of tags to functions; :default, a function of tag and value."
  ([text] (parse-all {} text))
  ([options text]
   (let [options (merge default-options options)]
     (letfn [(forms-from [at]
               (lazy-seq
                (let [at (skip-blanks options text at)]
                  (when (< at (count text))
                    (let [[form at] (read-form options text at)]
                      (cons form (forms-from at)))))))]
       (forms-from 0)))))

(defn parse
  "The only form of a text."
  ([text] (parse {} text))
  ([options text]
   (let [[form & others] (parse-all options text)]
     (when others
       (throw (ex-info "more than one form" {:type ::many :count (inc (count others))})))
     form)))
