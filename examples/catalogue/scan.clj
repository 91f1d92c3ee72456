(ns catalogue.scan
  "Reading texts character by character: places, and errors that tell them.

  A scanner is a function from a text and a position to a pair: what was read, and the position after it."
  (:require [clojure.string :as str]))

(defn place
  "The line and column of a position in a text, both counted from one."
  [text position]
  (let [before (subs text 0 (min position (count text)))
        newlines (count (filter #{\newline} before))
        last-newline (str/last-index-of before "\n")]
    {:line (inc newlines)
     :column (if last-newline
               (- (count before) last-newline)
               (inc (count before)))}))

(defn fail
  "Throw the error of a place in a text."
  ([text position message]
   (fail text position message {}))
  ([text position message data]
   (let [{:keys [line column] :as where} (place text position)]
     (throw (ex-info (format "line %d, column %d: %s" line column message)
                     (merge {:type ::syntax} where data))))))

(defn syntax-error?
  "Whether an error was thrown by fail."
  [error]
  (= ::syntax (:type (ex-data error))))

(defn peek-char
  "The character at a position, nil at the end."
  [text position]
  (get text position))

(defn skip-while
  "The first position from the given one on whose character does not satisfy the predicate."
  [pred text position]
  (loop [at position]
    (let [c (get text at)]
      (if (and (some? c) (pred c))
        (recur (inc at))
        at))))

(defn take-chars
  "The longest run of characters that satisfy the predicate, and the position after it."
  [pred text position]
  (let [end (skip-while pred text position)]
    [(subs text position end) end]))

(defn expect
  "The position after an expected piece of text; an error if it is not there."
  [text position piece]
  (let [end (+ position (count piece))]
    (if (and (<= end (count text))
             (= piece (subs text position end)))
      end
      (fail text position (str "expected " (pr-str piece))))))

(defn between?
  "Whether a character lies between two others."
  [low high c]
  (<= (int low) (int c) (int high)))

(defn digit? [c]
  (and c (between? \0 \9 c)))

(defn letter? [c]
  (and c (or (between? \a \z c) (between? \A \Z c))))

(defn hex-digit? [c]
  (and c (or (digit? c) (between? \a \f c) (between? \A \F c))))

(defn hex-value
  "The number of a hexadecimal text."
  [text]
  (reduce (fn [total c]
            (+ (* 16 total)
               (str/index-of "0123456789abcdef" (str/lower-case (str c)))))
          0
          text))

(defmacro with-context
  "Evaluate body; a syntax error that leaves it has the context in its data, innermost first."
  [context & body]
  `(try
     ~@body
     (catch Exception error#
       (if (syntax-error? error#)
         (throw (ex-info (ex-message error#)
                         (update (ex-data error#) :within (fnil conj []) ~context)))
         (throw error#)))))
