;; What definitions are made of that are more than a value: gensym, macros' results.
;;
;; Is:     the functions that the derived forms of yang/definitions.py and yang/macros.py call.
;; Is not: those forms.
;; Fits:   one file of the core library (core.clj has its rules).
;; Source: Clojure 1.11's clojure.core.

;; ---- names

(defn impl/gensym
  "A symbol that the program has not made before: `counter` is its own."
  [counter prefix]
  (symbol (str prefix (swap! counter inc))))

(defn impl/gensym-of [counter]
  (fn ([] (impl/gensym counter "G__")) ([prefix] (impl/gensym counter prefix))))

(defn impl/realize-deep
  "Realise every lazy seq inside of data."
  [data]
  (if (coll? data)
    (do
      (if (lazy-seq? data) (realize-all data) nil)
      (run! impl/realize-deep data))
    nil))

(defn impl/macro-result
  "What a macro made, all of it, and then the count of gensym."
  [form count-of]
  (impl/realize-deep form)
  [form (count-of)])
