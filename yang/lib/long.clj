;; Long forms: what would be too much work for one instruction, in portions.
;;
;; Is:     for a host function, the function that the machine calls in its place when it finds that it would take long;
;;         yang.primitives, LONG_FORMS, says which. The same arguments, the same value, the same error.
;; Is not: called for what is small; nor by the reference machine, which has no slices to keep short.
;; Fits:   the loops are here, so that a slice can end in them; their bodies are host functions of the kind PORTION,
;;         which do a bounded part and tell what is left.
;;
;; Of a nested value what is left is a list used as a stack: depth then costs no more than width.

(defn impl/check-all [stack data-only]
  (loop [left stack]
    (if (empty? left) nil (recur (check-some left data-only)))))

(defn long/finish
  "The value of a program, realised all through."
  [value]
  (impl/check-all (list value) false)
  value)

(defn long/effect [effect & arguments]
  (loop [left arguments]
    (if left
      (do (impl/check-all (list (first left)) true) (recur (next left)))
      nil))
  (apply ask-for effect arguments))

(defn impl/poured
  "A collection with the items of another, added one after the other."
  [to from]
  (loop [to to left (seq from)]
    (if left
      (let [found (add-some to left)] (recur (nth found 0) (nth found 1)))
      to)))

(defn long/apply [f & arguments]
  (loop [all () left arguments]
    (if (next left)
      (recur (conj all (first left)) (next left))
      (call-with-list f (impl/poured () (impl/poured all (first left)))))))

;; ---- long forms of what takes any number of arguments; one call on two of them is `whole`, or has portions of its own

(defn impl/chained [f items]
  (let [n (count items)]
    (cond
      (= n 0) (f)
      (= n 1) (f (first items))
      (= n 2) (whole f (first items) (first (next items)))
      :else (loop [result (first items) left (next items)]
              (if left (recur (f result (first left)) (next left)) result)))))

;; ---- numbers: large ones are taken apart until their parts are small
;;
;; Source: Karatsuba and Ofman, "Multiplication of Many-Digital Numbers by Automatic Computers" (1962); Knuth, "The Art of
;; Computer Programming" 4.3.1 (division, block by block) and 4.4 (digits, by halves).

(defn impl/product
  "Of two integers."
  [a b]
  (let [found (small * a b)]
    (if (nil? found)
      (let [n (number-size a) m (number-size b)]
        (if (< n m)
          (impl/product b a)
          (let [k (* 4 n) high (bit-shift-right a k) low (- a (bit-shift-left high k))]
            (if (>= n (* 2 m))
              (+ (bit-shift-left (impl/product high b) k) (impl/product low b))
              (let [high-2 (bit-shift-right b k)
                    low-2 (- b (bit-shift-left high-2 k))
                    highs (impl/product high high-2)
                    lows (impl/product low low-2)
                    mixed (- (impl/product (+ high low) (+ high-2 low-2)) (+ highs lows))]
                (+ (bit-shift-left highs (* 2 k)) (+ (bit-shift-left mixed k) lows)))))))
      found)))

(defn impl/divided
  "[quotient remainder] of two integers, neither below zero, by blocks of the first from its top."
  [a b]
  (let [found (small quot a b)]
    (if (nil? found)
      (let [m (number-size b)
            k (* 8 (max 8 (min m (quot 1000000 m))))
            mask (dec (bit-shift-left 1 k))]
        (loop [i (quot (* 8 (number-size a)) k) quotient 0 left 0]
          (if (neg? i)
            [quotient left]
            (let [left (+ (bit-shift-left left k) (bit-and (bit-shift-right a (* i k)) mask))
                  digit (whole quot left b)]
              (recur (dec i)
                     (+ (bit-shift-left quotient k) digit)
                     (- left (impl/product digit b)))))))
      [found (- a (impl/product found b))])))

(defn impl/truncated
  "The quotient of two integers or ratios, rounded towards zero."
  [a b]
  (let [n (impl/product (numerator a) (denominator b))
        d (impl/product (denominator a) (numerator b))
        found (nth (impl/divided (abs n) (abs d)) 0)]
    (if (= (neg? n) (neg? d)) found (- found))))

(defn impl/exact? [a b] (not (or (double? a) (double? b) (decimal? a) (decimal? b) (not (number? a)) (not (number? b)) (= b 0))))
(defn long/quot [a b] (if (impl/exact? a b) (impl/truncated a b) (whole quot a b)))
(defn long/rem [a b] (if (impl/exact? a b) (- a (* b (impl/truncated a b))) (whole rem a b)))

(defn long/mod [a b]
  (if (impl/exact? a b)
    (let [left (- a (* b (impl/truncated a b)))]
      (if (or (zero? left) (= (neg? left) (neg? b))) left (+ left b)))
    (whole mod a b)))

(defn impl/common-divisor
  "Of two integers above zero; Euclid's, until they are small."
  [a b]
  (loop [a a b b]
    (if (= b 0)
      a
      (let [ratio (small / a b)]
        (if (nil? ratio)
          (recur b (nth (impl/divided a b) 1))
          (nth (impl/divided a (numerator ratio)) 0))))))

(defn impl/ratio
  "The quotient of two integers, the second not zero."
  [n d]
  (let [found (small / n d)]
    (cond
      (some? found) found
      (= n 0) 0
      :else
      (let [divisor (impl/common-divisor (abs n) (abs d))
            n (impl/truncated n divisor)
            d (impl/truncated d divisor)]
        (cond
          (= d 1) n
          (= d -1) (- n)
          (neg? d) (ratio-of (- n) (- d))
          :else (ratio-of n d))))))

(defn impl/by-parts
  "An operation on two numbers of which one is large: f of their numerators over one denominator, and that."
  [f a b]
  (let [d (denominator a) e (denominator b)]
    (impl/ratio (f (impl/product (numerator a) e) (impl/product (numerator b) d)) (impl/product d e))))

(defn impl/calculated [f a b]
  (cond
    (not (impl/exact? a b)) (whole f a b)
    (or (ratio? a) (ratio? b)) (impl/by-parts f a b)
    :else (whole f a b)))

(defn long/add
  ([] 0)
  ([a] (+ a))
  ([a b] (impl/calculated + a b))
  ([a b & more] (impl/chained + (cons a (cons b more)))))

(defn long/subtract
  ([a] (- 0 a))
  ([a b] (impl/calculated - a b))
  ([a b & more] (impl/chained - (cons a (cons b more)))))

(defn long/multiply
  ([] 1)
  ([a] (* a))
  ([a b]
   (cond
     (not (impl/exact? a b)) (whole * a b)
     (or (ratio? a) (ratio? b))
     (impl/ratio (impl/product (numerator a) (numerator b))
                 (impl/product (denominator a) (denominator b)))
     :else (impl/product a b)))
  ([a b & more] (impl/chained * (cons a (cons b more)))))

(defn long/divide
  ([a] (long/divide 1 a))
  ([a b]
   (if (impl/exact? a b)
     (impl/ratio (impl/product (numerator a) (denominator b))
                 (impl/product (denominator a) (numerator b)))
     (whole / a b)))
  ([a b & more] (impl/chained / (cons a (cons b more)))))

(defn impl/in-order [f a b]
  (if (and (impl/exact? a b) (or (ratio? a) (ratio? b)))
    (f (impl/product (numerator a) (denominator b)) (impl/product (numerator b) (denominator a)))
    (whole f a b)))

(defn impl/ordered [f items]
  (if (= (count items) 2)
    (impl/in-order f (first items) (first (next items)))
    (loop [item (first items) left (next items)]
      (if left
        (if (f item (first left)) (recur (first left) (next left)) false)
        (f item)))))

(defn impl/digits-of
  "The digits of an integer below the last of the powers 10, 100, 10,000 ..., with zeros in front."
  [x powers]
  (let [text (small str x)]
    (if (nil? text)
      (let [n (dec (count powers))
            parts (impl/divided x (nth powers (dec n)))
            powers (subvec powers 0 n)]
        (str (impl/digits-of (nth parts 0) powers) (impl/digits-of (nth parts 1) powers)))
      (let [width (bit-shift-left 1 (dec (count powers)))]
        (if (< (count text) width)
          (str (join-text "" (doall (repeat (- width (count text)) "0"))) text)
          text)))))

(defn impl/digits
  "The text of an integer."
  [x]
  (let [text (small str x)]
    (cond
      (some? text) text
      (neg? x) (str "-" (impl/digits (- x)))
      :else
      (loop [powers [10]]
        (if (< (peek powers) x)
          (recur (conj powers (impl/product (peek powers) (peek powers))))
          (let [digits (impl/digits-of x powers)]
            (loop [i 0]
              (if (= (nth digits i) \0) (recur (inc i)) (subs digits i)))))))))

(defn long/max [& items] (impl/chained max items))
(defn long/min [& items] (impl/chained min items))
(defn long/bit-and [& items] (impl/chained bit-and items))
(defn long/bit-or [& items] (impl/chained bit-or items))
(defn long/bit-xor [& items] (impl/chained bit-xor items))
(defn long/numeric-equal [& items] (impl/ordered == items))
(defn long/less [& items] (impl/ordered < items))
(defn long/less-equal [& items] (impl/ordered <= items))
(defn long/greater [& items] (impl/ordered > items))
(defn long/greater-equal [& items] (impl/ordered >= items))

(defn long/list [& items] (impl/poured () (impl/poured () items)))
(defn long/vector [& items] (impl/poured [] items))
(defn long/hash-set [& items] (impl/poured #{} items))

(defn long/hash-map [& items]
  (loop [m {} left items]
    (if left
      (if (next left)
        (recur (assoc m (first left) (first (next left))) (next (next left)))
        (hash-map (first left)))
      m)))

(defn impl/keeping-meta
  "What f makes of a collection without its metadata, and of more; with it."
  [f coll & more]
  (with-meta (apply f (with-meta coll nil) more) (meta coll)))

(defn long/conj
  ([coll item]
   (cond
     (some? (meta coll)) (impl/keeping-meta long/conj coll item)
     (sorted-calls? coll) (impl/sorted-add coll item)
     (and (map? coll) (map? item)) (impl/poured coll item)
     :else (whole conj coll item)))
  ([coll item & more]
   (loop [coll (conj coll item) left more]
     (if left (recur (conj coll (first left)) (next left)) coll))))

(defn long/assoc
  ([m k v]
   (cond
     (some? (meta m)) (impl/keeping-meta long/assoc m k v)
     (sorted-calls? m) (impl/sorted-put m k v)
     :else (whole assoc m k v)))
  ([m k v & more]
   (loop [m (assoc m k v) left more]
     (if left
       (if (next left)
         (recur (assoc m (first left) (first (next left))) (next (next left)))
         (throw (ex-info "assoc: the last key has no value" {:fault :argument})))
       m))))

(defn long/dissoc
  ([m] m)
  ([m k]
   (cond
     (some? (meta m)) (impl/keeping-meta long/dissoc m k)
     (sorted-calls? m) (impl/sorted-take m k)
     :else (whole dissoc m k)))
  ([m k & more]
   (loop [m (dissoc m k) left more]
     (if left (recur (dissoc m (first left)) (next left)) m))))

(defn long/disj
  ([coll] coll)
  ([coll x]
   (cond
     (some? (meta coll)) (impl/keeping-meta long/disj coll x)
     (sorted-calls? coll) (impl/sorted-take coll x)
     :else (whole disj coll x)))
  ([coll x & more]
   (loop [coll (disj coll x) left more]
     (if left (recur (disj coll (first left)) (next left)) coll))))

(defn long/fold-items [f init items start end]
  (if (= (inc start) end)
    (f init (nth items start))
    (let [middle (quot (+ start end) 2)]
      (fold-items f (fold-items f init items start middle) items middle end))))

(defn long/count-each [counts items start end]
  (loop [counts counts i start]
    (if (< i end)
      (let [x (nth items i)] (recur (assoc counts x (inc (get counts x 0))) (inc i)))
      counts)))

;; ---- long forms of a look-up: a key that is large, or a comparator to be called

(defn long/contains? [coll k]
  (if (sorted-calls? coll) (impl/sorted-contains? coll k) (whole contains? coll k)))

(defn long/find [coll k]
  (if (sorted-calls? coll) (impl/sorted-find coll k) (whole find coll k)))

(defn long/sorted-set [& items] (impl/poured (sorted-set) items))

(defn long/sorted-map [& items]
  (loop [m (sorted-map) left items]
    (if left
      (recur (assoc m (first left) (first (next left))) (next (next left)))
      m)))

;; ---- long forms of what goes through a collection

(defn long/vec [coll]
  (if (range-bounds coll) (impl/fold conj [] coll) (impl/poured [] coll)))
(defn long/reverse [coll] (impl/poured () coll))

(defn impl/same? [a b]
  (loop [left (list 0 a b)]
    (cond
      (not left) false
      (empty? left) true
      (neg? (first left))  ; two collections whose comparators are not to be called
      (let [b (nth left 2)]
        (recur (conj (nthrest left 3) (into (if (map? b) {} #{}) b) (nth left 1) 0)))
      :else (recur (equal-some left)))))

(defn long/equal
  ([_] true)
  ([a b] (impl/same? a b))
  ([a b & more]
   (loop [a a b b left more]
     (if (= a b)
       (if left (recur b (first left) (next left)) true)
       false))))

(defn long/not-equal
  ([_] false)
  ([a b] (not (impl/same? a b)))
  ([a b & more] (not (apply = a b more))))

(defn long/count [coll]
  (loop [n 0 left coll]
    (let [found (skip-some left 1000000)]
      (if (nil? (nth found 1)) (+ n (nth found 0)) (recur (+ n (nth found 0)) (nth found 1))))))

(defn impl/item-after
  "The item after i others in a list of one, () when there is none."
  [coll i]
  (loop [left coll i i]
    (if (pos? i)
      (let [found (skip-some left i)]
        (if (nil? (nth found 1)) () (recur (nth found 1) (- i (nth found 0)))))
      (let [items (seq left)] (if items (list (first items)) ())))))

(defn impl/parts [f coll]
  (loop [found [] left (seq coll)]
    (if left
      (let [some-of (add-some [] left)]
        (recur (impl/poured found (f (nth some-of 0))) (nth some-of 1)))
      (seq found))))

(defn long/keys [coll] (impl/parts keys coll))
(defn long/vals [coll] (impl/parts vals coll))

(defn long/subvec
  ([items start] (long/subvec items start (count items)))
  ([items start end]
   (loop [part [] i start]
     (if (< i end)
       (let [stop (min end (+ i 256))] (recur (fold-items conj part items i stop) stop))
       part))))

(defn long/compare [a b]
  (loop [left (list 0 a b)]
    (if (number? left)
      left
      (if (empty? left) 0 (recur (compare-some left))))))

(defn impl/hash-of
  "The hash of a value inside of so many collections, as 32 bits."
  [x depth]
  (let [small (hash-part x depth) deeper (inc depth)]
    (if (nil? small)
      (loop [state (hash-begin x) left (seq x)]
        (if left
          (let [found (hash-some state left x deeper) state (nth found 0) left (nth found 1)]
            (if (nth found 2)
              (let [item (first left)]
                (recur (if (map? x)
                         (hash-mixed state x (impl/hash-of (key item) deeper) (impl/hash-of (val item) deeper))
                         (hash-mixed state x (impl/hash-of item deeper) 0))
                       (next left)))
              (recur state left)))
          (hash-end state)))
      small)))

(defn long/hash [x]
  (let [bits (impl/hash-of x 0)]
    (if (> bits 2147483647) (- bits 4294967296) bits)))

;; ---- texts; a place is a number of bytes

(defn impl/place
  "The place of the character after n others."
  [text n]
  (loop [place 0 left n]
    (if (pos? left)
      (let [found (skip-chars text place left)] (recur (nth found 0) (nth found 1)))
      place)))

(defn long/text-part [text from to]
  (let [size (- to from)]
    (loop [room (text-room size) where 0 from from]
      (if (< where size)
        (let [found (text-fill room where text from)]
          (recur (nth found 0) (nth found 1) (nth found 2)))
        room))))

(defn impl/joined
  "The strings of a vector, one after the other."
  [texts]
  (let [n (count texts)]
    (if (= n 1)
      (nth texts 0)
      (loop [room (text-room (loop [size 0 i 0]
                               (if (< i n) (recur (+ size (text-size (nth texts i))) (inc i)) size)))
             where 0 i 0 from 0]
        (if (< i n)
          (let [found (text-fill room where (nth texts i) from)]
            (if (nil? (nth found 2))
              (recur (nth found 0) (nth found 1) (inc i) 0)
              (recur (nth found 0) (nth found 1) i (nth found 2))))
          room)))))

(defn long/subs
  ([text start] (text-part text (impl/place text start) (text-size text)))
  ([text start end] (text-part text (impl/place text start) (impl/place text end))))

(defn impl/char-after [text n]
  (let [place (impl/place text n)]
    (nth (text-part text place (nth (skip-chars text place 1) 0)) 0)))

(defn long/get
  ([coll k] (long/get coll k nil))
  ([coll k default]
   (cond
     (string? coll) (impl/char-after coll k)
     (sorted-calls? coll) (impl/sorted-get coll k default)
     :else (whole get coll k default))))

(defn long/nth
  ([coll i]
   (if (string? coll)
     (impl/char-after coll i)
     (let [found (impl/item-after coll i)]
       (if (empty? found)
         (throw (ex-info (str "nth: index " i " out of bounds") {:fault :index}))
         (first found)))))
  ([coll i default]
   (if (string? coll)
     (impl/char-after coll i)
     (let [found (impl/item-after coll i)] (if (empty? found) default (first found))))))

(defn impl/place-after-spaces [text]
  (loop [place 0]
    (let [found (skip-spaces text place)]
      (if (nth found 1) (nth found 0) (recur (nth found 0))))))

(defn impl/place-before-spaces [text]
  (loop [place (text-size text)]
    (let [found (skip-spaces-back text place)]
      (if (nth found 1) (nth found 0) (recur (nth found 0))))))

(defn long/blank? [text] (= (impl/place-after-spaces text) (text-size text)))

(defn long/trim [text]
  (let [start (impl/place-after-spaces text)]
    (if (= start (text-size text)) "" (text-part text start (impl/place-before-spaces text)))))

(defn impl/found-from
  "The number of characters before a part of a text that is looked for after n characters, or nil."
  [text part n]
  (loop [place (impl/place text n) n n]
    (if (nil? place)
      nil
      (let [found (find-some text part place) n (+ n (nth found 0))]
        (if (nth found 2) n (recur (nth found 1) n))))))

(defn long/includes? [text part] (some? (impl/found-from text part 0)))

(defn long/index-of
  ([text part] (impl/found-from text part 0))
  ([text part from] (impl/found-from text part (max 0 (min from (count text))))))

(defn long/replace-text [text part with]
  (loop [texts [] place 0]
    (let [found (replace-some text part with place) texts (conj texts (nth found 0))]
      (if (nil? (nth found 1)) (impl/joined texts) (recur texts (nth found 1))))))

(defn impl/without-empty-end [texts]
  (loop [texts texts]
    (if (= (peek texts) "") (recur (pop texts)) texts)))

(defn long/split-text [text separator]
  (loop [found (split-some [] text separator 0 0)]
    (if (nil? (nth found 2))
      (if (= (count (nth found 0)) 1) (nth found 0) (impl/without-empty-end (nth found 0)))
      (recur (split-some (nth found 0) text separator (nth found 1) (nth found 2))))))

(defn impl/in-case [text upper]
  (loop [texts [] place 0]
    (let [found (case-some text place upper) texts (conj texts (nth found 0))]
      (if (nil? (nth found 1)) (impl/joined texts) (recur texts (nth found 1))))))

(defn long/upper-case [text] (impl/in-case text true))
(defn long/lower-case [text] (impl/in-case text false))

;; ---- printing; the stack is (code value ...), see print-some

(defn impl/printed [x readable]
  (loop [texts [] stack (list 0 x) atoms 0]
    (if (empty? stack)
      (impl/joined texts)
      (if (= (first stack) 8)
        (recur texts
               (conj (rest (rest stack)) (seq (impl/digits (first (rest stack)))) 7)
               atoms)
        (let [found (print-some stack readable atoms)]
          (recur (conj texts (nth found 0)) (nth found 1) (nth found 2)))))))

(defn impl/told [f separator items]
  (loop [texts [(f (first items))] left (next items)]
    (if left
      (recur (conj texts separator (f (first left))) (next left))
      (impl/joined texts))))

(defn long/str
  ([x]
   (if (or (coll? x) (and (number? x) (not (decimal? x))) (atom? x) (error? x) (opaque-kind x))
     (impl/printed x true)
     (whole str x)))
  ([x & more] (impl/told str "" (cons x more))))

(defn long/pr-str
  ([x] (impl/printed x true))
  ([x & more] (impl/told pr-str " " (cons x more))))

(defn long/print-str
  ([x] (impl/printed x false))
  ([x & more] (impl/told print-str " " (cons x more))))

(defn long/join-text [separator coll]
  (loop [texts [""] left (seq coll) apart false]
    (if left
      (let [found (join-some separator left apart)]
        (if (nil? (nth found 0))
          (recur (conj texts (if apart separator "") (str (first left))) (next left) true)
          (recur (conj texts (nth found 0)) (nth found 1) true)))
      (impl/joined texts))))
