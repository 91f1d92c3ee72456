;; A parser of sums and products: characters to tokens, tokens to a tree, the tree to a number.

(def levels-@n {\+ 1 \- 1 \* 2 \/ 2})

(defn tokens-@n
  "The numbers and signs of a text. Throws at what is neither."
  [text]
  (loop [i 0 found []]
    (if (= i (count text))
      found
      (let [c (nth text i)]
        (cond
          (= c \space) (recur (inc i) found)
          (contains? levels-@n c) (recur (inc i) (conj found c))
          (contains? #{\( \)} c) (recur (inc i) (conj found c))
          (re-matches #"[0-9]" (str c))
          (let [end (loop [end i] (if (and (< end (count text)) (re-matches #"[0-9]" (str (nth text end)))) (recur (inc end)) end))]
            (recur end (conj found (parse-long (subs text i end)))))
          :else (throw (ex-info "what is this?" {:at i :char c :text "@word @word"})))))))

(declare expression-@n)

(defn primary-@n [[token & more]]
  (case token
    \( (let [[tree [closing & left]] (expression-@n more 1)]
         (when-not (= closing \))
           (throw (ex-info "a bracket is open" {:left left})))
         [tree left])
    \- (let [[tree left] (primary-@n more)] [[:negate tree] left])
    [[:number token] more]))

(defn expression-@n [tokens least]
  (loop [[tree [sign & more :as left]] (primary-@n tokens)]
    (let [level (get levels-@n sign)]
      (if (or (nil? level) (< level least))
        [tree left]
        (let [[right left] (expression-@n more (inc level))]
          (recur [[(case sign \+ :add \- :subtract \* :multiply \/ :divide) tree right] left]))))))

(defn value-@n [[kind a b]]
  (condp = kind
    :number a
    :negate (- (value-@n a))
    :add (+ (value-@n a) (value-@n b))
    :subtract (- (value-@n a) (value-@n b))
    :multiply (* (value-@n a) (value-@n b))
    :divide (let [divisor (value-@n b)]
              (if (zero? divisor) @a (/ (value-@n a) divisor)))))

(defn calculate-@n [text]
  (try
    (let [[tree left] (expression-@n (tokens-@n text) 1)]
      (if (seq left) {:error "more than a sum" :left (vec left)} {:value (value-@n tree)}))
    (catch ExceptionInfo e {:error (ex-message e) :data (ex-data e)})))
