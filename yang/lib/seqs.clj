;; Seqs of the core library.
;;
;; Is:     lazy seqs and their realisation, folding, transducers.
;; Is not: the compact ranges and the cells of lazy seqs, which are the machine's.
;; Fits:   one file of the core library (core.clj has its rules).
;; Source: Clojure 1.11's clojure.core for names, laziness and edge cases.
;;
;; Seqs are not chunked: one item is computed at a time.

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

;; ---- folding
;;
;; A lazy seq that nobody else holds need not become cells in order to be folded: the functions of `map`, `filter` and
;; their like have a second body, which folds what they are made from, and `lazy-folder` gives such a function only for
;; an unrealised seq with one owner, whose items nobody can ask for afterwards. Every item is still made when its turn
;; comes, so effects and errors come in the same order.
;; Source: Wadler, "Deforestation" (1990); Ullrich and de Moura, "Counting Immutable Beans" (2019) for the owner.
;;
;; A function of the machine's own (`fold-fn?`) is applied to up to 256 items of a vector or range in one step.

(defn reduced
  "Wrap a value so that reduce stops with it."
  [x]
  (opaque* :yin.core/reduced "" x))

(defn unreduced [x] (if (reduced? x) (opaque-content x) x))
(defn ensure-reduced [x] (if (reduced? x) x (reduced x)))

(defn impl/fold-chunks [f init items start end]
  (loop [result init i start]
    (if (< i end)
      (let [stop (min end (+ i 256))]
        (recur (fold-items f result items i stop) stop))
      result)))

(defn impl/fold-vector [f init items start]
  (let [n (count items)]
    (if (fold-fn? f)
      (impl/fold-chunks f init items start n)
      (loop [result init i start]
        (if (< i n)
          (let [found (f result (nth items i))]
            (if (reduced? found) (unreduced found) (recur found (inc i))))
          result)))))

(defn impl/fold-range [f init items [start end step]]
  (if (fold-fn? f)
    (impl/fold-chunks f init items 0 (count items))
    (loop [result init i start]
      (if (< i end)
        (let [found (f result i)]
          (if (reduced? found) (unreduced found) (recur found (+ i step))))
        result))))

(defn impl/fold-seq [f init items]
  (loop [result init left (seq items)]
    (if left
      (let [found (f result (first left))]
        (if (reduced? found) (unreduced found) (recur found (next left))))
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
  ([to from]
   (let [metadata (meta to)]
     (if (nil? metadata)
       (impl/fold conj to from)
       (with-meta (impl/fold conj (with-meta to nil) from) metadata))))
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
    (let [items (if (pos? n) (seq left) nil)]
      (if items (recur (rest items) (dec n)) left))))

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
(defn rseq [coll]
  (cond
    (sorted? coll) (sorted-from coll (dec (count coll)) false)
    (vector? coll) (seq (reverse coll))
    :else (impl/refuse :type (str "rseq: expected a vector or a sorted collection, found " (pr-str coll)))))

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
                  (if (reduced? found) (unreduced found) (recur found (+ i stride))))
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

(defn keep-indexed
  ([f] (comp (map-indexed f) (filter some?)))
  ([f coll] (filter some? (map-indexed f coll))))

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

(defn take-nth
  ([n]
   (fn [step]
     (let [index (atom -1)]
       (fn ([] (step))
         ([result] (step result))
         ([result x] (if (zero? (rem (swap! index inc) n)) (step result x) result))))))
  ([n coll]
   (lazy-seq
     (let [left (seq coll)]
       (if left (cons (first left) (take-nth n (drop n left))) nil)))))

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

(defn impl/ending
  "What a transducer that gathered something ends with: that first, then the end of the step behind it."
  [step result gathered]
  (step (if (nil? gathered) result (unreduced (step result gathered)))))

(defn partition-all
  ([n]
   (fn [step]
     (let [gathered (atom [])]
       (fn ([] (step))
         ([result] (impl/ending step result (not-empty @gathered)))
         ([result x]
          (let [items (swap! gathered conj x)]
            (if (= n (count items))
              (do (reset! gathered []) (step result items))
              result)))))))
  ([n coll] (partition-all n n coll))
  ([n step coll]
   (lazy-seq
     (let [left (seq coll)]
       (if left
         (cons (doall (take n left)) (partition-all n step (nthrest left step)))
         nil)))))

(defn partition-by
  ([f]
   (fn [step]
     (let [gathered (atom []) value (atom nil)]
       (fn ([] (step))
         ([result] (let [items (not-empty @gathered)] (reset! gathered []) (impl/ending step result items)))
         ([result x]
          (let [before @value now (f x)]
            (reset! value now)
            (if (or (empty? @gathered) (= before now))
              (do (swap! gathered conj x) result)
              (let [items @gathered found (step result items)]
                (reset! gathered (if (reduced? found) [] [x]))
                found))))))))
  ([f coll]
   (lazy-seq
     (let [left (seq coll)]
       (if left
         (let [item (first left)
               value (f item)
               run (cons item (take-while (fn [x] (= value (f x))) (next left)))]
           (cons run (partition-by f (lazy-seq (drop (count run) left)))))
         nil)))))

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

(defn interpose
  ([separator]
   (fn [step]
     (let [started (atom false)]
       (fn ([] (step))
         ([result] (step result))
         ([result x]
          (if @started
            (let [found (step result separator)]
              (if (reduced? found) found (step found x)))
            (do (reset! started true) (step result x))))))))
  ([separator coll]
   (drop 1 (interleave (repeat separator) coll))))

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

(defn dedupe
  ([]
   (fn [step]
     (let [before (atom [])]
       (fn ([] (step))
         ([result] (step result))
         ([result x]
          (if (= @before [x])
            result
            (do (reset! before [x]) (step result x))))))))
  ([coll]
   (lazy-seq
     (let [left (seq coll)]
       (if left
         (let [item (first left)]
           (cons item (dedupe (drop-while (fn [x] (= x item)) (next left)))))
         nil)))))

(defn halt-when
  "A transducer that ends all when the predicate holds for an item: with that item, or what f makes of the result and it."
  ([halts?] (halt-when halts? nil))
  ([halts? f]
   (fn [step]
     (fn ([] (step))
       ([result]
        (if (and (map? result) (contains? result :yin.core/halted))
          (get result :yin.core/halted)
          (step result)))
       ([result x]
        (if (halts? x)
          (reduced {:yin.core/halted (if f (f (step result) x) x)})
          (step result x)))))))

(defn tree-seq [branch? children root]
  (let [walk (fn walk [node]
               (lazy-seq
                 (cons node (if (branch? node) (mapcat walk (children node)) nil))))]
    (walk root)))

(defn flatten [coll]
  (filter (complement sequential?) (rest (tree-seq sequential? seq coll))))

(defn replace
  ([replacements]
   (map (fn [x] (let [found (find replacements x)] (if found (val found) x)))))
  ([replacements coll]
  (let [one (fn [x] (let [found (find replacements x)] (if found (val found) x)))]
    (if (vector? coll) (with-meta (mapv one coll) (meta coll)) (map one coll)))))

(defn sequence
  ([coll] (if (seq? coll) coll (or (seq coll) ())))
  ([xform coll] (or (seq (impl/transformed xform coll)) ()))
  ([xform coll & colls] (or (seq (impl/transformed-all xform (impl/transposed (cons coll colls)))) ())))

(defn impl/given-out
  "A lazy seq of what steps put into an atom: `more` makes the next step, and is false when there are none."
  [out more]
  (lazy-seq
    (loop []
      (let [items @out]
        (if (empty? items)
          (if (more) (recur) nil)
          (do (reset! out []) (impl/concat-all items (list (impl/given-out out more)))))))))

(defn impl/transformed-by [xform coll apply-step]
  (let [out (atom [])
        step (xform (fn ([] nil) ([result] result) ([result x] (swap! out conj x) result)))
        left (atom (list coll))]
    (impl/given-out
      out
      (fn []
        (let [rest-of @left]
          (if (empty? rest-of)
            false
            (let [items (seq (first rest-of))]
              (if (and items (not (reduced? (apply-step step (first items)))))
                (do (reset! left (list (rest items))) true)
                (do (reset! left ()) (step nil) true)))))))))

(defn impl/transformed
  "The lazy seq of what a transducer makes of a collection, item by item."
  [xform coll]
  (impl/transformed-by xform coll (fn [step x] (step nil x))))

(defn impl/transformed-all [xform rows]
  (impl/transformed-by xform rows (fn [step row] (apply step nil row))))

(defn eduction [& parts]
  (if (next parts)
    (sequence (apply comp (butlast parts)) (last parts))
    (sequence (first parts))))
(defn ->Eduction [xform coll] (eduction xform coll))

;; ---- lazy seqs from nothing

(defn iterate [f x] (cons x (lazy-seq (iterate f (f x)))))

(defn impl/fold-repeat [step init n x]
  (if (if (fold-fn? step) (int? n) false)
    (let [copies (loop [copies [] i (min n 256)]
                   (if (pos? i) (recur (conj copies x) (dec i)) copies))]
      (loop [result init left n]
        (if (pos? left)
          (recur (fold-items step result copies 0 (min left 256)) (- left 256))
          result)))
    (loop [result init left n]
      (if (pos? left)
        (let [found (step result x)]
          (if (reduced? found) (unreduced found) (recur found (dec left))))
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

;; ---- of other threads and sources

(defn pmap
  "As map: an agent has one thread."
  ([f coll] (map f coll))
  ([f coll & more] (apply map f coll more)))

(defn replicate [n x] (repeat n x))

(defn iteration
  "The values of steps, each from the token that the one before gave."
  [step & options]
  (let [{:keys [vf kf somef initk] :or {vf identity kf identity somef some? initk nil}} (apply hash-map options)
        after (fn after [made]
                (lazy-seq
                  (if (somef made)
                    (cons (vf made)
                          (let [token (kf made)]
                            (if (some? token) (after (step token)) nil)))
                    nil)))]
    (lazy-seq (after (step initk)))))
