;; Macros: control forms of the module's own, and what uses them.

(defmacro unless-@n [test & body] `(if ~test nil (do ~@body)))

(defmacro with-counter-@n
  "Evaluate body with `counted`, a function that counts; return [value count]."
  [[counted] & body]
  `(let [cell# (atom 0)
         ~counted (fn [x#] (swap! cell# inc) x#)
         value# (do ~@body)]
     [value# @cell#]))

(defmacro defgetters-@n [prefix & ks]
  `(do ~@(map (fn [k] `(defn ~(symbol (str prefix "-" (name k))) [m#] (get m# ~k))) ks)))

(defmacro stepwise-@n [x & steps]
  (if (seq steps)
    (let [[[f & args] & more] steps]
      `(let [x# (~f ~x ~@args)] (unless-@n (nil? x#) (stepwise-@n x# ~@more))))
    x))

(defgetters-@n order-@n :customer :total :lines :shipping)

(defn counted-sum-@n [xs]
  (with-counter-@n [tick]
    (reduce + (map (fn [x] (unless-@n (neg? x) (tick (* x @a)))) (filter some? xs)))))

(defn stepped-@n [m]
  (stepwise-@n m
    (get :@word)
    (assoc :seen true)
    (update :count (fnil inc @b))
    (select-keys [:seen :count])))

(defn classify-@n [n]
  (unless-@n (not (int? n))
    (cond-> #{}
      (even? n) (conj :even)
      (zero? (mod n 3)) (conj :fizz)
      (zero? (mod n 5)) (conj :buzz)
      (> n @c) (conj :large))))
