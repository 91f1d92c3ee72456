;; clojure.string of the core library; separators and matches are strings or characters.
;;
;; Is:     clojure.string in plain Clojure over the host functions for text.
;; Is not: regular expressions, which there are none of.
;; Fits:   one file of the core library (core.clj has its rules).
;; Source: Clojure 1.11's clojure.string.

(defn clojure.string/join
  ([coll] (join-text "" (impl/gathered coll)))
  ([separator coll] (join-text (str separator) (impl/gathered coll))))

(defn clojure.string/upper-case [s] (upper-case (str s)))
(defn clojure.string/lower-case [s] (lower-case (str s)))
(defn clojure.string/capitalize [s]
  (let [text (str s)]
    (if (< (count text) 2)
      (upper-case text)
      (str (upper-case (subs text 0 1)) (lower-case (subs text 1))))))
(defn clojure.string/trim [s] (trim s))
(defn clojure.string/blank? [s] (blank? s))
(defn clojure.string/starts-with? [s part] (starts-with? (str s) part))
(defn clojure.string/ends-with? [s part] (ends-with? (str s) part))
(defn clojure.string/includes? [s part] (includes? (str s) part))
(defn clojure.string/index-of
  ([s part] (index-of s (str part)))
  ([s part from] (index-of s (str part) from)))

(defn clojure.string/last-index-of
  ([s part] (clojure.string/last-index-of s part (count s)))
  ([s part from]
   (let [text (str part)]
     (loop [found nil at (index-of s text)]
       (if (or (nil? at) (> at from)) found (recur at (index-of s text (inc at))))))))

(defn clojure.string/replace [s match replacement]
  (replace-text s (str match) (str replacement)))

(defn clojure.string/replace-first [s match replacement]
  (let [text (str match) at (index-of s text)]
    (if (nil? at)
      s
      (str (subs s 0 at) (str replacement) (subs s (+ at (count text)))))))

(defn impl/split-limited [s separator limit]
  (loop [parts [] left s]
    (let [at (if (< (inc (count parts)) limit) (index-of left separator) nil)]
      (if (nil? at)
        (conj parts left)
        (recur (conj parts (subs left 0 at)) (subs left (+ at (count separator))))))))

(defn clojure.string/split
  ([s separator] (split-text s (str separator)))
  ([s separator limit]
   (if (pos? limit)
     (impl/split-limited s (str separator) limit)
     (impl/split-limited s (str separator) (inc (count s))))))

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
