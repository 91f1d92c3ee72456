;; Accounts: state in an atom, checks that throw, a log of what was done.

(def ^:dynamic *limit-@n* @c)

(defn- checked-@n [{:keys [balance frozen?] :as account} amount]
  (cond
    frozen? (throw (ex-info "the account is frozen" {:account (:id account)}))
    (not (pos? amount)) (throw (ex-info "an amount is positive" {:amount amount}))
    (> amount *limit-@n*) (throw (ex-info "more than the limit" {:amount amount :limit *limit-@n*}))
    (< balance amount) (throw (ex-info "too little money" {:missing (- amount balance)}))
    :else account))

(defn bank-@n [& ids]
  (atom {:accounts (into {} (map (fn [id] [id {:id id :balance 0 :log []}])) ids) :number @n}))

(defn deposit-@n! [bank id amount]
  (swap! bank update-in [:accounts id]
         (fn [account]
           (-> account
               (update :balance + amount)
               (update :log conj [:deposit amount])))))

(defn transfer-@n!
  "Move money; {:ok balances} or {:refused why}."
  [bank from to amount]
  (try
    (swap! bank
           (fn [{:keys [accounts] :as state}]
             (checked-@n (accounts from) amount)
             (-> state
                 (update-in [:accounts from :balance] - amount)
                 (update-in [:accounts to :balance] + amount)
                 (update-in [:accounts from :log] conj [:out to amount])
                 (update-in [:accounts to :log] conj [:in from amount]))))
    {:ok (mapv (fn [id] (get-in @bank [:accounts id :balance])) [from to])}
    (catch ExceptionInfo e
      {:refused (ex-message e) :why (ex-data e)})
    (finally
      (swap! bank update :transfers (fnil inc 0)))))

(defn close-month-@n! [bank rate]
  (doseq [id (keys (:accounts @bank))]
    (let [balance (get-in @bank [:accounts id :balance])
          interest (quot (* balance rate) 1200)]
      (when (pos? interest)
        (binding [*limit-@n* ##Inf] (deposit-@n! bank id interest))))))
