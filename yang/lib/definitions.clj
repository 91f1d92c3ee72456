;; What definitions are made of that are more than a value: gensym, macros' results.
;;
;; Is:     the functions that the derived forms of yang/definitions.py and yang/macros.py call.
;; Is not: those forms.
;; Fits:   one file of the core library (core.clj has its rules).
;; Source: Clojure 1.11's clojure.core.

;; ---- names

(defn impl/gensym
  "A symbol that the program has not made before: `counter` is its own."
  [counter prefix]
  (symbol (str prefix (swap! counter inc))))

(defn impl/gensym-of [counter]
  (fn ([] (impl/gensym counter "G__")) ([prefix] (impl/gensym counter prefix))))

(defn impl/realize-deep
  "Realise every lazy seq inside of data."
  [data]
  (if (coll? data)
    (do
      (if (lazy-seq? data) (realize-all data) nil)
      (run! impl/realize-deep data))
    nil))

(defn impl/macro-result
  "What a macro made, all of it, and then the count of gensym."
  [form count-of]
  (impl/realize-deep form)
  [form (count-of)])

;; ---- boxes: opaque values of a kind, which are no collections

(defn impl/box [kind content] (opaque* kind (name kind) content))
(defn impl/box-kind [x] (opaque-kind x))
(defn impl/box-content [x] (opaque-content x))

;; ---- dynamic variables: an atom of [root bound?]
;;
;; A binding is a prompt whose tag is the variable's atom; who reads the variable asks the innermost one. So a binding holds
;; in exactly the calls inside of it, wherever a continuation, a generator or a thread of theirs goes on.

(defn impl/dynamic [root] (atom [root false]))

(defn dynamic-value
  "The value of a dynamic variable here."
  [cell]
  (let [state (deref cell)]
    (if (nth state 1)
      (try (suspend* cell nil) (catch :default _ (nth state 0)))
      (nth state 0))))

(defn impl/set-dynamic
  "Give the innermost binding another value."
  [cell variable value]
  (try
    (suspend* cell [value])
    (catch :default _
      (throw (ex-info (str "Can't change/establish root binding of: " variable " with set") {:fault :state})))))

(defn impl/bind
  "Call the body while a dynamic variable has a value."
  [cell value body]
  (swap! cell assoc 1 true)
  (loop [value value step (prompt* cell (fn [] [(body)]))]
    (if (vector? step)
      (nth step 0)
      (let [new (suspended-with step)]
        (if (nil? new)
          (recur value (prompt* cell step value))
          (recur (nth new 0) (prompt* cell step (nth new 0))))))))

(defn impl/alter-root [cell f & arguments]
  (nth (swap! cell (fn [state] (assoc state 0 (apply f (nth state 0) arguments)))) 0))

(defn impl/with-roots
  "Call the body while variables have other roots."
  [cells values body]
  (let [before (mapv deref cells)]
    (run! (fn [[cell value]] (swap! cell assoc 0 value)) (map vector cells values))
    (finally* body (fn [] (run! (fn [[cell state]] (swap! cell assoc 0 (nth state 0))) (map vector cells before))))))

;; ---- variables as values

(defn impl/variable [variable value-of metadata]
  (impl/box :yin.core/var {:name variable :value value-of :meta metadata}))

(defn var? [x] (= (impl/box-kind x) :yin.core/var))
(defn var-get [x] ((:value (impl/box-content x))))

;; ---- metadata of variables: that of `metas`, an atom, before what the program says

(defn impl/reset-meta [metas variable said metadata]
  (swap! metas assoc variable metadata)
  metadata)

(defn impl/alter-meta [metas variable said f & arguments]
  (impl/reset-meta metas variable said (apply f said arguments)))

;; ---- code that is compiled while the program runs: `here` is the namespace in which it was written that it is, and
;; `namespaces` has the one that has been entered from there

(defn impl/coded
  "A form as data of compile*: lazy seqs are realised, metadata and patterns are written out."
  [x]
  (if (impl/pattern? x)
    (list 'clojure.core/re-pattern (str x))
    (let [plain (cond
                  (seq? x) (apply list (map impl/coded x))
                  (vector? x) (mapv impl/coded x)
                  (map? x) (reduce-kv (fn [m k v] (assoc m (impl/coded k) (impl/coded v))) {} x)
                  (set? x) (into #{} (map impl/coded) x)
                  :else x)]
      (if (and (meta x) (or (coll? x) (symbol? x)))
        (list 'yin.core/described (impl/coded (meta x)) plain)
        plain))))

(defn impl/compiled [operation namespaces here data]
  (compile* operation data here (get (deref namespaces) here here)))

(defn impl/eval [namespaces here form]
  (if (or (coll? form) (symbol? form))
    ((impl/compiled :eval namespaces here (impl/coded form)))
    form))

(defn impl/load-string [namespaces here text]
  ((impl/compiled :load namespaces here (impl/check-string "load-string" text))))

(defn impl/macroexpand [namespaces here form]
  (if (seq? form) (impl/compiled :expand namespaces here (impl/coded form)) form))

(defn impl/macroexpand-1 [namespaces here form]
  (if (seq? form) (impl/compiled :expand-1 namespaces here (impl/coded form)) form))

(defn impl/ns-resolve [namespaces here namespace symbol]
  (let [found (compile* :resolve symbol here namespace)]
    (if (nil? found) nil (found))))

(defn impl/resolve [namespaces here symbol]
  (impl/ns-resolve namespaces here (get (deref namespaces) here here) symbol))

(defn impl/find-var [namespaces here symbol]
  (if (namespace symbol)
    (impl/ns-resolve namespaces here here symbol)
    (impl/refuse :argument (str "Symbol must be namespace-qualified: " symbol))))

(defn impl/intern [namespaces here namespace name value]
  (((compile* :eval (list 'fn '[value] (list 'def (impl/coded name) 'value)) here namespace)) value)
  (impl/ns-resolve namespaces here namespace (with-meta name nil)))

(defn impl/enter-namespace [namespaces here entered] (swap! namespaces assoc here entered) nil)

;; ---- hierarchies

(defn make-hierarchy [] {:parents {} :descendants {} :ancestors {}})

(defn isa?
  ([child parent] (isa? {:parents {} :descendants {} :ancestors {}} child parent))
  ([h child parent]
   (cond
     (= child parent) true
     (contains? (get (:ancestors h) child #{}) parent) true
     (and (vector? child) (vector? parent) (= (count child) (count parent)))
     (loop [i 0]
       (cond
         (= i (count child)) true
         (isa? h (nth child i) (nth parent i)) (recur (inc i))
         :else false))
     :else false)))

(defn parents ([_] nil) ([h tag] (not-empty (get (:parents h) tag))))
(defn ancestors ([_] nil) ([h tag] (not-empty (get (:ancestors h) tag))))
(defn descendants ([_] nil) ([h tag] (not-empty (get (:descendants h) tag))))

(defn impl/joined-tags [m key others] (assoc m key (into (get m key #{}) others)))

(defn impl/check-tag [tag message]
  (if (and (ident? tag) (namespace tag)) nil (throw (ex-info (str "Assert failed: " message) {:fault :assert}))))

(defn derive
  [h tag parent]
  (let [ups (conj (get (:ancestors h) parent #{}) parent)
        downs (conj (get (:descendants h) tag #{}) tag)]
    (cond
      (= tag parent) (throw (ex-info "Assert failed: (not= tag parent)" {:fault :assert}))
      (contains? (get (:parents h) tag #{}) parent) h
      (contains? (get (:ancestors h) tag #{}) parent)
      (throw (ex-info (str (pr-str tag) " already has " (pr-str parent) " as ancestor") {:fault :state}))
      (contains? (get (:ancestors h) parent #{}) tag)
      (throw (ex-info (str "Cyclic derivation: " (pr-str parent) " has " (pr-str tag) " as ancestor") {:fault :state}))
      :else
      {:parents (impl/joined-tags (:parents h) tag [parent])
       :ancestors (reduce (fn [m down] (impl/joined-tags m down ups)) (:ancestors h) downs)
       :descendants (reduce (fn [m up] (impl/joined-tags m up downs)) (:descendants h) ups)})))

(defn underive [h tag parent]
  (let [left (disj (get (:parents h) tag #{}) parent)
        all (if (empty? left) (dissoc (:parents h) tag) (assoc (:parents h) tag left))]
    (if (contains? (get (:parents h) tag #{}) parent)
      (reduce (fn [made [child ups]] (reduce (fn [made up] (derive made child up)) made ups)) (make-hierarchy) all)
      h)))

(defn impl/derive-globally [cell tag parent]
  (impl/check-tag parent "(namespace parent)")
  (swap! cell derive tag parent)
  nil)

(defn impl/underive-globally [cell tag parent]
  (swap! cell underive tag parent)
  nil)

;; ---- multimethods: an atom of {:name :dispatch :default :methods :prefers :hierarchy}

(defn impl/multimethod [variable dispatch default hierarchy]
  (atom {:name variable :dispatch dispatch :default default :methods {} :prefers {} :hierarchy hierarchy}))

(defn impl/add-method [multi value f] (swap! multi update :methods assoc value f) nil)
(defn impl/remove-method [multi value] (swap! multi update :methods dissoc value) nil)
(defn impl/remove-all-methods [multi] (swap! multi assoc :methods {}) nil)
(defn impl/methods [multi] (:methods (deref multi)))
(defn impl/prefers [multi] (:prefers (deref multi)))

(defn impl/preferred? [state h x y]
  (let [prefers (:prefers state)]
    (or (contains? (get prefers x #{}) y)
        (boolean (some (fn [up] (impl/preferred? state h x up)) (parents h y)))
        (boolean (some (fn [up] (impl/preferred? state h up y)) (parents h x))))))

(defn impl/prefer-method [multi x y]
  (let [state (deref multi)]
    (if (impl/preferred? state (deref (:hierarchy state)) y x)
      (throw (ex-info (str "Preference conflict in multimethod '" (:name state) "': " (pr-str y) " is already preferred to " (pr-str x)) {:fault :state}))
      (swap! multi update :prefers impl/joined-tags x [y])))
  nil)

(defn impl/best-method
  "The entry of the method for a value, by the hierarchy."
  [state h value]
  (impl/fold-seq
    (fn [best entry]
      (cond
        (not (isa? h value (key entry))) best
        (nil? best) entry
        (or (impl/preferred? state h (key entry) (key best)) (isa? h (key entry) (key best))) entry
        (or (impl/preferred? state h (key best) (key entry)) (isa? h (key best) (key entry))) best
        :else
        (throw (ex-info (str "Multiple methods in multimethod '" (:name state) "' match dispatch value: " (pr-str value)
                             " -> " (pr-str (key entry)) " and " (pr-str (key best)) ", and neither is preferred")
                        {:fault :argument}))))
    nil (:methods state)))

(defn impl/get-method [multi value]
  (let [state (deref multi)
        exact (get (:methods state) value)]
    (if (some? exact)
      exact
      (let [entry (impl/best-method state (deref (:hierarchy state)) value)]
        (if entry (val entry) (get (:methods state) (:default state)))))))

(defn impl/call-multi [multi arguments]
  (let [state (deref multi)
        value (apply (:dispatch state) arguments)
        exact (get (:methods state) value)
        f (if (nil? exact) (impl/get-method multi value) exact)]
    (if (nil? f)
      (throw (ex-info (str "No method in multimethod '" (:name state) "' for dispatch value: " (pr-str value)) {:fault :argument}))
      (apply f arguments))))

;; ---- types and protocols
;;
;; A protocol is a map with an atom {type {method f}}; a type of the program is a symbol, others are named as Clojure's
;; classes. A record is a map with its type under :yin.core/type; what deftype and reify make is a box.

(defn impl/protocol [variable methods]
  {:on variable :methods methods :implementations (atom {})})

(defn impl/class-names
  "What a value may be extended by, the most special first."
  [x]
  (cond
    (nil? x) ["nil"]
    (string? x) ["String" "CharSequence" "Comparable" "Object"]
    (int? x) ["Long" "Integer" "Number" "Comparable" "Object"]
    (double? x) ["Double" "Number" "Comparable" "Object"]
    (ratio? x) ["Ratio" "Number" "Comparable" "Object"]
    (decimal? x) ["BigDecimal" "Number" "Comparable" "Object"]
    (boolean? x) ["Boolean" "Comparable" "Object"]
    (char? x) ["Character" "Comparable" "Object"]
    (keyword? x) ["Keyword" "Named" "IFn" "Comparable" "Object"]
    (symbol? x) ["Symbol" "Named" "IFn" "Comparable" "Object"]
    (vector? x) ["PersistentVector" "APersistentVector" "IPersistentVector" "Vector" "Indexed" "Associative" "List" "Sequential"
                 "IPersistentCollection" "Seqable" "Collection" "Iterable" "Counted" "IFn" "Object"]
    (map? x) ["PersistentArrayMap" "PersistentHashMap" "PersistentTreeMap" "APersistentMap" "IPersistentMap" "Map" "Associative"
              "IPersistentCollection" "Seqable" "Iterable" "Counted" "IFn" "Object"]
    (set? x) ["PersistentHashSet" "PersistentTreeSet" "APersistentSet" "IPersistentSet" "Set" "IPersistentCollection" "Seqable"
              "Collection" "Iterable" "Counted" "IFn" "Object"]
    (list? x) ["PersistentList" "IPersistentList" "ISeq" "Sequential" "List" "IPersistentCollection" "Seqable" "Collection"
               "Iterable" "Object"]
    (seq? x) ["LazySeq" "Cons" "ISeq" "Sequential" "List" "IPersistentCollection" "Seqable" "Collection" "Iterable" "Object"]
    (fn? x) ["AFn" "Fn" "IFn" "Object"]
    (= (impl/box-kind x) :yin.core/pattern) ["Pattern" "Object"]
    (error? x) ["ExceptionInfo" "IExceptionInfo" "RuntimeException" "Exception" "Throwable" "Object"]
    (atom? x) ["Atom" "IAtom" "IDeref" "Object"]
    (inst? x) ["Date" "Inst" "Object"]
    (uuid? x) ["UUID" "Comparable" "Object"]
    :else ["Object"]))

(defn impl/type-of
  "The type of the program that a value is of, or nil."
  [x]
  (if (map? x)
    (if (sorted? x) nil (get x :yin.core/type))
    (if (= (impl/box-kind x) :yin.core/instance) (nth (impl/box-content x) 0) nil)))

(defn record? [x] (and (map? x) (some? (impl/type-of x))))

(defn impl/methods-for
  "The methods of a protocol for a value, or nil."
  [protocol x]
  (let [made (if (= (impl/box-kind x) :yin.core/reified) (get (impl/box-content x) (:on protocol)) nil)]
    (if (nil? made)
      (let [all (deref (:implementations protocol))
            type (impl/type-of x)
            own (if (nil? type) nil (get all type))]
        (if (nil? own)
          (some (fn [name] (get all name)) (if (nil? type) (impl/class-names x) ["Object"]))
          own))
      made)))

(defn impl/method [protocol method x]
  (let [f (get (impl/methods-for protocol x) method)]
    (if (nil? f)
      (throw (ex-info (str "No implementation of method: " method " of protocol: " (:on protocol) " found for "
                           (let [type (impl/type-of x)] (if (nil? type) (first (impl/class-names x)) type)))
                      {:fault :argument}))
      f)))

(defn impl/add-extension [protocol type methods]
  (swap! (:implementations protocol) update type merge methods)
  nil)

(defn extend [type & protocols]
  (run! (fn [[protocol methods]] (impl/add-extension protocol type methods)) (partition 2 protocols)))

(defn satisfies? [protocol x] (some? (impl/methods-for protocol x)))
(defn extends? [protocol type] (contains? (deref (:implementations protocol)) type))
(defn extenders [protocol] (keys (deref (:implementations protocol))))

(defn impl/instance? [type x]
  (if (symbol? type) (= (impl/type-of x) type) (some? (some (fn [name] (= name type)) (impl/class-names x)))))

(defn instance?
  "Is a value of a type, which is a value itself here: the name of a type, or a protocol."
  [type x]
  (cond
    (map? type) (satisfies? type x)
    (class? type) (impl/instance? (impl/class-name type) x)
    :else (impl/instance? type x)))

(defn impl/class-name
  "What stands behind the last dot of a class's name."
  [class]
  (last (split-text (name class) ".")))

(defn impl/class-of
  "The name that Clojure's class of a value has, which is none of the program's types."
  [x]
  (let [name (first (impl/class-names x))]
    (case name
      ("String" "Long" "Double" "Boolean" "Character") (symbol (str "java.lang." name))
      ("Date" "UUID") (symbol (str "java.util." name))
      "Pattern" 'java.util.regex.Pattern
      "BigDecimal" 'java.math.BigDecimal
      "PersistentArrayMap" (cond
                             (sorted? x) 'clojure.lang.PersistentTreeMap
                             (< (count x) 9) 'clojure.lang.PersistentArrayMap
                             :else 'clojure.lang.PersistentHashMap)
      "PersistentHashSet" (if (sorted? x) 'clojure.lang.PersistentTreeSet 'clojure.lang.PersistentHashSet)
      (symbol (str (if (= name "Object") "java.lang." "clojure.lang.") name)))))

(defn class
  "The type of a value: the symbol of one of the program's types, or the name of Clojure's class as a symbol."
  [x]
  (let [type (if (nil? x) nil (impl/type-of x))]
    (cond
      (nil? x) nil
      (some? type) type
      :else (impl/class-of x))))

(defn type
  "What the metadata of a value says is its type, or its class."
  [x]
  (or (get (meta x) :type) (class x)))

(defn impl/instance [type values] (impl/box :yin.core/instance [type values]))
(defn impl/field [x i] (nth (nth (impl/box-content x) 1) i))
(defn impl/reified [methods] (impl/box :yin.core/reified methods))

;; ---- delays, futures, promises: boxes around what is realised once

(defn impl/delayed [body] (impl/box :yin.core/delay (atom [nil body])))
(defn delay? [x] (= (impl/box-kind x) :yin.core/delay))
(defn future-cancelled? [_] false)
(defn future? [x] (= (impl/box-kind x) :yin.core/future))

(defn impl/outcome-value [outcome]
  (if (first outcome) (second outcome) (throw (second outcome))))

(defn force [x]
  (if (delay? x)
    (let [cell (impl/box-content x)
          state (deref cell)]
      (if (nil? (nth state 0))
        (let [outcome (impl/attempt (nth state 1))]
          (reset! cell [outcome nil])
          (impl/outcome-value outcome))
        (impl/outcome-value (nth state 0))))
    x))

(defn impl/start
  "Call a task until it ends or blocks; then it goes on when what it waits for is there."
  [threads task value]
  (let [blocked (prompt* :yin.core/thread task value)]
    (if (nil? blocked) nil ((suspended-with blocked) threads blocked))
    nil))

(defn impl/future [threads body]
  (let [settled (promise)]
    (impl/start threads (impl/thread settled body) nil)
    (impl/box :yin.core/future settled)))

(defn impl/run-one [threads]
  (let [taken (impl/queue-take (deref threads))]
    (if (nil? taken)
      false
      (let [[f value] (first taken)]
        (reset! threads (second taken))
        (impl/start threads f value)
        true))))

(defn impl/wait
  "Wait until a promise is settled: in a thread let the others go on, outside of any let them run."
  [threads settled otherwise]
  (loop []
    (if (settled? settled)
      (impl/outcome-value (:outcome (deref settled)))
      (let [blocked (try
                      (impl/block (fn [ready k] (swap! settled update :waiting conj [ready k])))
                      true
                      (catch :default _ false))]
        (if (or blocked (impl/run-one threads)) (recur) (otherwise))))))

(defn impl/never [] (throw (ex-info "deref: nobody is left who could deliver this" {:fault :deadlock})))

(defn impl/raw [x] (if (nil? (impl/box-kind x)) x (impl/box-content x)))

(defn impl/deref-with
  ([threads x] (impl/deref-with threads x impl/never))
  ([threads x otherwise]
   (let [kind (impl/box-kind x)]
     (cond
       (nil? kind) (if (fn? x) x (deref x)) ; the variable of a function is the function
       (= kind :yin.core/delay) (force x)
       (or (= kind :yin.core/future) (= kind :yin.core/promise)) (impl/wait threads (impl/box-content x) otherwise)
       (= kind :yin.core/var) (var-get x)
       (= kind :yin.core/watched) (:value (deref (impl/box-content x)))
       :else (deref x)))))

(defn impl/deref-of [threads]
  (fn ([x] (impl/deref-with threads x)) ([x _ default] (impl/deref-with threads x (fn [] default)))))

(defn impl/promise [] (impl/box :yin.core/promise (promise)))
(defn impl/deliver [p value] (if (deliver (impl/raw p) value) p nil))
(defn impl/await [threads p] (impl/wait threads (impl/raw p) impl/never))

(defn impl/realized? [x]
  (let [kind (impl/box-kind x)]
    (cond
      (= kind :yin.core/delay) (some? (nth (deref (impl/box-content x)) 0))
      (or (= kind :yin.core/future) (= kind :yin.core/promise)) (settled? (impl/box-content x))
      (lazy-seq? x) (nil? (lazy-thunk x))
      :else (throw (ex-info "realized?: expected a delay, future, promise or lazy seq" {:fault :type})))))

;; ---- atoms with watches and a validator: a box around an atom of {:value :watches :validator :shown}, shown as the
;; atom :shown, which has the value alone

(defn impl/validated [validator value]
  (if (or (nil? validator) (validator value))
    value
    (throw (ex-info "Invalid reference state" {:fault :state}))))

(defn impl/watched-atom [value & options]
  (let [validator (:validator (apply hash-map options))]
    (impl/validated validator value)
    (let [shown (atom value)]
      (opaque* :yin.core/watched shown (atom {:value value :watches {} :validator validator :shown shown})))))

(defn impl/watched-change
  "Set what `f` makes of the value; [old new]."
  [cell f]
  (let [inner (impl/raw cell)
        before (deref inner)
        new (impl/validated (:validator before) (f (:value before)))]
    (if (identical? (deref inner) before)
      (do
        (reset! inner (assoc before :value new))
        (reset! (:shown before) new)
        (run! (fn [[k watch]] (watch k cell (:value before) new)) (:watches before))
        [(:value before) new])
      (impl/watched-change cell f))))

(defn impl/watched-swap [cell f & arguments] (nth (impl/watched-change cell (fn [old] (apply f old arguments))) 1))
(defn impl/watched-swap-vals [cell f & arguments] (impl/watched-change cell (fn [old] (apply f old arguments))))
(defn impl/watched-reset [cell value] (nth (impl/watched-change cell (fn [_] value)) 1))
(defn impl/watched-reset-vals [cell value] (impl/watched-change cell (fn [_] value)))

(defn impl/watched-compare [cell old new]
  (if (= (:value (deref (impl/raw cell))) old)
    (do (impl/watched-reset cell new) true)
    false))

(defn impl/add-watch [cell k watch] (swap! (impl/raw cell) update :watches assoc k watch) cell)
(defn impl/remove-watch [cell k] (swap! (impl/raw cell) update :watches dissoc k) cell)
(defn impl/get-validator [cell] (:validator (deref (impl/raw cell))))

(defn impl/set-validator [cell validator]
  (impl/validated validator (:value (deref (impl/raw cell))))
  (swap! (impl/raw cell) assoc :validator validator)
  nil)
