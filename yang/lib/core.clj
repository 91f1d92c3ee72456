;; The core library: what programs call that the machine does not provide itself.
;;
;; Is:     every function of clojure.core, clojure.string and clojure.set that calls back into the program, or that is
;;         plain Clojure over the host functions of yang/primitives.py.
;; Is not: host functions, nor derived forms (yang/derived.py).
;; Fits:   compiled once (yang/core.py) and loaded before any program; its names lose against a program's own.
;; Source: Clojure 1.11's clojure.core for names, argument orders, laziness and edge cases.
;;
;; Only top-level `defn`: functions without captured values, so that programs refer to them as constants. `impl/x` is
;; not reachable from programs. Seqs are not chunked: one item is computed at a time.

;; ---- lazy seqs: what the machine calls when a host function meets an unrealised one

(defn realize
  "Realise one cell: afterwards it holds nil or a seq that is not lazy."
  [cell]
  (let [thunk (lazy-thunk cell)]
    (if (nil? thunk)
      nil
      (loop [value (thunk)]
        (if (lazy-seq? value)
          (let [inner (lazy-thunk value)]
            (if (nil? inner)
              (recur (lazy-value value))
              (let [found (inner)]
                (lazy-set! value found)
                (recur found))))
          (lazy-set! cell (seq value)))))))

(defn realize-all
  "Realise a seq to its end; its items stay as they are."
  [coll]
  (loop [left (seq coll)]
    (if left (recur (next left)) nil)))

(defn realize-some
  "Realise the first n items of a seq."
  [coll n]
  (loop [left coll n n]
    (if (pos? n)
      (if (seq left) (recur (rest left) (dec n)) nil)
      nil)))

;; ---- errors

(defn impl/member? [items item]
  (loop [left (seq items)]
    (if left
      (if (= (first left) item) true (recur (next left)))
      false)))

(defn catches?
  "Whether `(catch class ...)` is meant for this error; classes of the JVM by the kind of fault."
  [class error]
  (let [kind (get (ex-data error) :fault)
        one-of (fn [& kinds] (impl/member? kinds kind))]
    (cond
      (impl/member? [":default" "Throwable" "Exception" "Error" "Object"] class) true
      (impl/member? ["ExceptionInfo" "IExceptionInfo"] class) (nil? kind)
      (= class "RuntimeException") (not= kind :assert)
      (= class "AssertionError") (= kind :assert)
      (= class "ArithmeticException") (= kind :arithmetic)
      (impl/member? ["IndexOutOfBoundsException" "StringIndexOutOfBoundsException"
                     "ArrayIndexOutOfBoundsException"] class) (= kind :index)
      (= class "ClassCastException") (one-of :type :not-a-function)
      (= class "NullPointerException") (= kind :type)
      (= class "ArityException") (= kind :arity)
      (= class "NumberFormatException") (= kind :argument)
      (= class "IllegalArgumentException") (one-of :argument :arity :case :type)
      (= class "IllegalStateException") (one-of :state :index)
      (= class "UnsupportedOperationException") (= kind :type)
      :else false)))

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

;; ---- folding
;;
;; A lazy seq that nobody else holds need not become cells in order to be folded: the functions of `map`, `filter` and
;; their like have a second body, which folds what they are made from, and `lazy-folder` gives such a function only for
;; an unrealised seq with one owner, whose items nobody can ask for afterwards. Every item is still made when its turn
;; comes, so effects and errors come in the same order.
;; Source: Wadler, "Deforestation" (1990); Ullrich and de Moura, "Counting Immutable Beans" (2019) for the owner.
;;
;; A function of the machine's own (`fold-fn?`) is applied to up to 1024 items of a vector or range in one step.

(defn reduced
  "Wrap a value so that reduce stops with it."
  [x]
  (ex-info "reduced" {:yin.core/reduced x}))

(defn reduced? [x] (if (error? x) (contains? (ex-data x) :yin.core/reduced) false))
(defn unreduced [x] (if (reduced? x) (get (ex-data x) :yin.core/reduced) x))
(defn ensure-reduced [x] (if (reduced? x) x (reduced x)))

(defn impl/fold-chunks [f init items start end]
  (loop [result init i start]
    (if (< i end)
      (let [stop (min end (+ i 1024))]
        (recur (fold-items f result items i stop) stop))
      result)))

(defn impl/fold-vector [f init items start]
  (let [n (count items)]
    (if (fold-fn? f)
      (impl/fold-chunks f init items start n)
      (loop [result init i start]
        (if (< i n)
          (let [found (f result (nth items i))]
            (if (error? found)
              (if (reduced? found) (unreduced found) (recur found (inc i)))
              (recur found (inc i))))
          result)))))

(defn impl/fold-range [f init items [start end step]]
  (if (fold-fn? f)
    (impl/fold-chunks f init items 0 (count items))
    (loop [result init i start]
      (if (< i end)
        (let [found (f result i)]
          (if (error? found)
            (if (reduced? found) (unreduced found) (recur found (+ i step)))
            (recur found (+ i step))))
        result))))

(defn impl/fold-seq [f init items]
  (loop [result init left (seq items)]
    (if left
      (let [found (f result (first left))]
        (if (error? found)
          (if (reduced? found) (unreduced found) (recur found (next left)))
          (recur found (next left))))
      result)))

(defn impl/fold [f init coll]
  (cond
    (vector? coll) (impl/fold-vector f init coll 0)
    (lazy-seq? coll)
    (let [folder (lazy-folder coll)]
      (if folder (folder f init) (impl/fold-seq f init coll)))
    :else
    (let [bounds (range-bounds coll)]
      (if bounds (impl/fold-range f init coll bounds) (impl/fold-seq f init coll)))))

(defn reduce
  ([f coll]
   (if (vector? coll)
     (if (empty? coll) (f) (impl/fold-vector f (nth coll 0) coll 1))
     (let [left (seq coll)]
       (if left (impl/fold f (first left) (rest left)) (f)))))
  ([f init coll] (impl/fold f init coll)))

(defn reduce-kv [f init coll]
  (if (vector? coll)
    (impl/fold-seq (fn [result i] (f result i (nth coll i))) init (range (count coll)))
    (impl/fold-seq (fn [result entry] (f result (key entry) (val entry))) init coll)))

(defn reductions
  ([f coll]
   (lazy-seq
     (let [left (seq coll)]
       (if left (reductions f (first left) (rest left)) (list (f))))))
  ([f init coll]
   (if (reduced? init)
     (list (unreduced init))
     (cons init
           (lazy-seq
             (let [left (seq coll)]
               (if left (reductions f (f init (first left)) (rest left)) nil)))))))

(defn completing
  ([f] (completing f identity))
  ([f end] (fn ([] (f)) ([x] (end x)) ([x y] (f x y)))))

(defn transduce
  ([xform f coll] (transduce xform f (f) coll))
  ([xform f init coll]
   (let [step (xform f)]
     (step (reduce step init coll)))))

(defn into
  ([] [])
  ([to] to)
  ([to from] (impl/fold conj to from))
  ([to xform from] (transduce xform (completing conj) to from)))

(defn run! [f coll]
  (loop [left (seq coll)]
    (if left
      (if (reduced? (f (first left))) nil (recur (next left)))
      nil)))

;; ---- parts of seqs

(defn second [coll] (first (next coll)))
(defn ffirst [coll] (first (first coll)))
(defn fnext [coll] (first (next coll)))
(defn nfirst [coll] (next (first coll)))
(defn nnext [coll] (next (next coll)))

(defn last [coll]
  (if (vector? coll)
    (peek coll)
    (loop [left (seq coll) item nil]
      (if left (recur (next left) (first left)) item))))

(defn butlast [coll]
  (loop [items [] left (seq coll)]
    (if (next left)
      (recur (conj items (first left)) (next left))
      (seq items))))

(defn nthrest [coll n]
  (loop [left coll n n]
    (if (pos? n)
      (let [items (seq left)]
        (if items (recur (rest items) (dec n)) ()))
      left)))

(defn nthnext [coll n]
  (loop [left (seq coll) n n]
    (if (and left (pos? n)) (recur (next left) (dec n)) left)))

(defn list*
  ([items] (seq items))
  ([a items] (cons a items))
  ([a b items] (cons a (cons b items)))
  ([a b c items] (cons a (cons b (cons c items))))
  ([a b c d & more]
   (let [spread (fn spread [left]
                  (if (next left) (cons (first left) (spread (next left))) (seq (first left))))]
     (cons a (cons b (cons c (cons d (spread more))))))))

(defn not-empty [coll] (if (seq coll) coll nil))
(defn rseq [coll] (seq (reverse coll)))

(defn dorun
  ([coll] (realize-all coll))
  ([n coll]
   (loop [left (seq coll) n n]
     (if (and left (pos? n)) (recur (next left) (dec n)) nil))))

(defn doall
  ([coll] (realize-all coll) coll)
  ([n coll] (dorun n coll) coll))

(defn take-last [n coll]
  (loop [left (seq coll) ahead (seq (drop n coll))]
    (if ahead (recur (next left) (next ahead)) left)))

;; ---- lazy seqs from seqs; with one argument less, transducers

(defn impl/transposed [colls]
  (lazy-seq
    (let [seqs (mapv seq colls)]
      (if (every? identity seqs)
        (cons (mapv first seqs) (impl/transposed (mapv rest seqs)))
        nil))))

(defn map
  ([f]
   (fn [step]
     (fn ([] (step))
       ([result] (step result))
       ([result x] (step result (f x)))
       ([result x & more] (step result (apply f x more))))))
  ([f coll]
   (lazy-seq*
     (fn
       ([] (let [left (seq coll)]
             (if left (cons (f (first left)) (map f (rest left))) nil)))
       ([step init] (impl/fold (fn [result x] (step result (f x))) init coll)))))
  ([f c1 c2]
   (lazy-seq
     (let [s1 (seq c1) s2 (seq c2)]
       (if (and s1 s2)
         (cons (f (first s1) (first s2)) (map f (rest s1) (rest s2)))
         nil))))
  ([f c1 c2 c3]
   (lazy-seq
     (let [s1 (seq c1) s2 (seq c2) s3 (seq c3)]
       (if (and s1 s2 s3)
         (cons (f (first s1) (first s2) (first s3)) (map f (rest s1) (rest s2) (rest s3)))
         nil))))
  ([f c1 c2 c3 & more]
   (map (fn [xs] (apply f xs)) (impl/transposed (list* c1 c2 c3 more)))))

(defn impl/fold-kept
  "Fold the items for which keep? holds; of a vector or range without a call of its own for each."
  [step init keep? coll]
  (let [indexed (vector? coll)
        bounds (if indexed [0 (count coll) 1] (range-bounds coll))]
    (if bounds
      (let [[start end stride] bounds]
        (loop [result init i start]
          (if (< i end)
            (let [x (if indexed (nth coll i) i)]
              (if (keep? x)
                (let [found (step result x)]
                  (if (error? found)
                    (if (reduced? found) (unreduced found) (recur found (+ i stride)))
                    (recur found (+ i stride))))
                (recur result (+ i stride))))
            result)))
      (impl/fold (fn [result x] (if (keep? x) (step result x) result)) init coll))))

(defn filter
  ([keep?]
   (fn [step]
     (fn ([] (step))
       ([result] (step result))
       ([result x] (if (keep? x) (step result x) result)))))
  ([keep? coll]
   (lazy-seq*
     (fn
       ([] (loop [left (seq coll)]
             (if left
               (let [item (first left)]
                 (if (keep? item)
                   (cons item (filter keep? (rest left)))
                   (recur (next left))))
               nil)))
       ([step init] (impl/fold-kept step init keep? coll))))))

(defn remove
  ([drop?] (filter (complement drop?)))
  ([drop? coll] (filter (fn [x] (not (drop? x))) coll)))

(defn keep
  ([f]
   (fn [step]
     (fn ([] (step))
       ([result] (step result))
       ([result x] (let [found (f x)] (if (nil? found) result (step result found)))))))
  ([f coll]
   (lazy-seq*
     (fn
       ([] (loop [left (seq coll)]
             (if left
               (let [found (f (first left))]
                 (if (nil? found)
                   (recur (next left))
                   (cons found (keep f (rest left)))))
               nil)))
       ([step init]
        (impl/fold (fn [result x]
                     (let [found (f x)] (if (nil? found) result (step result found))))
                   init coll))))))

(defn impl/map-indexed [f i coll]
  (lazy-seq
    (let [left (seq coll)]
      (if left
        (cons (f i (first left)) (impl/map-indexed f (inc i) (rest left)))
        nil))))

(defn map-indexed
  ([f]
   (fn [step]
     (let [index (atom -1)]
       (fn ([] (step))
         ([result] (step result))
         ([result x] (step result (f (swap! index inc) x)))))))
  ([f coll] (impl/map-indexed f 0 coll)))

(defn keep-indexed [f coll] (filter some? (map-indexed f coll)))

(defn impl/concat-all
  "The items of all colls; with two arguments, what is left of one coll and then those of the others."
  ([colls]
   (lazy-seq
     (loop [left (seq colls)]
       (if left
         (let [items (seq (first left))]
           (if items (impl/concat-all items (rest left)) (recur (next left))))
         nil))))
  ([items colls]
   (cons (first items)
         (lazy-seq
           (let [left (next items)]
             (if left (impl/concat-all left colls) (impl/concat-all colls)))))))

(defn concat
  ([] (lazy-seq nil))
  ([a] (lazy-seq a))
  ([a b]
   (lazy-seq
     (let [left (seq a)]
       (if left (cons (first left) (concat (rest left) b)) b))))
  ([a b & more] (impl/concat-all (list* a b more))))

(defn cat [step]
  (fn ([] (step))
    ([result] (step result))
    ([result items]
     (reduce (fn [so-far x]
               (let [found (step so-far x)] (if (reduced? found) (reduced found) found)))
             result items))))

(defn mapcat
  ([f] (comp (map f) cat))
  ([f coll] (impl/concat-all (map f coll)))
  ([f coll & colls] (impl/concat-all (apply map f coll colls))))

(defn take
  ([n]
   (fn [step]
     (let [left (atom n)]
       (fn ([] (step))
         ([result] (step result))
         ([result x]
          (let [before @left
                after (swap! left dec)
                found (if (pos? before) (step result x) result)]
            (if (pos? after) found (ensure-reduced found))))))))
  ([n coll]
   (lazy-seq
     (if (pos? n)
       (let [left (seq coll)]
         (if left (cons (first left) (take (dec n) (rest left))) nil))
       nil))))

(defn drop
  ([n]
   (fn [step]
     (let [left (atom n)]
       (fn ([] (step))
         ([result] (step result))
         ([result x]
          (let [before @left]
            (swap! left dec)
            (if (pos? before) result (step result x))))))))
  ([n coll]
   (lazy-seq
     (loop [left (seq coll) n n]
       (if (and left (pos? n)) (recur (next left) (dec n)) left)))))

(defn take-while
  ([keep?]
   (fn [step]
     (fn ([] (step))
       ([result] (step result))
       ([result x] (if (keep? x) (step result x) (reduced result))))))
  ([keep? coll]
   (lazy-seq
     (let [left (seq coll)]
       (if (and left (keep? (first left)))
         (cons (first left) (take-while keep? (rest left)))
         nil)))))

(defn drop-while
  ([drop?]
   (fn [step]
     (let [dropping (atom true)]
       (fn ([] (step))
         ([result] (step result))
         ([result x]
          (if (and @dropping (drop? x))
            result
            (do (reset! dropping false) (step result x))))))))
  ([drop? coll]
   (lazy-seq
     (loop [left (seq coll)]
       (if (and left (drop? (first left))) (recur (next left)) left)))))

(defn drop-last
  ([coll] (drop-last 1 coll))
  ([n coll] (map (fn [x _] x) coll (drop n coll))))

(defn take-nth [n coll]
  (lazy-seq
    (let [left (seq coll)]
      (if left (cons (first left) (take-nth n (drop n left))) nil))))

(defn split-at [n coll] [(take n coll) (drop n coll)])
(defn split-with [keep? coll] [(take-while keep? coll) (drop-while keep? coll)])

(defn partition
  ([n coll] (partition n n coll))
  ([n step coll]
   (lazy-seq
     (let [left (seq coll)]
       (if left
         (let [items (doall (take n left))]
           (if (= n (count items))
             (cons items (partition n step (nthrest left step)))
             nil))
         nil))))
  ([n step pad coll]
   (lazy-seq
     (let [left (seq coll)]
       (if left
         (let [items (doall (take n left))]
           (if (= n (count items))
             (cons items (partition n step pad (nthrest left step)))
             (list (take n (concat items pad)))))
         nil)))))

(defn partition-all
  ([n coll] (partition-all n n coll))
  ([n step coll]
   (lazy-seq
     (let [left (seq coll)]
       (if left
         (cons (doall (take n left)) (partition-all n step (nthrest left step)))
         nil)))))

(defn partition-by [f coll]
  (lazy-seq
    (let [left (seq coll)]
      (if left
        (let [item (first left)
              value (f item)
              run (cons item (take-while (fn [x] (= value (f x))) (next left)))]
          (cons run (partition-by f (lazy-seq (drop (count run) left)))))
        nil))))

(defn interleave
  ([] ())
  ([a] (lazy-seq a))
  ([a b]
   (lazy-seq
     (let [s1 (seq a) s2 (seq b)]
       (if (and s1 s2)
         (cons (first s1) (cons (first s2) (interleave (rest s1) (rest s2))))
         nil))))
  ([a b & more] (impl/concat-all (impl/transposed (list* a b more)))))

(defn interpose [separator coll]
  (drop 1 (interleave (repeat separator) coll)))

(defn impl/distinct [coll seen]
  (lazy-seq
    (loop [left (seq coll)]
      (if left
        (let [item (first left)]
          (if (contains? seen item)
            (recur (next left))
            (cons item (impl/distinct (rest left) (conj seen item)))))
        nil))))

(defn distinct
  ([]
   (fn [step]
     (let [seen (atom #{})]
       (fn ([] (step))
         ([result] (step result))
         ([result x]
          (if (contains? @seen x)
            result
            (do (swap! seen conj x) (step result x))))))))
  ([coll] (impl/distinct coll #{})))

(defn dedupe [coll]
  (lazy-seq
    (let [left (seq coll)]
      (if left
        (let [item (first left)]
          (cons item (dedupe (drop-while (fn [x] (= x item)) (next left)))))
        nil))))

(defn tree-seq [branch? children root]
  (let [walk (fn walk [node]
               (lazy-seq
                 (cons node (if (branch? node) (mapcat walk (children node)) nil))))]
    (walk root)))

(defn flatten [coll]
  (filter (complement sequential?) (rest (tree-seq sequential? seq coll))))

(defn replace [replacements coll]
  (let [one (fn [x] (let [found (find replacements x)] (if found (val found) x)))]
    (if (vector? coll) (mapv one coll) (map one coll))))

(defn sequence
  ([coll] (if (seq? coll) coll (or (seq coll) ())))
  ([xform coll] (or (seq (into [] xform coll)) ())))

(defn eduction [xform coll] (sequence xform coll))

;; ---- lazy seqs from nothing

(defn iterate [f x] (cons x (lazy-seq (iterate f (f x)))))

(defn impl/fold-repeat [step init n x]
  (if (if (fold-fn? step) (int? n) false)
    (let [copies (loop [copies [] i (min n 1024)]
                   (if (pos? i) (recur (conj copies x) (dec i)) copies))]
      (loop [result init left n]
        (if (pos? left)
          (recur (fold-items step result copies 0 (min left 1024)) (- left 1024))
          result)))
    (loop [result init left n]
      (if (pos? left)
        (let [found (step result x)]
          (if (error? found)
            (if (reduced? found) (unreduced found) (recur found (dec left)))
            (recur found (dec left))))
        result))))

(defn impl/repeat [n x]
  (lazy-seq*
    (fn
      ([] (if (pos? n) (cons x (impl/repeat (dec n) x)) nil))
      ([step init] (impl/fold-repeat step init n x)))))

(defn repeat
  ([x] (lazy-seq (cons x (repeat x))))
  ([n x] (impl/repeat n x)))

(defn repeatedly
  ([f] (lazy-seq (cons (f) (repeatedly f))))
  ([n f] (take n (repeatedly f))))

(defn impl/cycle [all coll]
  (lazy-seq
    (let [left (seq coll)]
      (if left
        (cons (first left) (impl/cycle all (rest left)))
        (impl/cycle all all)))))

(defn cycle [coll]
  (let [items (seq coll)]
    (if items (impl/cycle items items) ())))

(defn impl/range-of [start end step]
  (lazy-seq
    (if (cond (pos? step) (< start end) (neg? step) (> start end) :else (not (== start end)))
      (cons start (impl/range-of (+ start step) end step))
      nil)))

(defn range
  ([] (iterate inc 0))
  ([end] (range 0 end 1))
  ([start end] (range start end 1))
  ([start end step]
   (let [compact (number-range start end step)]
     (if (nil? compact) (impl/range-of start end step) compact))))

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
(defn NaN? [x] (not (== x x)))
(defn infinite? [x] (or (== x ##Inf) (== x ##-Inf)))
(defn parse-boolean [text] (cond (= text "true") true (= text "false") false :else nil))
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
  (if (set? coll) coll (into #{} coll)))

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
(defn transient [coll] coll)
(defn persistent! [coll] coll)
(defn conj! ([] []) ([coll] coll) ([coll x] (conj coll x)))
(defn assoc! [coll k v & more] (apply assoc coll k v more))
(defn dissoc! [coll & ks] (apply dissoc coll ks))
(defn disj! [coll & xs] (apply disj coll xs))
(defn pop! [coll] (pop coll))

(defn get-in
  ([m ks]
   (loop [value m left (seq ks)]
     (if left (recur (get value (first left)) (next left)) value)))
  ([m ks default]
   (loop [value m left (seq ks)]
     (if left
       (if (contains? value (first left))
         (recur (get value (first left)) (next left))
         default)
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

(defn update-vals [m f] (impl/fold-seq (fn [found [k v]] (assoc found k (f v))) {} m))
(defn update-keys [m f] (impl/fold-seq (fn [found [k v]] (assoc found (f k) v)) {} m))

(defn select-keys [m ks]
  (loop [found {} left (seq ks)]
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
          (let [stop (min n (+ i 1024))]
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
   (let [items (vec coll)]
     (if (empty? items)
       ()
       (seq (impl/sort-part order items 0 (count items)))))))

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

;; ---- output: lines of the agent's log

(defn println [& xs] (log! (apply print-str xs)))
(defn print [& xs] (log! (apply print-str xs)))
(defn prn [& xs] (log! (apply pr-str xs)))
(defn pr [& xs] (log! (apply pr-str xs)))
(defn newline [] (log! ""))
(defn println-str [& xs] (str (apply print-str xs) "\n"))
(defn prn-str [& xs] (str (apply pr-str xs) "\n"))

;; ---- chance

(defn rand-int [n] (int (* (rand) n)))
(defn rand-nth [coll] (nth coll (rand-int (count coll))))

(defn shuffle [coll]
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

;; ---- clojure.string; separators and matches are strings or characters

(defn clojure.string/join
  ([coll] (join-text "" (impl/gathered coll)))
  ([separator coll] (join-text (str separator) (impl/gathered coll))))

(defn clojure.string/upper-case [s] (upper-case (str s)))
(defn clojure.string/lower-case [s] (lower-case (str s)))
(defn clojure.string/capitalize [s]
  (let [text (str s)]
    (if (< (count text) 2)
      (upper-case text)
      (str (upper-case (subs text 0 1)) (lower-case (subs text 1))))))
(defn clojure.string/trim [s] (trim s))
(defn clojure.string/blank? [s] (blank? s))
(defn clojure.string/starts-with? [s part] (starts-with? (str s) part))
(defn clojure.string/ends-with? [s part] (ends-with? (str s) part))
(defn clojure.string/includes? [s part] (includes? (str s) part))
(defn clojure.string/index-of
  ([s part] (index-of s (str part)))
  ([s part from] (index-of s (str part) from)))

(defn clojure.string/last-index-of
  ([s part] (clojure.string/last-index-of s part (count s)))
  ([s part from]
   (let [text (str part)]
     (loop [found nil at (index-of s text)]
       (if (or (nil? at) (> at from)) found (recur at (index-of s text (inc at))))))))

(defn clojure.string/replace [s match replacement]
  (replace-text s (str match) (str replacement)))

(defn clojure.string/replace-first [s match replacement]
  (let [text (str match) at (index-of s text)]
    (if (nil? at)
      s
      (str (subs s 0 at) (str replacement) (subs s (+ at (count text)))))))

(defn impl/split-limited [s separator limit]
  (loop [parts [] left s]
    (let [at (if (< (inc (count parts)) limit) (index-of left separator) nil)]
      (if (nil? at)
        (conj parts left)
        (recur (conj parts (subs left 0 at)) (subs left (+ at (count separator))))))))

(defn clojure.string/split
  ([s separator] (split-text s (str separator)))
  ([s separator limit]
   (if (pos? limit)
     (impl/split-limited s (str separator) limit)
     (impl/split-limited s (str separator) (inc (count s))))))

(defn clojure.string/split-lines [s]
  (split-text (replace-text s "\r\n" "\n") "\n"))

(defn clojure.string/reverse [s] (join-text "" (reverse s)))

(defn impl/space? [c] (blank? (str c)))

(defn clojure.string/triml [s]
  (loop [i 0]
    (if (and (< i (count s)) (impl/space? (nth s i))) (recur (inc i)) (subs s i))))

(defn clojure.string/trimr [s]
  (loop [i (count s)]
    (if (and (pos? i) (impl/space? (nth s (dec i)))) (recur (dec i)) (subs s 0 i))))

(defn clojure.string/trim-newline [s]
  (loop [i (count s)]
    (if (and (pos? i) (contains? #{\newline \return} (nth s (dec i))))
      (recur (dec i))
      (subs s 0 i))))

(defn clojure.string/escape [s escapes]
  (join-text "" (map (fn [c] (let [found (escapes c)] (if (nil? found) c found))) s)))

;; ---- clojure.set

(defn clojure.set/union
  ([] #{})
  ([a] a)
  ([a b] (if (< (count a) (count b)) (into b a) (into a b)))
  ([a b & more] (reduce clojure.set/union (clojure.set/union a b) more)))

(defn clojure.set/intersection
  ([a] a)
  ([a b]
   (if (< (count b) (count a))
     (clojure.set/intersection b a)
     (impl/fold-seq (fn [found x] (if (contains? b x) found (disj found x))) a a)))
  ([a b & more] (reduce clojure.set/intersection (clojure.set/intersection a b) more)))

(defn clojure.set/difference
  ([a] a)
  ([a b]
   (if (< (count a) (count b))
     (impl/fold-seq (fn [left x] (if (contains? b x) (disj left x) left)) a a)
     (impl/fold-seq disj a b)))
  ([a b & more] (reduce clojure.set/difference (clojure.set/difference a b) more)))

(defn clojure.set/subset? [a b]
  (and (<= (count a) (count b)) (every? (fn [x] (contains? b x)) a)))

(defn clojure.set/superset? [a b] (clojure.set/subset? b a))
(defn clojure.set/select [keep? items]
  (impl/fold-seq (fn [found x] (if (keep? x) found (disj found x))) items items))
(defn clojure.set/project [relation ks] (set (map (fn [row] (select-keys row ks)) relation)))
(defn clojure.set/map-invert [m] (impl/fold-seq (fn [found [k v]] (assoc found v k)) {} m))

(defn clojure.set/rename-keys [m names]
  (impl/fold-seq
    (fn [found [old new]] (if (contains? m old) (assoc found new (get m old)) found))
    (apply dissoc m (keys names))
    names))

(defn clojure.set/rename [relation names]
  (set (map (fn [row] (clojure.set/rename-keys row names)) relation)))

(defn clojure.set/index [relation ks]
  (impl/fold-seq
    (fn [found row]
      (let [k (select-keys row ks)] (assoc found k (conj (get found k #{}) row))))
    {} relation))

(defn clojure.set/join [left right]
  (if (and (seq left) (seq right))
    (let [common (clojure.set/intersection (set (keys (first left))) (set (keys (first right))))
          index (clojure.set/index left common)]
      (impl/fold-seq
        (fn [found row]
          (impl/fold-seq (fn [rows other] (conj rows (merge other row)))
                         found (get index (select-keys row common))))
        #{} right))
    #{}))
;; ==== control: everything below is made of prompt*, control* and abort*
;;
;; `(prompt* tag f x ...)` calls f above a prompt; `(control* tag f)` takes the continuation up to the innermost prompt with
;; the tag away and calls f with it in its place; the continuation, called with a value, is put on top of what is there
;; then, any number of times. docs/continuations.md has it with examples.
;; Source: Dybvig, Peyton Jones, Sabry, "A Monadic Framework for Delimited Continuations" (2007).

(defn shift*
  "As control*, but the prompt stays, and each call of the continuation is above a prompt of its own."
  [tag f]
  (control* tag (fn [k] (prompt* tag f (fn [value] (prompt* tag k value))))))

(defn abort
  "Leave the innermost prompt with a tag, whose value this is; finalizers on the way are called, innermost first."
  [tag value]
  (abort* tag value))

;; ---- finally

(defn impl/attempt [body]
  (try [true (body)] (catch :default error [false error])))

(defn impl/leave
  "What an escape by k does first when it leaves a finalizer's mark; the machine calls it outside of the mark."
  [finalizer k value]
  (finalizer)
  (k value))

(defn finally*
  "Call body; call finalizer when it returns, throws, or is left by an escape. `(try ... (finally ...))` is this."
  [body finalizer]
  (let [outcome (prompt* finalizer impl/attempt body)]
    (finalizer)
    (if (first outcome) (second outcome) (throw (second outcome)))))

;; ---- generators: the items of a lazy seq, given out by ordinary code

(defn impl/generated
  "The items yielded when k is called above the generator's prompt: each is given out with the continuation behind it."
  [k]
  (lazy-seq*
    (fn
      ([] (let [given (prompt* :yin.core/generator k nil)]
            (if given (cons (nth given 0) (impl/generated (nth given 1))) nil)))
      ([step init]
       (loop [result init k k]
         (let [given (prompt* :yin.core/generator k nil)]
           (if given
             (let [found (step result (nth given 0))]
               (if (error? found)
                 (if (reduced? found) (unreduced found) (recur found (nth given 1)))
                 (recur found (nth given 1))))
             result)))))))

(defn generator
  "The lazy seq of what the body yields while it runs."
  [body]
  (impl/generated (fn [_] (body) nil)))

(defn yield
  "Give out the next item of the innermost generator; nil."
  [item]
  (control* :yin.core/generator (fn [k] [item k])))

;; ---- coroutines: [:suspended continuation], [:running], [:ended]

(defn coroutine
  "A coroutine: the first resume calls f with its value."
  [f]
  (atom [:suspended (fn [value] [:ended (f value)])]))

(defn resume
  "Let a coroutine go on with a value until it suspends or ends; the value it suspends or ends with."
  ([co] (resume co nil))
  ([co value]
   (let [state (deref co)]
     (if (= (first state) :suspended) nil (throw (ex-info "resume: the coroutine is not suspended" {:fault :state})))
     (reset! co [:running])
     (let [step (try
                  (prompt* :yin.core/coroutine (second state) value)
                  (catch :default error (reset! co [:ended]) (throw error)))]
       (if (= (first step) :suspended)
         (do (reset! co [:suspended (nth step 2)]) (second step))
         (do (reset! co [:ended]) (second step)))))))

(defn suspend
  "Stop the innermost coroutine with a value; what the next resume gives."
  ([] (suspend nil))
  ([value] (control* :yin.core/coroutine (fn [k] [:suspended value k]))))

(defn ended? [co] (= (first (deref co)) :ended))

;; ---- queues of values: [those in front, those behind in reverse]

(defn impl/queue-add [queue x] [(nth queue 0) (conj (nth queue 1) x)])

(defn impl/queue-take
  "[first item, queue of the others], or nil."
  [queue]
  (let [front (nth queue 0)]
    (if (empty? front)
      (let [items (reverse (nth queue 1))]
        (if (empty? items) nil [(first items) [(rest items) ()]]))
      [(first front) [(rest front) (nth queue 1)]])))

;; ---- green threads: a queue of [function value] that are ready; one runs until it ends or blocks

(defn impl/ready! [ready f value]
  (reset! ready (impl/queue-add (deref ready) [f value])))

(defn impl/block
  "Stop the running thread; its scheduler calls `register` with its queue and the thread's continuation."
  [register]
  (control* :yin.core/thread (fn [k] [register k])))

;; ---- promises: {:outcome [succeeded? value] or nil, :waiting [[ready continuation] ...]}

(defn promise [] (atom {:outcome nil :waiting []}))
(defn settled? [p] (some? (:outcome (deref p))))

(defn impl/settle! [p outcome]
  (let [state (deref p)]
    (if (nil? (:outcome state))
      (do
        (reset! p {:outcome outcome :waiting []})
        (run! (fn [[ready k]] (impl/ready! ready k nil)) (:waiting state))
        true)
      false)))

(defn deliver
  "Settle a promise with a value, unless it is settled; whether it was not."
  [p value]
  (impl/settle! p [true value]))

(defn fail-promise
  "Settle a promise with an error, which await throws."
  [p error]
  (impl/settle! p [false error]))

(defn await
  "The value of a promise, once it is settled; throws the error it failed with."
  [p]
  (loop []
    (let [outcome (:outcome (deref p))]
      (if (nil? outcome)
        (do
          (impl/block (fn [ready k] (swap! p update :waiting conj [ready k])))
          (recur))
        (if (first outcome) (second outcome) (throw (second outcome)))))))

;; ---- threads

(defn impl/run-ready [ready]
  (loop []
    (let [taken (impl/queue-take (deref ready))]
      (if (nil? taken)
        nil
        (let [task (first taken)]
          (reset! ready (second taken))
          (let [blocked (prompt* :yin.core/thread (first task) (second task))]
            (if (nil? blocked) nil ((first blocked) ready (second blocked)))
            (recur)))))))

(defn impl/thread
  "The function of a thread that settles a promise with what f comes to."
  [settled f]
  (fn [_]
    (impl/settle! settled (impl/attempt f))
    nil))

(defn run-threads
  "Run main and every thread spawned meanwhile, in turns, until all have ended or wait for ever; main's value."
  [main]
  (let [ready (atom [() ()]) value (promise)]
    (impl/ready! ready (impl/thread value main) nil)
    (impl/run-ready ready)
    (if (settled? value)
      (await value)
      (throw (ex-info "run-threads: the main thread waits for ever" {:fault :deadlock})))))

(defn spawn
  "Start a thread that calls f; a promise of its value."
  [f]
  (let [value (promise)]
    (impl/block (fn [ready k]
                  (impl/ready! ready k nil)
                  (impl/ready! ready (impl/thread value f) nil)))
    value))

(defn pass
  "Let the other threads run first."
  []
  (impl/block (fn [ready k] (impl/ready! ready k nil))))

;; ---- channels: items up to a size; who puts into a full one or takes from an empty one waits

(defn chan
  "A channel that holds so many items; nil for any number."
  ([] (chan 0))
  ([size] (atom {:size size :count 0 :items [() ()] :putters [() ()] :takers [() ()] :closed false})))

(defn put!
  "Put an item into a channel; true, or false if it is closed."
  [channel item]
  (let [state (deref channel) taker (impl/queue-take (:takers state))]
    (cond
      (:closed state) false
      taker (do (swap! channel assoc :takers (second taker)) (deliver (first taker) item))
      (or (nil? (:size state)) (< (:count state) (:size state)))
      (do
        (swap! channel assoc :items (impl/queue-add (:items state) item) :count (inc (:count state)))
        true)
      :else
      (let [accepted (promise)]
        (swap! channel assoc :putters (impl/queue-add (:putters state) [item accepted]))
        (await accepted)))))

(defn impl/refill
  "The state of a channel after an item was taken: the first that waits to put one has it accepted."
  [channel]
  (let [state (deref channel) putter (impl/queue-take (:putters state))]
    (if putter
      (let [[item accepted] (first putter)]
        (reset! channel (assoc state :putters (second putter)
                                     :items (impl/queue-add (:items state) item)
                                     :count (inc (:count state))))
        (deliver accepted true))
      nil)))

(defn take!
  "Take the next item out of a channel; nil once it is closed and empty."
  [channel]
  (if (zero? (:count (deref channel))) (impl/refill channel) nil)
  (let [state (deref channel) taken (impl/queue-take (:items state))]
    (cond
      taken (do
              (reset! channel (assoc state :items (second taken) :count (dec (:count state))))
              (if (or (nil? (:size state)) (< (dec (:count state)) (:size state))) (impl/refill channel) nil)
              (first taken))
      (:closed state) nil
      :else (let [item (promise)]
              (reset! channel (assoc state :takers (impl/queue-add (:takers state) item)))
              (await item)))))

(defn close!
  "Close a channel: those who wait to take get nil, what it holds can still be taken."
  [channel]
  (let [state (deref channel)]
    (reset! channel (assoc state :closed true :takers [() ()]))
    (loop [takers (:takers state)]
      (let [taker (impl/queue-take takers)]
        (if taker (do (deliver (first taker) nil) (recur (second taker))) nil)))))

;; ---- actors: a thread and its mailbox

(defn actor
  "Start a thread that calls f with its mailbox, which is the actor's address."
  [f]
  (let [mailbox (chan nil)]
    (spawn (fn [] (f mailbox)))
    mailbox))

(defn tell [mailbox message] (put! mailbox message))
(defn receive [mailbox] (take! mailbox))

(defn ask
  "Send [message promise] and wait for what the actor delivers."
  [mailbox message]
  (let [answer (promise)]
    (tell mailbox [message answer])
    (await answer)))

;; ---- search: choices are continuations, called once for each alternative

(defn solutions
  "The lazy seq of the body's values, one for each way to choose; depth first."
  [body]
  (lazy-seq (prompt* :yin.core/choice (fn [] (list (body))))))

(defn choose
  "One of the alternatives, in turn."
  [alternatives]
  (control* :yin.core/choice
            (fn [k] (mapcat (fn [x] (prompt* :yin.core/choice k x)) alternatives))))

(defn amb [& alternatives] (choose alternatives))
(defn fail [] (choose nil))
(defn guard [test] (if test nil (fail)))

(defn impl/fair [a b]
  (lazy-seq
    (let [left (seq a)]
      (if left (cons (first left) (impl/fair b (rest left))) b))))

(defn impl/fair-all [seqs]
  (lazy-seq
    (let [left (seq seqs)]
      (if left (impl/fair (first left) (impl/fair-all (rest left))) nil))))

(defn choose-fairly
  "As choose, but solutions of all alternatives come in turns, so that one with endless many does not hide the others."
  [alternatives]
  (control* :yin.core/choice
            (fn [k]
              (impl/fair-all
                (map (fn [x] (lazy-seq (prompt* :yin.core/choice k x))) alternatives)))))

;; ---- effect handlers: deep; a handler gets the continuation, then the arguments of perform

(defn perform
  "Ask the innermost handler of an operation; what it calls the continuation with."
  [operation & arguments]
  (let [answer (control* :yin.core/effect (fn [k] [:perform operation arguments k]))]
    (if (and (error? answer) (contains? (ex-data answer) :yin.core/discontinued))
      (throw (:yin.core/discontinued (ex-data answer)))
      answer)))

(defn discontinue
  "Go on in a handler's continuation by throwing an error where perform was called."
  [k error]
  (k (ex-info "discontinued" {:yin.core/discontinued error})))

(defn impl/handled [handlers step]
  (if (= (first step) :return)
    (let [end (:return handlers)]
      (if (nil? end) (second step) (end (second step))))
    (let [[_ operation arguments k] step
          go-on (fn [value] (impl/handled handlers (prompt* :yin.core/effect k value)))
          handler (get handlers operation)]
      (if (nil? handler)
        (go-on (apply perform operation arguments))
        (apply handler go-on arguments)))))

(defn handle
  "Call the body with handlers {operation (fn [k & arguments] ...), :return (fn [value] ...)}."
  [handlers body]
  (impl/handled handlers (prompt* :yin.core/effect (fn [] [:return (body)]))))

;; ---- logic: a goal takes bindings {number term, :next number} to bindings, or fails; terms are data with variables

(defn impl/variable? [term] (and (map? term) (contains? term :yin.core/variable)))

(defn impl/walk [bindings term]
  (loop [term term]
    (if (impl/variable? term)
      (let [bound (find bindings (:yin.core/variable term))]
        (if bound (recur (val bound)) term))
      term)))

(defn lcons
  "The list of a first item and a rest that may be a variable."
  [head tail]
  {:yin.core/head head :yin.core/tail tail})

(defn impl/pair? [term]
  (if (map? term) (contains? term :yin.core/head) (and (seq? term) (some? (seq term)))))

(defn impl/head [pair] (if (map? pair) (:yin.core/head pair) (first pair)))
(defn impl/tail [pair] (if (map? pair) (:yin.core/tail pair) (rest pair)))

(defn impl/occurs?
  "Whether a variable stands inside a term that is not a variable."
  [bindings variable term]
  (loop [left (list term)]
    (if (empty? left)
      false
      (let [term (impl/walk bindings (first left)) left (rest left)]
        (cond
          (= term variable) true
          (vector? term) (recur (into left term))
          (impl/pair? term) (recur (conj left (impl/tail term) (impl/head term)))
          :else (recur left))))))

(defn impl/bound [bindings variable term]
  (if (impl/occurs? bindings variable term)
    nil
    (assoc bindings (:yin.core/variable variable) term)))

(defn impl/unified
  "Bindings under which two terms are equal, or nil; no variable stands inside its own value."
  [bindings a b]
  (loop [bindings bindings left (list [a b])]
    (if (or (nil? bindings) (empty? left))
      bindings
      (let [a (impl/walk bindings (first (first left)))
            b (impl/walk bindings (second (first left)))
            left (rest left)]
        (cond
          (= a b) (recur bindings left)
          (impl/variable? a) (recur (impl/bound bindings a b) left)
          (impl/variable? b) (recur (impl/bound bindings b a) left)
          (and (impl/pair? a) (impl/pair? b))
          (recur bindings (conj left [(impl/tail a) (impl/tail b)] [(impl/head a) (impl/head b)]))
          (and (vector? a) (vector? b) (= (count a) (count b)))
          (recur bindings (into left (map vector a b)))
          :else nil)))))

(defn unify
  "The goal that two terms are equal."
  [a b]
  (fn [bindings]
    (let [found (impl/unified bindings a b)]
      (if (nil? found) (fail) found))))

(defn all
  "The goal that all goals hold."
  [& goals]
  (fn [bindings] (reduce (fn [so-far goal] (goal so-far)) bindings goals)))

(defn any
  "The goal that one of the goals holds; each in turn."
  [& goals]
  (fn [bindings] ((choose-fairly goals) bindings)))

(defn impl/fresh [n f]
  (fn [bindings]
    (let [start (:next bindings)
          variables (map (fn [i] {:yin.core/variable i}) (range start (+ start n)))]
      ((apply f variables) (assoc bindings :next (+ start n))))))

(defn impl/shown
  "A term with its variables replaced; those without value are called _0, _1 ... in the order they are met."
  [bindings names term]
  (let [term (impl/walk bindings term)]
    (cond
      (impl/variable? term)
      (let [known (get (deref names) term)]
        (if known
          known
          (let [name (symbol (str "_" (count (deref names))))]
            (swap! names assoc term name)
            name)))
      (vector? term) (mapv (fn [part] (impl/shown bindings names part)) term)
      (impl/pair? term)
      (loop [items [] left term]
        (let [left (impl/walk bindings left)]
          (if (impl/pair? left)
            (recur (conj items (impl/shown bindings names (impl/head left))) (impl/tail left))
            (if (or (nil? left) (= left ()))
              (apply list items)
              (apply list (conj items '. (impl/shown bindings names left)))))))
      :else term)))

(defn impl/run [n f]
  (solutions
    (fn []
      (let [start (map (fn [i] {:yin.core/variable i}) (range n))
            found ((apply f start) {:next n})
            shown (impl/shown found (atom {}) (vec start))]
        (if (= n 1) (first shown) shown)))))
