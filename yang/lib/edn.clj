;; clojure.edn of the core library: the values that a text is.
;;
;; Is:     read-string, with readers for tags and what to do with others; it never runs what it reads.
;; Is not: the compiler's reader (yang/reader), nor datomstore's, which are the host's.
;; Fits:   one file of the core library (core.clj has its rules). A state is {:text :at :readers :default}, the place an atom.
;; Source: the edn format; Clojure 1.11's EdnReader for numbers, characters and errors.

(defn impl/edn-fail [message] (impl/refuse :reader message))
(defn impl/edn-peek [state] (nth (get state :text) (deref (get state :at)) nil))
(defn impl/edn-skip [state n] (swap! (get state :at) + n))

(defn impl/edn-take [state]
  (let [c (impl/edn-peek state)]
    (if (nil? c) (impl/edn-fail "EOF while reading") nil)
    (impl/edn-skip state 1)
    c))

(defn impl/edn-blank? [c] (or (= c \,) (<= (int c) 32) (blank? (str c))))

(defn impl/edn-skip-blank [state]
  (let [c (impl/edn-peek state)]
    (cond
      (nil? c) nil
      (impl/edn-blank? c) (do (impl/edn-skip state 1) (recur state))
      (= c \;) (do (loop []
                     (let [c (impl/edn-peek state)]
                       (if (or (nil? c) (= c \newline)) nil (do (impl/edn-skip state 1) (recur)))))
                   (recur state))
      (and (= c \#) (= \_ (nth (get state :text) (inc (deref (get state :at))) nil)))
      (do (impl/edn-skip state 2)
          (impl/edn-value state)
          (recur state))
      :else nil)))

(defn impl/edn-ends? [c] (or (nil? c) (impl/edn-blank? c) (contains? #{\( \) \[ \] \{ \} \" \;} c)))

(defn impl/edn-token
  "The characters up to where a token ends."
  [state]
  (let [start (deref (get state :at))]
    (loop [at start]
      (if (impl/edn-ends? (nth (get state :text) at nil))
        (do (reset! (get state :at) at)
            (join-text "" (subvec (get state :text) start at)))
        (recur (inc at))))))

(defn impl/edn-items
  "The values up to a closing bracket, as a vector."
  [state end]
  (loop [items []]
    (impl/edn-skip-blank state)
    (let [c (impl/edn-peek state)]
      (cond
        (nil? c) (impl/edn-fail "EOF while reading")
        (= c end) (do (impl/edn-skip state 1) items)
        :else (recur (conj items (impl/edn-value state)))))))

(defn impl/edn-map [items]
  (if (odd? (count items)) (impl/edn-fail "Map literal must contain an even number of forms") nil)
  (loop [m {} i 0]
    (if (< i (count items))
      (if (contains? m (nth items i))
        (impl/refuse :argument (str "Duplicate key: " (pr-str (nth items i))))
        (recur (assoc m (nth items i) (nth items (inc i))) (+ i 2)))
      m)))

(defn impl/edn-set [items]
  (reduce (fn [found x]
            (if (contains? found x) (impl/refuse :argument (str "Duplicate key: " (pr-str x))) (conj found x)))
          #{} items))

(defn impl/edn-digits
  "An integer of exactly these characters in a base, nil if one is no digit."
  [text base]
  (if (= text "")
    nil
    (loop [value 0 i 0]
      (if (< i (count text))
        (let [digit (impl/digit-of (nth text i) base)]
          (if digit (recur (+ (* value base) digit) (inc i)) nil))
        value))))

(defn impl/edn-escape [state]
  (let [c (impl/edn-take state)]
    (case c
      \t \tab
      \r \return
      \n \newline
      \b \backspace
      \f \formfeed
      (\\ \") c
      \u (loop [value 0 n 4]
           (if (= n 0)
             (char value)
             (let [digit (impl/digit-of (impl/edn-take state) 16)]
               (if digit (recur (+ (* 16 value) digit) (dec n)) (impl/refuse :argument "Invalid unicode escape")))))
      (if (impl/digit-of c 8)
        (loop [value (impl/digit-of c 8) n 2]
          (let [digit (impl/digit-of (impl/edn-peek state) 8)]
            (if (and digit (pos? n)) (do (impl/edn-skip state 1) (recur (+ (* 8 value) digit) (dec n))) (char value))))
        (impl/edn-fail (str "Unsupported escape character: \\" c))))))

(defn impl/edn-string [state]
  (loop [found []]
    (let [c (impl/edn-take state)]
      (cond
        (= c \") (join-text "" found)
        (= c \\) (recur (conj found (impl/edn-escape state)))
        :else (recur (conj found c))))))

(defn impl/edn-char [state]
  (let [first-one (impl/edn-take state)
        text (str first-one (impl/edn-token state))
        n (count text)]
    (case text
      "newline" \newline
      "space" \space
      "tab" \tab
      "return" \return
      "backspace" \backspace
      "formfeed" \formfeed
      (cond
        (= n 1) first-one
        (= first-one \u) (let [value (if (= n 5) (impl/edn-digits (subs text 1) 16) nil)]
                           (if value (char value) (impl/refuse :argument (str "Invalid unicode character: \\" text))))
        (= first-one \o) (let [value (if (<= n 4) (impl/edn-digits (subs text 1) 8) nil)]
                           (if value (char value) (impl/edn-fail (str "Invalid octal character: \\" text))))
        :else (impl/edn-fail (str "Unsupported character: \\" text))))))

(defn impl/edn-integer
  "The integer of a text without sign and N, in any of its notations; nil if it is none."
  [text]
  (let [r (index-of (lower-case text) "r")]
    (cond
      (= text "0") 0
      (starts-with? (lower-case text) "0x") (impl/edn-digits (subs text 2) 16)
      (and r (<= r 2)) (let [base (impl/edn-digits (subs text 0 r) 10)]
                         (if (and base (<= 2 base 36)) (impl/edn-digits (subs text (inc r)) base) nil))
      (starts-with? text "0") (impl/edn-digits (subs text 1) 8)
      :else (impl/edn-digits text 10))))

(defn impl/edn-number [text]
  (let [negative (starts-with? text "-")
        plain (if (or negative (starts-with? text "+")) (subs text 1) text)
        slash (index-of plain "/")
        whole (impl/edn-integer (if (ends-with? plain "N") (subs plain 0 (dec (count plain))) plain))
        value (cond
                whole whole
                (and (starts-with? plain "0") (impl/edn-digits plain 10)) nil  ; octal, but with an 8 or 9
                slash (let [n (impl/edn-digits (subs plain 0 slash) 10) d (impl/edn-digits (subs plain (inc slash)) 10)]
                        (if (and n d) (/ n d) nil))
                (some (fn [c] (contains? #{\_ \f \d \F \D \x \X} c)) plain) nil
                (ends-with? plain "M") (bigdec (subs plain 0 (dec (count plain))))
                :else (parse-double plain))]
    (cond
      (nil? value) (impl/refuse :number (str "Invalid number: " text))
      negative (- value)
      :else value)))

(defn impl/edn-name?
  "Whether a text may name a symbol, or with a colon before it a keyword."
  [text]
  (let [slash (index-of text "/")]
    (and (not= text "")
         (not (ends-with? text ":"))
         (not (includes? text "::"))
         (or (= text "/")
             (nil? slash)
             (and (pos? slash) (< (inc slash) (count text))
                  (nil? (impl/digit-of (nth text (inc slash)) 10)))))))

(defn impl/edn-symbol [text]
  (cond
    (= text "nil") nil
    (= text "true") true
    (= text "false") false
    (starts-with? text ":")
    (if (and (impl/edn-name? (subs text 1)) (not (starts-with? text "::")))
      (keyword (subs text 1))
      (impl/edn-fail (str "Invalid token: " text)))
    (impl/edn-name? text) (symbol text)
    :else (impl/edn-fail (str "Invalid token: " text))))

(defn impl/edn-instant
  "The instant of 2024-01-02T03:04:05.678-00:00, of which the end may be missing."
  [text]
  (let [found (if (string? text)
                (re-matches
                  (re-pattern
                    "(\\d{4})(?:-(\\d\\d)(?:-(\\d\\d)(?:T(\\d\\d)(?::(\\d\\d)(?::(\\d\\d)(?:\\.(\\d{1,9}))?)?)?(?:Z|([-+])(\\d\\d):(\\d\\d))?)?)?)?")
                  text)
                nil)]
    (if (nil? found) (impl/refuse :argument (str "Unrecognized date/time syntax: " text)) nil)
    (let [[_ year month day hour minute second-of fraction sign offset-hour offset-minute] found
          number (fn [text default] (if text (impl/edn-digits text 10) default))
          y (number year 0) m (number month 1) d (number day 1)
          leap (and (= 0 (rem y 4)) (or (not= 0 (rem y 100)) (= 0 (rem y 400))))
          days-in-month (if (= m 2) (if leap 29 28) (if (contains? #{4 6 9 11} m) 30 31))]
      (if (and (<= 1 m 12) (<= 1 d days-in-month) (<= (number hour 0) 23) (<= (number minute 0) 59)
               (<= (number second-of 0) 59))
        nil
        (impl/refuse :argument (str "no such date: " text)))
      (let [shifted (if (<= m 2) (dec y) y)
            era (clojure.math/floor-div shifted 400)
            year-of-era (- shifted (* era 400))
            day-of-year (+ (quot (+ (* 153 (+ m (if (> m 2) -3 9))) 2) 5) (dec d))
            day-of-era (+ (* year-of-era 365) (quot year-of-era 4) (- (quot year-of-era 100)) day-of-year)
            days (- (+ (* era 146097) day-of-era) 719468)
            ms (if fraction (quot (* (impl/edn-digits fraction 10) 1000) (impl/power 10 (count fraction))) 0)
            offset (* (if (= sign "-") -60000 60000) (+ (* 60 (number offset-hour 0)) (number offset-minute 0)))]
        (inst-of-ms
          (- (+ (* 1000 (+ (* 86400 days) (* 3600 (number hour 0)) (* 60 (number minute 0)) (number second-of 0))) ms)
             offset))))))

(defn impl/edn-tagged [state]
  (let [tag (impl/edn-symbol (impl/edn-token state))
        value (impl/edn-value state)
        reader (get (get state :readers) tag)
        default (get state :default)]
    (cond
      reader (reader value)
      (= tag 'inst) (impl/edn-instant value)
      (= tag 'uuid) (or (if (string? value) (parse-uuid value) nil) (impl/refuse :assert "#uuid takes the text of a uuid"))
      default (default tag value)
      :else (impl/edn-fail (str "No reader function for tag " tag)))))

(defn impl/edn-qualified
  "A map of #:name{...}: its keys without a namespace get the name, those with the namespace _ lose it."
  [space m]
  (into {}
        (map (fn [[k v]]
               (cond
                 (not (or (keyword? k) (symbol? k))) [k v]
                 (nil? (namespace k)) [(if (keyword? k) (keyword space (name k)) (symbol space (name k))) v]
                 (= "_" (namespace k)) [(if (keyword? k) (keyword (name k)) (symbol (name k))) v]
                 :else [k v]))
             m)))

;; ---- what only code has, where the state has :code

(defn impl/edn-wrapped
  "The next form behind a mark of so many characters, as an argument of what the mark means."
  [state size head]
  (impl/edn-skip state size)
  (list head (impl/edn-value state)))

(defn impl/edn-pattern
  "The text between quotes, in which a backslash stands for itself."
  [state]
  (loop [found []]
    (let [c (impl/edn-take state)]
      (cond
        (= c \") (re-pattern (join-text "" found))
        (= c \\) (let [after (impl/edn-take state)] (recur (conj (conj found c) after)))
        :else (recur (conj found c))))))

(defn impl/edn-argument
  "The number of a symbol like %2: 1 of %, 0 of %&, nil of any other."
  [x]
  (let [text (if (symbol? x) (name x) "")]
    (cond
      (= text "%") 1
      (= text "%&") 0
      (starts-with? text "%") (parse-long (subs text 1))
      :else nil)))

(defn impl/edn-arguments [form]
  (if (coll? form) (mapcat impl/edn-arguments form) (if (impl/edn-argument form) [(impl/edn-argument form)] [])))

(defn impl/edn-with-first
  "A form with %1 for %."
  [form]
  (cond
    (= form '%) '%1
    (seq? form) (apply list (map impl/edn-with-first form))
    (vector? form) (mapv impl/edn-with-first form)
    (map? form) (into {} (map (fn [[k v]] [(impl/edn-with-first k) (impl/edn-with-first v)])) form)
    (set? form) (into #{} (map impl/edn-with-first) form)
    :else form))

(defn impl/edn-function [items]
  (let [form (apply list items)
        used (impl/edn-arguments form)
        names (mapv (fn [n] (symbol (str "%" n))) (range 1 (inc (reduce max 0 used))))]
    (list 'fn* (if (impl/member? used 0) (conj (conj names '&) '%&) names) (impl/edn-with-first form))))

(defn impl/edn-mark
  "The form that begins with a mark of code; nil where there is none, for no form that has one is nil."
  [state c]
  (let [after (nth (get state :text) (inc (deref (get state :at))) nil)]
    (case c
      \' (impl/edn-wrapped state 1 'quote)
      \@ (impl/edn-wrapped state 1 'clojure.core/deref)
      \~ (if (= after \@)
           (impl/edn-wrapped state 2 'clojure.core/unquote-splicing)
           (impl/edn-wrapped state 1 'clojure.core/unquote))
      \# (case after
           \' (impl/edn-wrapped state 2 'var)
           \( (do (impl/edn-skip state 2) (impl/edn-function (impl/edn-items state \))))
           \" (do (impl/edn-skip state 2) (impl/edn-pattern state))
           nil)
      nil)))

(defn impl/edn-dispatch [state]
  (let [c (impl/edn-peek state)]
    (case c
      \{ (do (impl/edn-skip state 1) (impl/edn-set (impl/edn-items state \})))
      \# (do (impl/edn-skip state 1)
             (case (impl/edn-token state)
               "Inf" ##Inf
               "-Inf" ##-Inf
               "NaN" ##NaN
               (impl/edn-fail "Unknown symbolic value")))
      \: (let [space (subs (impl/edn-token state) 1)]
           (impl/edn-skip-blank state)
           (if (= (impl/edn-take state) \{)
             (impl/edn-qualified space (impl/edn-map (impl/edn-items state \})))
             (impl/edn-fail "Namespaced map must specify a map")))
      \^ (do (impl/edn-skip state 1) (impl/edn-value state) (impl/edn-value state))
      (if (and c (or (<= 65 (int c) 90) (<= 97 (int c) 122)))
        (impl/edn-tagged state)
        (impl/edn-fail (str "No dispatch macro for: " c))))))

(defn impl/edn-value
  "The next value; fails at the end."
  [state]
  (impl/edn-skip-blank state)
  (let [marked (if (get state :code) (impl/edn-mark state (impl/edn-peek state)) nil)]
    (if (nil? marked) (impl/edn-plain state) marked)))

(defn impl/edn-plain
  "The next value, of the kinds that data has."
  [state]
  (let [c (impl/edn-take state)
        after (impl/edn-peek state)]
    (case c
      \( (apply list (impl/edn-items state \)))
      \[ (impl/edn-items state \])
      \{ (impl/edn-map (impl/edn-items state \}))
      \" (impl/edn-string state)
      \\ (impl/edn-char state)
      \# (impl/edn-dispatch state)
      \^ (do (impl/edn-value state) (impl/edn-value state))
      (\) \] \}) (impl/edn-fail (str "Unmatched delimiter: " c))
      (\@ \` \~) (impl/edn-fail (str "Invalid leading character: " c))
      (let [text (str c (impl/edn-token state))]
        (if (or (impl/digit-of c 10) (and (or (= c \-) (= c \+)) (impl/digit-of after 10)))
          (impl/edn-number text)
          (impl/edn-symbol text))))))

(defn clojure.edn/read-string
  "The first value of a text; nil of an empty one, unless the options have :eof."
  ([s] (clojure.edn/read-string {:eof nil} s))
  ([options s]
   (if (nil? s)
     nil
     (let [state {:text (vec* (impl/check-string "read-string" s)) :at (atom 0)
                  :readers (get options :readers) :default (get options :default) :code (get options :yin.core/code)}]
       (impl/edn-skip-blank state)
       (if (and (nil? (impl/edn-peek state)) (contains? options :eof))
         (get options :eof)
         (impl/edn-value state))))))

(defn read-string
  "As clojure.edn/read-string, but the end of the text is an error, and quotes, #( ), #' and patterns are read."
  ([s] (read-string {} (impl/check-string "read-string" s)))
  ([options s] (clojure.edn/read-string (assoc options :yin.core/code true) s)))
