; A worker for Datalevin: requests as lines of JSON on stdin, answers as lines of JSON on stdout.
; Its cache of results is off, as in its own benchmarks; plans and index look-ups stay cached.
(require '[datalevin.core :as d] '[datalevin.query] '[jsonista.core :as json] '[clojure.edn :as edn]
         '[clojure.java.io :as io] '[clojure.walk :as walk])
(import '[java.util UUID])

(def out *out*)
(alter-var-root #'datalevin.query/*cache?* (constantly false))

(def schema
  {:follows {:db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
   :alias {:db/valueType :db.type/string :db/cardinality :db.cardinality/many}
   :name {:db/valueType :db.type/string} :last-name {:db/valueType :db.type/string}
   :full-name {:db/valueType :db.type/string} :sex {:db/valueType :db.type/keyword}
   :age {:db/valueType :db.type/long} :salary {:db/valueType :db.type/long}
   :person/name {:db/valueType :db.type/string} :person/city {:db/valueType :db.type/string}
   :person/mail {:db/valueType :db.type/string}
   :person/age {:db/valueType :db.type/long} :person/salary {:db/valueType :db.type/long}
   :person/boss {:db/valueType :db.type/ref}})

(def unsafe {:kv-opts {:flags #{:nordahead :writemap :nosync}}}) ; as in its own benchmarks of adding
(def folder (atom nil))
(def databases (atom {}))

(defn fresh [] (str @folder "/" (UUID/randomUUID)))
(defn value [a v] (if (= a "sex") (keyword v) v))
(defn person [p] (into {} (for [[k v] p] [(keyword (if (= k ":db/id") "db/id" k)) (value k v)])))
(defn people [path] (mapv person (json/read-value (slurp path))))
(defn datoms [path]
  (with-open [reader (io/reader path)]
    (into [] (map (fn [line] (let [[e a v] (json/read-value line)] (d/datom e (keyword a) (value a v)))))
          (line-seq reader))))

(defn add-1 [ps]
  (reduce (fn [db p]
            (reduce (fn [db a] (d/db-with db [[:db/add (:db/id p) a (a p)]])) db [:name :last-name :sex :age :salary]))
          (d/empty-db (fresh) schema unsafe) ps))
(defn add-5 [ps] (reduce (fn [db p] (d/db-with db [p])) (d/empty-db (fresh) schema unsafe) ps))
(defn add-all [ps] (d/db-with (d/empty-db (fresh) schema unsafe) ps))

; What makes a database gives it back, to be closed outside of the measured time.
(defn work [request]
  (let [{:strs [add init pull lookups entity attribute query rules inputs]} request
        db (get @databases (request "db"))]
    (cond
      add (let [ps (people (request "people")) f ({"add-1" add-1 "add-5" add-5 "add-all" add-all} add)] #(f ps))
      init (let [ds (datoms init)] #(d/init-db ds (fresh) schema unsafe))
      pull (let [pattern (edn/read-string pull)] #(d/pull db pattern entity))
      lookups (let [a (keyword attribute)] #(doseq [e lookups] (:v (first (d/datoms db :eav e a)))))
      :else (let [q (edn/read-string query)
                  given (concat [db] (when rules [(edn/read-string rules)]) inputs)]
              #(apply d/q q given)))))

(def prepared (atom {}))
(defn thunk [request]
  (let [k (dissoc request "do" "sample_ms" "clock")]
    (or (get @prepared k) (let [made (work k)] (swap! prepared assoc k made) made))))

(defn ms [started] (/ (- (System/nanoTime) started) 1e6))
(defn makes? [request] (or (request "add") (request "init")))

(def threads (java.lang.management.ManagementFactory/getThreadMXBean))
; Processor time is that of the thread that asks: what collects garbage and compiles meanwhile is not counted.
(defn timed [request]
  (let [run (thunk request) sample (double (request "sample_ms"))
        now (if (= (request "clock") "cpu") #(.getCurrentThreadCpuTime threads) #(System/nanoTime))]
    (loop [n 1 passed 0.0]
      (let [started (long (now))
            made (run)
            passed (+ passed (/ (- (long (now)) started) 1e6))]
        (when (makes? request) (d/close-db made))
        (if (< passed sample) (recur (inc n) passed) (/ passed n))))))

(defn ingest [{:strs [facts path names]}]
  (let [add (fn [[e a v]] [:db/add e (keyword (nth names a)) v])
        entity (fn [facts] (into {} (map (fn [[_ a v]] [(keyword (nth names a)) v])) facts))
        batches (mapv (fn [batch] (if (= (count batch) 1) (mapv add batch) (mapv entity (partition-by first batch))))
                      (json/read-value (slurp facts)))
        conn (d/get-conn path schema)
        started (System/nanoTime)]
    (doseq [batch batches] (d/transact! conn batch))
    (let [passed (/ (ms started) 1e3)]
      (d/close conn)
      passed)))

(defn plain [x] (walk/postwalk #(if (keyword? %) (subs (str %) 1) %) x))

(defn answer [request]
  (case (request "do")
    "version" (second (re-find #"datalevin-runtime-([\d.]+)\.jar" (System/getProperty "java.class.path")))
    "folder" (do (reset! folder (request "path")) nil)
    "forget" (do (reset! prepared {}) (run! d/close-db (vals @databases)) (reset! databases {}) nil)
    "load" (let [ds (datoms (request "file")) started (System/nanoTime)]
             (swap! databases assoc (request "db") (d/init-db ds (fresh) schema))
             (ms started))
    "transact" (do (swap! databases assoc (request "db")
                          (d/db-with (d/empty-db (fresh) schema unsafe) (people (request "people"))))
                   nil)
    "answer" (let [found ((thunk request))]
               (if (makes? request)
                 (let [n (count (d/datoms found :eav))] (d/close-db found) n)
                 (plain (if (set? found) (vec found) found))))
    "time" (timed request)
    "ingest" (ingest request)))

(loop []
  (when-let [line (read-line)]
    (let [result (try {:answer (answer (json/read-value line))}
                      (catch Throwable error {:error (str (.getSimpleName (class error)) ": " (ex-message error))}))]
      (.write out (str (json/write-value-as-string result) "\n"))
      (.flush out))
    (recur)))
(System/exit 0)
