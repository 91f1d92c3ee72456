;; The core library: what programs call that the machine does not provide itself.
;;
;; Is:     the functions of clojure.core that call back into the program, or that are plain Clojure over the host
;;         functions of yang/primitives.py: functions of functions, collections, cells, output, chance, travel.
;; Is not: host functions, nor derived forms (yang/derived.py). Seqs are in seqs.clj, what is made of continuations in
;;         control.clj and logic.clj, clojure.string in text.clj, clojure.set in sets.clj.
;; Fits:   yang/core.py names the files and compiles them as one library, loaded before any program; its names lose
;;         against a program's own.
;; Source: Clojure 1.11's clojure.core for names, argument orders and edge cases.
;;
;; In every file of the library: only top-level `defn`, functions without captured values, so that programs refer to them
;; as constants. `impl/x` is not reachable from programs.

;; ---- errors

(defn impl/member? [items item]
  (loop [left (seq items)]
    (if left
      (if (= (first left) item) true (recur (next left)))
      false)))

(defn impl/fault-kinds
  "The kinds of fault for which a class of the JVM stands, nil for a class without any."
  [class]
  (case class
    "AssertionError" [:assert]
    "ArithmeticException" [:arithmetic]
    ("IndexOutOfBoundsException" "StringIndexOutOfBoundsException" "ArrayIndexOutOfBoundsException") [:index]
    "ClassCastException" [:type :not-a-function]
    "NullPointerException" [:type :not-a-function]
    "ArityException" [:arity]
    "NumberFormatException" [:argument :number]
    "PatternSyntaxException" [:pattern]
    "CompilerException" [:compile]
    "IllegalArgumentException" [:argument :arity :case :type :not-a-function :pattern :format :number]
    "IllegalStateException" [:state :index]
    "UnsupportedOperationException" [:type]
    ("IllegalFormatException" "UnknownFormatConversionException" "MissingFormatArgumentException"
     "IllegalFormatConversionException" "MissingFormatWidthException" "IllegalFormatFlagsException"
     "FormatFlagsConversionMismatchException" "IllegalFormatPrecisionException" "IllegalFormatWidthException"
     "DuplicateFormatFlagsException" "IllegalFormatCodePointException") [:format]
    nil))

(defn catches?
  "Whether `(catch class ...)` is meant for this error; classes of the JVM by the kind of fault."
  [class error]
  (let [data (ex-data error)
        kind (get (if (sorted? data) (into {} data) data) :fault)]
    (cond
      (impl/member? [":default" "Throwable" "Exception" "Error" "Object"] class) true
      (impl/member? ["ExceptionInfo" "IExceptionInfo"] class) (nil? kind)
      (= class "RuntimeException") (not= kind :assert)
      :else (impl/member? (impl/fault-kinds class) kind))))

;; ---- functions of functions

(defn identity [x] x)
(defn constantly [x] (fn [& _] x))
(defn complement [f] (fn ([] (not (f))) ([x] (not (f x))) ([x y] (not (f x y)))
                       ([x y & more] (not (apply f x y more)))))

(defn comp
  ([] identity)
  ([f] f)
  ([f g] (fn ([] (f (g))) ([x] (f (g x))) ([x y] (f (g x y))) ([x y z] (f (g x y z)))
           ([x y z & more] (f (apply g x y z more)))))
  ([f g & more]
   (loop [composed (comp f g) left (seq more)]
     (if left (recur (comp composed (first left)) (next left)) composed))))

(defn partial
  ([f] f)
  ([f a] (fn ([] (f a)) ([x] (f a x)) ([x y] (f a x y)) ([x y & more] (apply f a x y more))))
  ([f a b] (fn ([] (f a b)) ([x] (f a b x)) ([x & more] (apply f a b x more))))
  ([f a b c] (fn [& more] (apply f a b c more)))
  ([f a b c & others] (fn [& more] (apply f a b c (concat others more)))))

(defn juxt
  ([f] (fn [& xs] [(apply f xs)]))
  ([f g] (fn ([] [(f) (g)]) ([x] [(f x) (g x)]) ([x & more] [(apply f x more) (apply g x more)])))
  ([f g & more]
   (let [functions (list* f g more)]
     (fn [& xs] (mapv (fn [function] (apply function xs)) functions)))))

(defn fnil
  ([f a]
   (fn ([x] (f (if (nil? x) a x)))
     ([x y] (f (if (nil? x) a x) y))
     ([x y & more] (apply f (if (nil? x) a x) y more))))
  ([f a b]
   (fn ([x y] (f (if (nil? x) a x) (if (nil? y) b y)))
     ([x y & more] (apply f (if (nil? x) a x) (if (nil? y) b y) more))))
  ([f a b c]
   (fn ([x y z] (f (if (nil? x) a x) (if (nil? y) b y) (if (nil? z) c z)))
     ([x y z & more]
      (apply f (if (nil? x) a x) (if (nil? y) b y) (if (nil? z) c z) more)))))

(defn memoize [f]
  (let [known (atom {})]
    (fn [& xs]
      (let [found (find @known xs)]
        (if found
          (val found)
          (let [result (apply f xs)]
            (swap! known assoc xs result)
            result))))))

(defn trampoline
  ([f] (let [result (f)] (if (fn? result) (recur result) result)))
  ([f & xs] (trampoline (fn [] (apply f xs)))))

(defn every-pred [& predicates]
  (fn [& xs] (every? (fn [predicate] (every? predicate xs)) predicates)))

(defn impl/some-last
  "As some, but when nothing is found the last answer, which may be false."
  [f coll]
  (loop [left (seq coll) found nil]
    (if (and left (not found)) (recur (next left) (f (first left))) found)))

(defn some-fn [& predicates]
  (fn [& xs]
    (impl/some-last (fn [predicate] (impl/some-last predicate xs)) predicates)))

;; ---- questions about collections

(defn some [f coll]
  (loop [left (seq coll)]
    (if left
      (let [found (f (first left))]
        (if found found (recur (next left))))
      nil)))

(defn every? [f coll]
  (loop [left (seq coll)]
    (if left
      (if (f (first left)) (recur (next left)) false)
      true)))

(defn not-any? [f coll] (not (some f coll)))
(defn not-every? [f coll] (not (every? f coll)))

(defn distinct?
  ([_] true)
  ([a b] (not= a b))
  ([a b & more]
   (let [all (list* a b more)]
     (= (count all) (count (set all))))))

(defn any? [_] true)
(defn seqable? [x] (or (nil? x) (coll? x) (string? x)))
(defn pos-int? [x] (and (int? x) (pos? x)))
(defn neg-int? [x] (and (int? x) (neg? x)))
(defn nat-int? [x] (and (int? x) (not (neg? x))))
(defn ident? [x] (or (keyword? x) (symbol? x)))
(defn qualified-keyword? [x] (and (keyword? x) (some? (namespace x))))
(defn simple-keyword? [x] (and (keyword? x) (nil? (namespace x))))
(defn qualified-symbol? [x] (and (symbol? x) (some? (namespace x))))
(defn simple-symbol? [x] (and (symbol? x) (nil? (namespace x))))
(defn simple-ident? [x] (and (ident? x) (nil? (namespace x))))
(defn qualified-ident? [x] (and (ident? x) (some? (namespace x))))
(defn indexed? [x] (vector? x))
(defn map-entry? [x] (and (vector? x) (= 2 (count x))))
(defn volatile? [x] (atom? x))
(defn class?
  "Is the name of one of Clojure's classes, which are symbols here."
  [x]
  (and (symbol? x) (or (starts-with? (name x) "java.") (starts-with? (name x) "clojure.lang."))))
(defn uri? [_] false)
(defn special-symbol? [x]
  (contains? '#{& . case* catch def deftype* do finally fn* if let* letfn* loop* monitor-enter monitor-exit new quote recur
                reify* set! throw try var import* clojure.core/import*}
             x))
(defn impl/check-number [name x]
  (if (number? x) x (impl/refuse :type (str name ": expected a number, found " (pr-str x)))))
(defn NaN? [x] (let [x (impl/check-number "NaN?" x)] (not (== x x))))
(defn infinite? [x] (or (== x ##Inf) (== x ##-Inf)))
(defn parse-boolean [text]
  (cond
    (= text "true") true
    (= text "false") false
    (string? text) nil
    :else (impl/refuse :argument (str "parse-boolean: expected a string, found " (pr-str text)))))
(defn find-keyword
  ([name] (keyword name))
  ([space name] (keyword space name)))
(defn bounded-count [n coll]
  (if (counted? coll)
    (count coll)
    (loop [i 0 left (seq coll)]
      (if (and left (< i n)) (recur (inc i) (next left)) i))))
(defn realized? [x]
  (cond
    (lazy-seq? x) (nil? (lazy-thunk x))
    :else (impl/refuse :type (str "realized?: expected a lazy seq, found " (pr-str x)))))
(defn gensym
  ([] (gensym "G__"))
  ([prefix] (symbol (str prefix (rand-int 1000000000)))))
(defn random-sample
  ([share] (filter (fn [_] (< (rand) share))))
  ([share coll] (filter (fn [_] (< (rand) share)) coll)))
(defn bit-test [x n] (odd? (bit-shift-right x n)))
(defn bit-set [x n] (bit-or x (bit-shift-left 1 n)))
(defn bit-clear [x n] (bit-and x (bit-not (bit-shift-left 1 n))))
(defn bit-flip [x n] (bit-xor x (bit-shift-left 1 n)))
(defn bit-and-not [x y] (bit-and x (bit-not y)))

;; ---- whole collections

(defn impl/gathered
  "The items of a lazy seq that nobody else holds as a vector; anything else as it is."
  [coll]
  (if (lazy-seq? coll)
    (let [folder (lazy-folder coll)]
      (if folder (folder conj []) coll))
    coll))

(defn vec [coll] (vec* (impl/gathered coll)))

(defn set
  "In a loop, because of many items the host function would be one long instruction."
  [coll]
  (if (set? coll) (with-meta coll nil) (into #{} coll)))

(defn mapv
  ([f coll]
   (if (vector? coll)
     (let [n (count coll)]
       (loop [items [] i 0]
         (if (< i n) (recur (conj items (f (nth coll i))) (inc i)) items)))
     (impl/fold (fn [items x] (conj items (f x))) [] coll)))
  ([f a b]
   (loop [items [] s1 (seq a) s2 (seq b)]
     (if (and s1 s2)
       (recur (conj items (f (first s1) (first s2))) (next s1) (next s2))
       items)))
  ([f a b & more] (vec (apply map f a b more))))

(defn filterv [keep? coll]
  (impl/fold (fn [items x] (if (keep? x) (conj items x) items)) [] coll))

(defn array-map [& entries] (apply hash-map entries))
(defn transient [coll]
  (if (and (or (vector? coll) (map? coll) (set? coll)) (not (sorted? coll)))
    coll
    (impl/refuse :type (str "transient: expected a vector, or an unsorted map or set, found " (pr-str coll)))))
(defn persistent! [coll] coll)
(defn conj! ([] []) ([coll] coll) ([coll x] (conj coll x)))
(defn assoc! [coll k v & more] (apply assoc coll k v more))
(defn dissoc! [coll & ks] (apply dissoc coll ks))
(defn disj! [coll & xs] (apply disj coll xs))
(defn pop! [coll] (pop coll))

(defn impl/absent
  "What no program has as a value."
  []
  nil)

(defn get-in
  ([m ks]
   (loop [value m left (seq ks)]
     (if left (recur (get value (first left)) (next left)) value)))
  ([m ks default]
   (loop [value m left (seq ks)]
     (if left
       (let [found (get value (first left) impl/absent)]
         (if (= found impl/absent) default (recur found (next left))))
       value))))

(defn assoc-in [m [k & ks] value]
  (if ks
    (assoc m k (assoc-in (get m k) ks value))
    (assoc m k value)))

(defn update
  ([m k f] (assoc m k (f (get m k))))
  ([m k f a] (assoc m k (f (get m k) a)))
  ([m k f a b] (assoc m k (f (get m k) a b)))
  ([m k f a b & more] (assoc m k (apply f (get m k) a b more))))

(defn update-in [m [k & ks] f & more]
  (if ks
    (assoc m k (apply update-in (get m k) ks f more))
    (assoc m k (apply f (get m k) more))))

(defn vary-meta
  "The value with what f makes of its metadata."
  [x f & more]
  (with-meta x (apply f (meta x) more)))

(defn update-vals [m f] (impl/fold-seq (fn [found [k v]] (assoc found k (f v))) (with-meta {} (meta m)) m))
(defn update-keys [m f] (impl/fold-seq (fn [found [k v]] (assoc found (f k) v)) (with-meta {} (meta m)) m))

(defn select-keys [m ks]
  (loop [found (with-meta {} (meta m)) left (seq ks)]
    (if left
      (let [entry (find m (first left))]
        (recur (if entry (conj found entry) found) (next left)))
      found)))

(defn zipmap [ks vs]
  (loop [m {} k (seq ks) v (seq vs)]
    (if (and k v)
      (recur (assoc m (first k) (first v)) (next k) (next v))
      m)))

(defn merge [& maps]
  (if (some identity maps)
    (reduce (fn [left right]
              (if (map? right) (impl/fold-seq conj (or left {}) right) (conj (or left {}) right)))
            maps)
    nil))

(defn merge-with [f & maps]
  (let [add (fn [m [k v]]
              (if (contains? m k) (assoc m k (f (get m k) v)) (assoc m k v)))]
    (if (some identity maps)
      (reduce (fn [left right] (impl/fold-seq add (or left {}) right)) maps)
      nil)))

(defn group-by [f coll]
  (impl/fold
    (fn [groups x] (let [k (f x)] (assoc groups k (conj (get groups k []) x))))
    {} coll))

(defn frequencies [coll]
  (if (vector? coll)
    (let [n (count coll)]
      (loop [counts {} i 0]
        (if (< i n)
          (let [stop (min n (+ i 256))]
            (recur (count-each counts coll i stop) stop))
          counts)))
    (impl/fold (fn [counts x] (assoc counts x (inc (get counts x 0)))) {} coll)))

(defn max-key
  ([_ x] x)
  ([k x y] (if (> (k x) (k y)) x y))
  ([k x y & more]
   (reduce (fn [best item] (max-key k best item)) (max-key k x y) more)))

(defn min-key
  ([_ x] x)
  ([k x y] (if (< (k x) (k y)) x y))
  ([k x y & more]
   (reduce (fn [best item] (min-key k best item)) (min-key k x y) more)))

;; ---- sorting: stable merge sort; the comparator gives a number or a boolean

(defn impl/before? [order a b]
  (let [found (order a b)]
    (if (number? found) (neg? found) found)))

(defn impl/merge-sorted [order left right]
  (let [n (count left) m (count right)]
    (loop [items [] i 0 j 0]
      (cond
        (= i n) (if (= j m) items (recur (conj items (nth right j)) i (inc j)))
        (= j m) (recur (conj items (nth left i)) (inc i) j)
        (impl/before? order (nth right j) (nth left i)) (recur (conj items (nth right j)) i (inc j))
        :else (recur (conj items (nth left i)) (inc i) j)))))

(defn impl/sort-part [order items start end]
  (if (< (- end start) 2)
    (subvec items start end)
    (let [middle (quot (+ start end) 2)]
      (impl/merge-sorted order
                         (impl/sort-part order items start middle)
                         (impl/sort-part order items middle end)))))

(defn sort
  ([coll] (sort compare coll))
  ([order coll]
   (if (fn? order) nil (impl/refuse :type (str "sort: expected a function, found " (pr-str order))))
   (let [items (vec coll)]
     (if (empty? items)
       ()
       (with-meta (seq (impl/sort-part order items 0 (count items))) (meta coll))))))

(defn sort-by
  ([f coll] (sort-by f compare coll))
  ([f order coll] (sort (fn [a b] (order (f a) (f b))) coll)))

;; ---- cells

(defn swap!
  ([cell f]
   (loop []
     (let [old (deref cell) new (f old)]
       (if (compare-and-set! cell old new) new (recur)))))
  ([cell f a]
   (loop []
     (let [old (deref cell) new (f old a)]
       (if (compare-and-set! cell old new) new (recur)))))
  ([cell f a b]
   (loop []
     (let [old (deref cell) new (f old a b)]
       (if (compare-and-set! cell old new) new (recur)))))
  ([cell f a b & more] (swap! cell (fn [old] (apply f old a b more)))))

(defn swap-vals! [cell f & more]
  (loop []
    (let [old (deref cell) new (apply f old more)]
      (if (compare-and-set! cell old new) [old new] (recur)))))

(defn reset-vals! [cell new]
  (let [old (deref cell)]
    (reset! cell new)
    [old new]))

(defn volatile! [x] (atom x))
(defn vreset! [cell x] (reset! cell x))
(defn vswap! [cell f & more] (reset! cell (apply f (deref cell) more)))

;; ---- agents that this one starts

(defn spawn!
  "Start an agent that calls f, without arguments, and ends with its value. The id of that agent.
  Options: :name, and :budget, which is set aside for it out of what this agent's tokens have left."
  ([f] (spawn! f {}))
  ([f options]
   (let [id (fork! options)]
     (if (nil? id)
       (try
         (finish! (f))
         (catch :default e (finish! nil (str (ex-message e)))))
       id))))

;; ---- output: lines of the agent's log, unless with-out-str gathers it

(defn impl/say
  "Give text to the innermost with-out-str; without one it is a line of the log, whose end it may have already."
  [text line]
  (let [said (try (suspend* :yin.core/out (if line (str text "\n") text)) (catch :default _ :nobody))]
    (if (= said :nobody)
      (log! (if (and (not line) (ends-with? text "\n")) (subs text 0 (dec (count text))) text))
      nil)))

(defn with-out-str*
  "What a function prints, as a string."
  [f]
  (loop [parts [] k (prompt* :yin.core/out (fn [] (f) nil))]
    (if (nil? k)
      (join-text "" parts)
      (recur (conj parts (suspended-with k)) (prompt* :yin.core/out k nil)))))

(defn println [& xs] (impl/say (apply print-str xs) true))
(defn print [& xs] (impl/say (apply print-str xs) false))
(defn prn [& xs] (impl/say (apply pr-str xs) true))
(defn pr [& xs] (impl/say (apply pr-str xs) false))
(defn newline [] (impl/say "" true))
(defn flush [] nil)
(defn println-str [& xs] (str (apply print-str xs) "\n"))
(defn prn-str [& xs] (str (apply pr-str xs) "\n"))

(defn impl/timed
  "What a function gives; how long it took is said."
  [f]
  (let [start (now) value (f)]
    (println (str "Elapsed time: " (double (- (inst-ms (now)) (inst-ms start))) " msecs"))
    value))

;; ---- chance

(defn rand-int [n] (int (* (rand) n)))
(defn rand-nth [coll] (nth coll (rand-int (count coll))))

(defn shuffle [coll]
  (if (nil? coll) (impl/refuse :type "shuffle: expected a collection, found nil") nil)
  (loop [items (vec coll) i (dec (count items))]
    (if (pos? i)
      (let [j (rand-int (inc i)) item (nth items i)]
        (recur (assoc items i (nth items j) j item) (dec i)))
      items)))

;; ---- uuids

(defn impl/hex
  "The lowest digits of a number."
  [number digits]
  (loop [text "" left number i 0]
    (if (< i digits)
      (recur (str (nth "0123456789abcdef" (bit-and left 15)) text) (bit-shift-right left 4) (inc i))
      text)))

(defn random-uuid []
  (let [a (rand-int 4294967296) b (rand-int 4294967296) c (rand-int 4294967296) d (rand-int 4294967296)]
    (parse-uuid
      (str (impl/hex a 8) "-" (impl/hex (bit-shift-right b 16) 4) "-4" (impl/hex b 3)
           "-" (nth "89ab" (bit-and (bit-shift-right b 12) 3)) (impl/hex (bit-shift-right c 16) 3)
           "-" (impl/hex c 4) (impl/hex d 8)))))

;; ---- travel

(defn on-node
  "Call f on another node, and be back where it started."
  [node f]
  (let [home (here)]
    (if (= home node)
      (f)
      (do
        (hop! node)
        (let [result (try [true (f)] (catch :default error [false error]))]
          (hop! home)
          (if (first result) (second result) (throw (second result))))))))

(defn on-all-nodes
  "Call f on every node in turn; a map from node to result. The agent ends on the last node."
  [f]
  (reduce (fn [results node] (hop! node) (assoc results node (f))) {} (nodes)))
