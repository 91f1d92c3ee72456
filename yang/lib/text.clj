;; clojure.string of the core library. Separators may be strings and characters, too, not only patterns.
;;
;; Is:     clojure.string in plain Clojure over the host functions for text.
;; Is not: patterns and matching, which are in regex.clj.
;; Fits:   one file of the core library (core.clj has its rules).
;; Source: Clojure 1.11's clojure.string.

(defn clojure.string/join
  ([coll] (join-text "" (impl/gathered coll)))
  ([separator coll] (join-text (str separator) (impl/gathered coll))))

(defn impl/text-of
  "The text of anything but nil."
  [name x]
  (if (nil? x) (impl/refuse :type (str name ": expected a string, found nil")) (str x)))

(defn clojure.string/upper-case [s] (upper-case (impl/text-of "upper-case" s)))
(defn clojure.string/lower-case [s] (lower-case (impl/text-of "lower-case" s)))
(defn clojure.string/capitalize [s]
  (let [text (impl/text-of "capitalize" s)]
    (if (< (count text) 2)
      (upper-case text)
      (str (upper-case (subs text 0 1)) (lower-case (subs text 1))))))
(defn clojure.string/trim [s] (trim s))
(defn clojure.string/blank? [s] (blank? s))
(defn clojure.string/starts-with? [s part] (starts-with? (str s) part))
(defn clojure.string/ends-with? [s part] (ends-with? (str s) part))
(defn clojure.string/includes? [s part] (includes? (str s) part))
(defn impl/sought
  "The string of what is looked for: a string or a character."
  [name x]
  (cond
    (string? x) x
    (char? x) (str x)
    :else (impl/refuse :type (str name ": expected a string or a character, found " (pr-str x)))))

(defn clojure.string/index-of
  ([s part] (index-of (str s) (impl/sought "index-of" part)))
  ([s part from] (index-of (str s) (impl/sought "index-of" part) from)))

(defn clojure.string/last-index-of
  ([s part] (clojure.string/last-index-of s part (count s)))
  ([s part from]
   (let [text (impl/sought "last-index-of" part)]
     (loop [found nil at (index-of s text)]
       (if (or (nil? at) (> at from)) found (recur at (index-of s text (inc at))))))))

(defn impl/replacement-for
  "The replacement of a string or character, which has to be one, too."
  [match replacement]
  (cond
    (not (or (string? match) (char? match)))
    (impl/refuse :argument (str "replace: no string, character or pattern: " (pr-str match)))
    (and (string? match) (string? replacement)) replacement
    (and (char? match) (char? replacement)) (str replacement)
    :else (impl/refuse :type (str "replace: a " (if (char? match) "character" "string")
                                  " is replaced by another, not by " (pr-str replacement)))))

(defn clojure.string/replace [s match replacement]
  (if (impl/pattern? match)
    (impl/rx-replace (impl/text-of "replace" s) match replacement true)
    (replace-text s (if (char? match) (str match) match) (impl/replacement-for match replacement))))

(defn clojure.string/replace-first [s match replacement]
  (if (impl/pattern? match)
    (impl/rx-replace (impl/text-of "replace" s) match replacement false)
    (let [made (impl/replacement-for match replacement) text (str match) at (index-of s text)]
      (if (nil? at)
        s
        (str (subs s 0 at) made (subs s (+ at (count text))))))))

(defn clojure.string/re-quote-replacement [replacement]
  (replace-text (replace-text (str replacement) "\\" "\\\\") "$" "\\$"))

(defn impl/split-limited [s separator limit]
  (loop [parts [] left s]
    (let [at (if (< (inc (count parts)) limit) (index-of left separator) nil)]
      (if (nil? at)
        (conj parts left)
        (recur (conj parts (subs left 0 at)) (subs left (+ at (count separator))))))))

(defn impl/split-by-pattern [s pattern limit]
  (let [literal (nth (opaque-content pattern) 5)]
    (if (and literal (= limit 0))
      (if (= s "") [""] (split-text s literal))
      (let [parts (impl/rx-split pattern s limit)]
        (if (and (= limit 0) (next parts)) (impl/without-empty-end parts) parts)))))

(defn clojure.string/split
  ([s separator]
   (if (impl/pattern? separator)
     (impl/split-by-pattern (impl/check-string "split" s) separator 0)
     (split-text s (impl/sought "split" separator))))
  ([s separator limit]
   (cond
     (impl/pattern? separator) (impl/split-by-pattern (impl/check-string "split" s) separator (if (number? limit) (int limit) (impl/refuse :type "split: the limit is a number")))
     (= limit 0) (clojure.string/split s separator)
     (pos? limit) (impl/split-limited s (impl/sought "split" separator) limit)
     :else (impl/split-limited s (impl/sought "split" separator) (inc (count s))))))

(defn clojure.string/split-lines [s]
  (split-text (replace-text s "\r\n" "\n") "\n"))

(defn clojure.string/reverse [s] (join-text "" (reverse s)))

(defn impl/space? [c] (blank? (str c)))

(defn clojure.string/triml [s]
  (loop [i 0]
    (if (and (< i (count s)) (impl/space? (nth s i))) (recur (inc i)) (subs s i))))

(defn clojure.string/trimr [s]
  (loop [i (count s)]
    (if (and (pos? i) (impl/space? (nth s (dec i)))) (recur (dec i)) (subs s 0 i))))

(defn clojure.string/trim-newline [s]
  (loop [i (count s)]
    (if (and (pos? i) (contains? #{\newline \return} (nth s (dec i))))
      (recur (dec i))
      (subs s 0 i))))

(defn clojure.string/escape [s escapes]
  (join-text "" (map (fn [c] (let [found (escapes c)] (if (nil? found) c found))) s)))
