;; clojure.walk of the core library.
;;
;; Is:     clojure.walk in plain Clojure.
;; Is not: a walk with a stack of its own: depth costs frames, which are the agent's memory.
;; Fits:   one file of the core library (core.clj has its rules).
;; Source: Clojure 1.11's clojure.walk.

(defn clojure.walk/walk [inner outer form]
  (cond
    (list? form) (outer (apply list (map inner form)))
    (seq? form) (outer (doall (map inner form)))
    (coll? form) (outer (into (empty form) (map inner form)))
    :else (outer form)))

(defn clojure.walk/postwalk [f form]
  (clojure.walk/walk (fn [part] (clojure.walk/postwalk f part)) f form))

(defn clojure.walk/prewalk [f form]
  (clojure.walk/walk (fn [part] (clojure.walk/prewalk f part)) identity (f form)))

(defn clojure.walk/postwalk-replace [replacements form]
  (clojure.walk/postwalk (fn [x] (if (contains? replacements x) (get replacements x) x)) form))

(defn clojure.walk/prewalk-replace [replacements form]
  (clojure.walk/prewalk (fn [x] (if (contains? replacements x) (get replacements x) x)) form))

(defn clojure.walk/keywordize-keys [m]
  (clojure.walk/postwalk
    (fn [x] (if (map? x) (into {} (map (fn [[k v]] (if (string? k) [(keyword k) v] [k v])) x)) x))
    m))

(defn clojure.walk/stringify-keys [m]
  (clojure.walk/postwalk
    (fn [x] (if (map? x) (into {} (map (fn [[k v]] (if (keyword? k) [(name k) v] [k v])) x)) x))
    m))

(defn clojure.walk/postwalk-demo [form]
  (clojure.walk/postwalk (fn [x] (print "Walked: ") (prn x) x) form))

(defn clojure.walk/prewalk-demo [form]
  (clojure.walk/prewalk (fn [x] (print "Walked: ") (prn x) x) form))
