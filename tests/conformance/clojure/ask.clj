;; Clojure's answers to the expressions of files.
;;
;; Is:     run by `make clojure-differences` under Debian's clojure: for every FILE.clj named, FILE.answers is written.
;; Is not: run by `make test`, which compares with the recorded answers (tests/conformance/test_clojure.py).
;; Fits:   an expression is a line; its answer is a line: `= ` and what pr-str gives, or `! ` and the class of the error.

(require '[clojure.string :as str] '[clojure.set :as set] '[clojure.walk :as walk] '[clojure.edn :as edn]
         '[clojure.math :as math])

(def seconds-max 20)

(defn cause-of [error]
  (if (and (instance? clojure.lang.Compiler$CompilerException error) (ex-cause error))
    (recur (ex-cause error))
    error))

(defn answer [line]
  (let [task (future
               (binding [*out* (java.io.StringWriter.) *ns* (the-ns (quote user)) *print-namespace-maps* false]
                 (try
                   (str "= " (pr-str (eval (read-string line))))
                   (catch Throwable error
                     (str "! " (.getSimpleName (class (cause-of error))))))))
        found (deref task (* 1000 seconds-max) "! Timeout")]
    (-> found
        (str/replace #"clojure\.[\w.$]+@[0-9a-f]+" "#object")
        (str/replace #"#object\[[^\]]*\]" "#object")
        (str/replace "\n" "\\newline "))))

(defn expression? [line]
  (not (or (str/blank? line) (str/starts-with? line ";"))))

(doseq [file *command-line-args*]
  (let [lines (filter expression? (str/split-lines (slurp file)))]
    (spit (str/replace file #"\.clj$" ".answers") (str (str/join "\n" (map answer lines)) "\n"))))

(System/exit 0)  ; also when an expression has not ended
