;; Orders: lines of a sale, discounts by rule, totals by customer.

(def tax-of-@n {:book 1/20 :food 7/100 :tool 19/100 :toy 19/100})
(def discounts-@n
  [{:name "@word for many" :when (fn [{:keys [quantity]}] (> quantity @a)) :rate 5}
   {:name "season of @word" :when (fn [{:keys [kind month] :or {month 1}}] (and (= kind :toy) (< 10 month))) :rate @b}
   {:name "rest" :when (constantly true) :rate 0}])

(defn line-total-@n
  "The price of one line after its discount and with tax, in cents."
  [{:keys [price quantity kind] :as line}]
  (let [plain (* price quantity)
        {:keys [rate]} (first (filter (fn [rule] ((:when rule) line)) discounts-@n))
        reduced (- plain (quot (* plain rate) 100))]
    (+ reduced (long (* reduced (get tax-of-@n kind 0))))))

(defn order-total-@n [{:keys [lines shipping] :or {shipping @c}}]
  (cond
    (empty? lines) 0
    (every? (fn [line] (= :book (:kind line))) lines) (reduce + (map line-total-@n lines))
    :else (+ shipping (transduce (map line-total-@n) + 0 lines))))

(defn by-customer-@n
  "Orders -> {customer {:count n :total cents :largest order}}"
  [orders]
  (reduce (fn [found {:keys [customer] :as order}]
            (let [total (order-total-@n order)]
              (-> found
                  (update-in [customer :count] (fnil inc 0))
                  (update-in [customer :total] (fnil + 0) total)
                  (update-in [customer :largest]
                             (fn [[_ most :as before]]
                               (if (or (nil? before) (< most total)) [order total] before))))))
          {}
          orders))

(defn report-@n [orders]
  (doseq [[customer {:keys [total] n :count}] (sort-by (comp - :total val) (by-customer-@n orders))
          :when (pos? total)]
    (println (format "%-12s %4d %9.2f" (name customer) n (/ total 100.0)))))
