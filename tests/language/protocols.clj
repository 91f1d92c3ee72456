; Protocols, records, types, reify.
(defprotocol Shape "Shapes." (area [this] "Its area.") (scale [this n] [this n m]))
(defrecord Square [a] Shape (area [_] (* a a)) (scale [this n] (assoc this :a (* a n))))
[(area (->Square 3)) (area (scale (Square. 2) 3)) (:a (map->Square {:a 1})) (= (->Square 1) (new Square 1))]
; expect: [9 36 1 true]
(defprotocol Size (size [this]))
(extend-type Long Size (size [n] n))
(extend-protocol Size
  nil (size [_] 0)
  String (size [s] (count s))
  clojure.lang.IPersistentVector (size [v] [:v (count v)])
  Object (size [_] :other))
(map size [7 nil "abc" [1] :k {}])
; expect: (7 0 3 [:v 1] :other :other)
(defprotocol P (m [x]))
(m 1)
; expect error: No implementation of method: :m of protocol: user/P found for Long
(defprotocol P (m [x y]))
(let [z 5] (m (reify P (m [_ y] (+ y z))) 1))
; expect: 6
(defprotocol P (m [x]))
(deftype T [a b] P (m [_] (+ a b)))
[(m (T. 1 2)) (m (->T 3 4)) (= (T. 1 2) (T. 1 2)) (instance? T (T. 1 2)) (map? (T. 1 2))]
; expect: [3 7 false true false]
(defrecord R [a b])
(let [{:keys [a b]} (->R 1 2)] [a b (instance? R (->R 1 2)) (instance? R {:a 1}) (= (->R 1 2) {:a 1 :b 2})])
; expect: [1 2 true false false]
(defprotocol P (m [x]))
(defrecord R [x] P (m [{y :x}] [x y]))
(m (->R 1))
; expect: [1 1]
(defprotocol P (m [x a]))
(defrecord R [a] P (m [_ a] a))
(m (->R 1) 2)
; expect: 2
(defprotocol P (m [x]))
(defrecord R [])
(extend R P {:m (fn [_] :extended)})
[(m (->R)) (satisfies? P (->R)) (satisfies? P 1) (extends? P R)]
; expect: [:extended true false true]
(defprotocol P (m [x]) (n [x]))
(extend-type Number P (m [x] :number))
(extend-type Long P (n [x] :long))
[(m 1.5) (n 1)]
; expect: [:number :long]
[(instance? String "a") (instance? Long 1) (instance? Number 1.5) (instance? clojure.lang.Keyword :k) (instance? String 1)]
; expect: [true true true true false]
(defprotocol P (m [x]))
(defrecord R [n] P (m [this] (if (zero? n) :end (m (update this :n dec)))))
(m (->R 1000))
; expect: :end
(defrecord R [a])
(deftype T [a])
[(record? (->R 1)) (record? {:a 1}) (record? (->T 1))]
; expect: [true false false]
(defprotocol P (m [x]))
(defrecord A [] P (m [_] 1))
(defrecord B [])
[(map (fn [x] (condp instance? x A :a B :b :none)) [(->A) (->B) 1]) (filter (partial instance? P) [1 (->A)])]
; expect: [(:a :b :none) ({:yin.core/type user/A})]
