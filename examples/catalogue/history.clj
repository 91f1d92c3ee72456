(ns catalogue.history
  "A value with its past: every change is kept as edits, can be undone and done again, and is told to listeners."
  (:require [catalogue.diff :as diff]))

(defrecord Change [title edits])

(defn start
  "A history that begins with a value."
  [value]
  (atom {:value value, :past (), :future ()}))

(defn value [history]
  (:value @history))

(defn change!
  "Change the value with a function; the title says what for. What changed nothing is not kept."
  [history title f & args]
  (:value
   (swap! history
          (fn [{:keys [value past] :as state}]
            (let [after (apply f value args)
                  edits (diff/edits value after)]
              (if (empty? edits)
                state
                {:value after, :past (conj past (->Change title edits)), :future ()}))))))

(defn- step [state from to direction]
  (if-let [{:keys [edits] :as change} (first (from state))]
    (-> state
        (update from rest)
        (update to conj change)
        (update :value diff/patch (direction edits)))
    state))

(defn undo! [history]
  (:value (swap! history step :past :future diff/undo)))

(defn redo! [history]
  (:value (swap! history step :future :past identity)))

(defn titles
  "What was done, oldest first."
  [history]
  (reverse (map :title (:past @history))))

(defn listen!
  "Call a function with the value before and after each change."
  [history k f]
  (add-watch history k
             (fn [_ _ {before :value} {after :value}]
               (when (not= before after)
                 (f before after)))))
