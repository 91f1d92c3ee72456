;; The public names of Clojure's libraries, one a line: run by `make clojure-differences` under Debian's clojure.

(doseq [library '[clojure.core clojure.string clojure.set clojure.walk clojure.edn clojure.math]]
  (require library)
  (doseq [name (sort (keys (ns-publics library)))]
    (println (str library "/" name))))
