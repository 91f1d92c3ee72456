; eval, macroexpand, resolve and load-string of forms that are made while the program runs.
(eval (list '+ 1 2))
; expect: 3
(def x 5) (defn f [a] (* a x)) (eval (list 'f 10))
; expect: 50
(let [f (eval (list 'fn '[x] (list '* 'x 3)))] (map f [1 2 3]))
; expect: (3 6 9)
((eval 'inc) ((eval (symbol "inc")) 1))
; expect: 3
(map eval [1 "a" :k nil '(+ 1 1) [1 '(inc 1)] {:a '(dec 1)} #{'(+ 2 2)}])
; expect: (1 "a" :k nil 2 [1 2] {:a 0} #{4})
(eval (read-string "(defn g [z] (inc z))")) (eval (list 'g 1))
; expect: 2
(defn f [] :old) (defn g [] (f)) [(g) (do (eval (list 'defn 'f [] :new)) (g))]
; expect: [:old :new]
(eval (list 'def 'y 3)) @(resolve (symbol "y"))
; expect: 3
(defmacro twice [a] `(do ~a ~a)) (def n (atom 0)) (eval (list 'twice '(swap! n inc))) @n
; expect: 2
(eval '(defmacro thrice [a] (list 'do a a a))) (def n (atom 0)) (eval (list 'thrice '(swap! n inc))) @n
; expect: 3
(load-string "(defmacro k [x] `[~x ~x]) (def z 7) (k z)")
; expect: [7 7]
(load-string "")
; expect: nil
(load-string "(ns foo) (defn h [x] [x *ns*])") [(eval '(foo/h 3)) (eval (list 'h 3))]
; expect: [[3 foo] [3 foo]]
(eval (list 'ns 'other)) (eval (list 'def 'v 1)) (eval (list 'in-ns ''user)) (eval '(+ other/v 1))
; expect: 2
(try (eval (list 'foo 1)) (catch Exception e (subs (ex-message e) 0 32)))
; expect: "eval:1:2: unresolved symbol: foo"
(try (eval (list 'let ['a 1] '(nope))) (catch Exception e (select-keys (ex-data e) [:fault])))
; expect: {:fault :compile}
(try (load-string "(+ 1\n (oops))") (catch CompilerException e :caught))
; expect: :caught
(try (load-string "(+ 1") (catch Exception e :unreadable))
; expect: :unreadable
(try (eval (list 'throw (list 'ex-info "no" {:a 1}))) (catch ExceptionInfo e (ex-data e)))
; expect: {:a 1}
(eval (list inc 1))
; expect error: function
(defmacro m [x] `(inc ~x)) (let [form '(m (m 1))] [(macroexpand-1 form) (macroexpand form) (macroexpand (list 'f 'x))])
; expect: [(clojure.core/inc (m 1)) (clojure.core/inc (m 1)) (f x)]
(map macroexpand-1 [(list 'if 1 2) 'x 3 [1]])
; expect: ((if 1 2) x 3 [1])
(def q 1) (map #(nil? (resolve %)) ['q 'inc 'nope 'clojure.string/join 'clojure.core/map])
; expect: (false false true false false)
((resolve (symbol "inc")) 1)
; expect: 2
(def w 1) [@(ns-resolve 'user (symbol "w")) (ns-resolve 'user (symbol "ww")) @(find-var 'user/w) (find-var 'user/none)]
; expect: [1 nil 1 nil]
(ns-resolve 'nowhere (symbol "w"))
; expect error: No namespace: nowhere
(find-var (symbol "q"))
; expect error: namespace-qualified
[@(intern 'user 'counter 41) (eval (list 'inc 'counter))]
; expect: [41 42]
(def ^{:doc "d"} m 1) [(alter-meta! #'m assoc :a 1) (:a (meta #'m)) (:doc (meta #'m))]
; expect: [{:doc "d" :name m :ns user :line 1 :a 1} 1 "d"]
(def m 1) (reset-meta! #'m {:b 2}) (meta #'m)
; expect: {:b 2}
(eval (list 'def (with-meta 'd {:dynamic true}) 1)) (eval (list 'binding '[d 2] 'd))
; expect: 2
(eval (list 're-find #"a+" "baa"))
; expect: "aa"
(eval (list 'loop ['i 0 's 0] '(if (< i 100) (recur (inc i) (+ s i)) s)))
; expect: 4950
(eval (list 'eval ''(+ 1 2)))
; expect: 3
(eval `(let [a# 1 b# 2] (+ a# b#)))
; expect: 3
(eval (list 'quote (map inc [1 2])))
; expect: (2 3)
(eval (read-string "(map #(* % 2) [1 2])"))
; expect: (2 4)
(map type (read-string "[#\"b\" 'a]"))
; expect: (java.util.regex.Pattern clojure.lang.PersistentList)
(first (eval (read-string "@(atom '[a b])")))
; expect: a
(def k 9) (var-get (eval (read-string "#'k")))
; expect: 9
(defprotocol Area (area [s])) (eval '(defrecord Square [side] Area (area [_] (* side side)))) (area (eval (list '->Square 3)))
; expect: 9
(defmulti kind :k) (eval '(defmethod kind :a [_] "a")) (eval (list 'defmethod 'kind :b '[_] "b")) (map kind [{:k :a} {:k :b}])
; expect: ("a" "b")
(defn f [] 1) (defn g [] (f)) [(eval '(with-redefs [f (fn [] 2)] (g))) (g) (do (eval (list 'alter-var-root '(var f) '(fn [old] (fn [] 3)))) (g))]
; expect: [2 1 3]
(def hits (atom 0)) (def kk (call/cc (fn [k] k))) (eval (list 'swap! 'hits 'inc)) (if (< @hits 3) (kk kk) @hits)
; expect: 3
(let [r (eval (list 'call/cc '(fn [k] (+ 1 (k 41)))))] (inc r))
; expect: 42
(require '[clojure.string :as s]) (eval (list 's/upper-case "a"))
; expect: "A"
(loop [i 0 found []] (if (< i 5) (recur (inc i) (conj found (eval (list '* i i)))) found))
; expect: [0 1 4 9 16]
(eval (symbol "a b"))
; expect error: is not a name
(eval (list (symbol "yin.core/impl/atom") 1))
; expect error: part of the core library
(loop [text "1 "] (if (> (count text) 300000) (load-string text) (recur (str text text))))
; expect error: characters is loaded
(eval (vec (repeat 30000 1)))
; expect error: parts is evaluated
(eval (reduce (fn [form _] (list 'do form)) 1 (range 250)))
; expect error: nested
(defmacro m [x] `(re-find #"b+" ~x)) (defn f [x] (re-find #"a+" x)) [(eval (list 'f "caat")) (eval (list 'm "abb")) (eval (list 're-find #"x" "axe"))]
; expect: ["aa" "bb" "x"]
