; Small programs that use many parts together.
(defn qsort [xs] (if (empty? xs) [] (let [[p & more] xs] (concat (qsort (filter #(< % p) more)) [p] (qsort (remove #(< % p) more))))))
(qsort [3 1 4 1 5 9 2 6])
; expect: (1 1 2 3 4 5 6 9)
(defn insert [tree x] (cond (nil? tree) {:value x} (< x (:value tree)) (update tree :left insert x) :else (update tree :right insert x)))
(defn walk [tree] (when tree (concat (walk (:left tree)) [(:value tree)] (walk (:right tree)))))
(walk (reduce insert nil [5 2 8 1 9 3]))
; expect: (1 2 3 5 8 9)
(def graph {:a [:b :c] :b [:d] :c [:d] :d [:e] :e []})
(defn path [from to] (loop [queue [[from]] seen #{from}] (when-let [p (first queue)] (let [at (peek p)] (if (= at to) p (let [more (remove seen (graph at))] (recur (into (vec (rest queue)) (map (fn [n] (conj p n)) more)) (into seen more))))))))
(path :a :e)
; expect: [:a :b :d :e]
(defn permutations [xs] (if (empty? xs) [[]] (for [x xs p (permutations (remove #{x} xs))] (cons x p))))
(permutations [1 2 3])
; expect: ((1 2 3) (1 3 2) (2 1 3) (2 3 1) (3 1 2) (3 2 1))
(defn safe? [queens q] (every? (fn [[i x]] (and (not= x q) (not= (abs (- x q)) (inc i)))) (map-indexed vector (reverse queens))))
(defn queens [n] (loop [k 0 boards [[]]] (if (= k n) boards (recur (inc k) (for [b boards q (range n) :when (safe? b q)] (conj b q))))))
(count (queens 4))
; expect: 2
(defn sieve [n] (loop [candidates (range 2 n) primes []] (if-let [p (first candidates)] (recur (remove #(zero? (mod % p)) (rest candidates)) (conj primes p)) primes)))
(sieve 30)
; expect: [2 3 5 7 11 13 17 19 23 29]
(defn word-count [text] (frequencies (map str/lower-case (str/split text " "))))
(word-count "the cat and The dog and the bird")
; expect: {"the" 3 "cat" 1 "and" 2 "dog" 1 "bird" 1}
(defn transpose [m] (apply mapv vector m))
(defn multiply [a b] (let [columns (transpose b)] (mapv (fn [row] (mapv (fn [column] (reduce + (map * row column))) columns)) a)))
(multiply [[1 2] [3 4]] [[5 6] [7 8]])
; expect: [[19 22] [43 50]]
(defn evaluate [form env] (cond (number? form) form (symbol? form) (get env form) :else (let [[op & args] form values (map #(evaluate % env) args)] (case op + (apply + values) - (apply - values) * (apply * values)))))
(evaluate '(+ (* x 2) (- y 1)) {'x 5 'y 4})
; expect: 13
(defn balanced? [text] (loop [chars (seq text) stack ()] (if-let [c (first chars)] (case c (\( \[) (recur (next chars) (conj stack c)) \) (if (= (peek stack) \() (recur (next chars) (pop stack)) false) \] (if (= (peek stack) \[) (recur (next chars) (pop stack)) false) (recur (next chars) stack)) (empty? stack))))
(map balanced? ["([])" "([)]" "(" "a(b)c"])
; expect: (true false false true)
(defn life [cells] (let [neighbours (fn [[x y]] (for [dx [-1 0 1] dy [-1 0 1] :when (not= 0 dx dy)] [(+ x dx) (+ y dy)])) counts (frequencies (mapcat neighbours cells))] (set (for [[cell n] counts :when (or (= n 3) (and (= n 2) (cells cell)))] cell))))
(life #{[1 0] [1 1] [1 2]})
; expect: #{[0 1] [1 1] [2 1]}
(defn roman [n] (loop [n n out "" [[value text] & more :as table] [[10 "X"] [9 "IX"] [5 "V"] [4 "IV"] [1 "I"]]] (cond (zero? n) out (>= n value) (recur (- n value) (str out text) table) :else (recur n out more))))
(map roman [1 4 9 14 29])
; expect: ("I" "IV" "IX" "XIV" "XXIX")
(defn push [stack x] (conj stack x))
(defn run [program] (reduce (fn [stack token] (if (number? token) (push stack token) (let [b (peek stack) a (peek (pop stack))] (push (pop (pop stack)) ((token {'+ + '- - '* *}) a b))))) [] program))
(run '[3 4 + 2 *])
; expect: [14]
(defn digits [n] (loop [n n out ()] (if (< n 10) (conj out n) (recur (quot n 10) (conj out (rem n 10))))))
[(digits 12345) (reduce + (digits 987))]
; expect: [(1 2 3 4 5) 24]
(defn change [total coins] (cond (zero? total) 1 (or (neg? total) (empty? coins)) 0 :else (+ (change (- total (first coins)) coins) (change total (rest coins)))))
(change 20 [10 5 1])
; expect: 9
(defn accounts [] (let [state (atom {})] {:deposit (fn [who n] (swap! state update who (fnil + 0) n)) :withdraw (fn [who n] (if (< (get @state who 0) n) (throw (ex-info "insufficient funds" {:who who})) (swap! state update who - n))) :balance (fn [who] (get @state who 0))}))
(let [{:keys [deposit withdraw balance]} (accounts)] (deposit :ann 100) (withdraw :ann 30) [(balance :ann) (try (withdraw :ann 100) (catch ExceptionInfo e (:who (ex-data e)))) (balance :bob)])
; expect: [70 :ann 0]
(defn pascal [n] (take n (iterate (fn [row] (mapv + (cons 0 row) (conj (vec row) 0))) [1])))
(pascal 5)
; expect: ([1] [1 1] [1 2 1] [1 3 3 1] [1 4 6 4 1])
(defn compose-all [& fs] (reduce comp fs))
((compose-all str inc #(* 2 %)) 5)
; expect: "11"
(defn run-length [xs] (map (fn [run] [(first run) (count run)]) (partition-by identity xs)))
(run-length "aaabccd")
; expect: ([\a 3] [\b 1] [\c 2] [\d 1])
(defn flatten-keys [m] (into {} (mapcat (fn [[k v]] (if (map? v) (map (fn [[inner x]] [(into [k] inner) x]) (flatten-keys v)) [[[k] v]])) m)))
(flatten-keys {:a 1 :b {:c 2 :d {:e 3}}})
; expect: {[:a] 1 [:b :c] 2 [:b :d :e] 3}
(def people [{:name "Ann" :age 30 :town "X"} {:name "Bob" :age 20 :town "Y"} {:name "Cy" :age 40 :town "X"}])
(->> people (group-by :town) (map (fn [[town ps]] [town (/ (reduce + (map :age ps)) (count ps))])) (into {}))
; expect: {"X" 35 "Y" 20}
