(ns catalogue.stem
  "English words to their stems.

  Source: M. F. Porter, An algorithm for suffix stripping, Program 14 (1980). A word is read as [C](VC)^m[V]; the measure m
  decides whether a suffix may go."
  (:require [clojure.string :as str]))

(defn- vowel-at?
  "Whether the letter at a place is a vowel; y is one after a consonant."
  [word index]
  (case (nth word index)
    (\a \e \i \o \u) true
    \y (and (pos? index) (not (vowel-at? word (dec index))))
    false))

(defn- shape
  "A word as v and c, runs of the same written once."
  [word]
  (->> (range (count word))
       (map (fn [index] (if (vowel-at? word index) \v \c)))
       dedupe
       (apply str)))

(defn measure
  "How often a vowel is followed by a consonant."
  [stem]
  (count (re-seq #"vc" (shape stem))))

(defn- has-vowel? [stem]
  (boolean (some (partial vowel-at? stem) (range (count stem)))))

(defn- double-consonant? [word]
  (let [n (count word)]
    (and (> n 1)
         (= (nth word (- n 1)) (nth word (- n 2)))
         (not (vowel-at? word (dec n))))))

(defn- ends-cvc?
  "Whether a word ends as in hop: consonant, vowel, consonant that is not w, x or y."
  [word]
  (let [n (count word)]
    (and (> n 2)
         (not (vowel-at? word (- n 1)))
         (vowel-at? word (- n 2))
         (not (vowel-at? word (- n 3)))
         (not (#{\w \x \y} (nth word (dec n)))))))

(defn- without [word suffix]
  (subs word 0 (- (count word) (count suffix))))

(defn- replace-suffix
  "The word with the first suffix of the rules that it has replaced, if what is before it passes the test."
  [word test rules]
  (or (some (fn [[suffix replacement]]
              (when (str/ends-with? word suffix)
                (let [stem (without word suffix)]
                  (if (test stem) (str stem replacement) word))))
            (partition 2 rules))
      word))

(defn- step-1a [word]
  (replace-suffix word (constantly true) ["sses" "ss", "ies" "i", "ss" "ss", "s" ""]))

(defn- mend
  "What is left of a word that lost -ed or -ing, made a word again."
  [word]
  (cond
    (re-find #"(at|bl|iz)$" word) (str word "e")
    (and (double-consonant? word) (not (re-find #"[lsz]$" word))) (subs word 0 (dec (count word)))
    (and (= 1 (measure word)) (ends-cvc? word)) (str word "e")
    :else word))

(defn- step-1b [word]
  (if (str/ends-with? word "eed")
    (replace-suffix word #(pos? (measure %)) ["eed" "ee"])
    (if-let [suffix (some #(when (str/ends-with? word %) %) ["ed" "ing"])]
      (let [stem (without word suffix)]
        (if (has-vowel? stem) (mend stem) word))
      word)))

(defn- step-1c [word]
  (replace-suffix word has-vowel? ["y" "i"]))

(defn- step-2 [word]
  (replace-suffix word #(pos? (measure %))
                  ["ational" "ate", "tional" "tion", "enci" "ence", "anci" "ance", "izer" "ize",
                   "abli" "able", "alli" "al", "entli" "ent", "eli" "e", "ousli" "ous",
                   "ization" "ize", "ation" "ate", "ator" "ate", "alism" "al", "iveness" "ive",
                   "fulness" "ful", "ousness" "ous", "aliti" "al", "iviti" "ive", "biliti" "ble"]))

(defn- step-3 [word]
  (replace-suffix word #(pos? (measure %))
                  ["icate" "ic", "ative" "", "alize" "al", "iciti" "ic", "ical" "ic", "ful" "", "ness" ""]))

(defn- step-4 [word]
  (if (re-find #"[st]ion$" word)
    (replace-suffix word #(> (measure %) 1) ["ion" ""])
    (replace-suffix word #(> (measure %) 1)
                    ["al" "", "ance" "", "ence" "", "er" "", "ic" "", "able" "", "ible" "", "ant" "",
                     "ement" "", "ment" "", "ent" "", "ou" "", "ism" "", "ate" "", "iti" "", "ous" "",
                     "ive" "", "ize" ""])))

(defn- step-5 [word]
  (let [word (replace-suffix word
                             (fn [stem]
                               (let [m (measure stem)]
                                 (or (> m 1) (and (= m 1) (not (ends-cvc? stem))))))
                             ["e" ""])]
    (if (and (str/ends-with? word "ll") (> (measure word) 1))
      (subs word 0 (dec (count word)))
      word)))

(def ^:private steps
  (apply comp (reverse [step-1a step-1b step-1c step-2 step-3 step-4 step-5])))

(def stem
  "The stem of a word in lower case; words of one or two letters are their own."
  (memoize
   (fn [word]
     (if (< (count word) 3)
       word
       (steps word)))))
