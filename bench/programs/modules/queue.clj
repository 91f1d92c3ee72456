;; A work queue: priorities, retries, transducers, laziness; a record and a protocol.

(defprotocol Job-@n
  (cost-@n [job] "How much it takes.")
  (run-@n [job context] "Its result."))

(defrecord Copy-@n [from to size]
  Job-@n
  (cost-@n [job] (* size @a))
  (run-@n [job {:keys [files]}] {:written to :from (get files from)}))

(defrecord Notify-@n [who text]
  Job-@n
  (cost-@n [_] @b)
  (run-@n [job context] {:told who :text (str/upper-case text) :at (:now context)}))

(defn queue-@n [] (sorted-map))
(defn with-job-@n [queue priority job] (update queue priority (fnil conj []) job))

(defn next-job-@n [queue]
  (when-let [[priority [job & more]] (first queue)]
    [job (if more (assoc queue priority (vec more)) (dissoc queue priority))]))

(defn worked-@n
  "Run jobs until the budget is spent; [results left spent]."
  [queue context budget]
  (loop [queue queue spent 0 results []]
    (if-some [[job left] (next-job-@n queue)]
      (let [total (+ spent (cost-@n job))]
        (if (> total budget)
          [results queue spent]
          (recur left total (conj results (try (run-@n job context) (catch Exception e {:failed (ex-message e)}))))))
      [results queue spent])))

(def tidy-@n
  (comp (remove :failed)
        (map (fn [{:keys [told written] :as result}] (assoc result :kind (cond told :told written :written :else :other))))
        (partition-by :kind)
        (map (juxt (comp :kind first) count))
        (take-while (fn [[_ n]] (< n @c)))))

(defn summary-@n [results]
  (let [{:keys [told written]} (into {} tidy-@n results)
        lines (lazy-seq (cons (str "told: " (or told 0)) (lazy-seq [(str "written: " (or written 0))])))]
    (when (some pos? [(or told 0) (or written 0)])
      (str/join ", " (map #(str "@word " %) lines)))))
