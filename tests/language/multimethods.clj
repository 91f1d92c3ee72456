; Multimethods and hierarchies.
(defmulti area "The area." :shape)
(defmethod area :circle [{r :r}] (* 3 r r))
(defmethod area :square [{a :a}] (* a a))
[(area {:shape :circle :r 2}) (area {:shape :square :a 3}) (map area [{:shape :square :a 1}])]
; expect: [12 9 (1)]
(defmulti f identity)
(f 1)
; expect error: No method in multimethod 'f' for dispatch value: 1
(defmulti f identity)
(defmethod f :default [x] [:none x])
(defmethod f nil [_] :nothing)
[(f 1) (f nil)]
; expect: [[:none 1] :nothing]
(defmulti f (fn [x & _] x) :default :other)
(defmethod f :other ([x] 1) ([x y] 2) ([x y & more] (count more)))
[(f 1) (f 1 2) (f 1 2 3 4)]
; expect: [1 2 2]
(derive ::rect ::shape)
(derive ::square ::rect)
(defmulti f identity)
(defmethod f ::shape [_] :shape)
[(f ::square) (isa? ::square ::shape) (isa? ::shape ::square) (isa? 1 1) (ancestors ::square) (parents ::square) (descendants ::shape) (parents ::shape)]
; expect: [:shape true false true #{:user/shape :user/rect} #{:user/rect} #{:user/rect :user/square} nil]
(defmulti f (fn [a b] [a b]))
(derive ::a ::x)
(defmethod f [::x 1] [_ _] 1)
(f ::a 1)
; expect: 1
(defmulti f (fn [a b] [a b]))
(derive ::a ::x)
(defmethod f [::x ::x] [_ _] :general)
(defmethod f [::a ::x] [_ _] :special)
[(f ::a ::a) (f ::x ::a)]
; expect: [:special :general]
(defmulti f identity)
(derive ::c ::a)
(derive ::c ::b)
(defmethod f ::a [_] 1)
(defmethod f ::b [_] 2)
(f ::c)
; expect error: and neither is preferred
(defmulti f identity)
(derive ::c ::a)
(derive ::c ::b)
(defmethod f ::a [_] 1)
(defmethod f ::b [_] 2)
(prefer-method f ::b ::a)
[(f ::c) (prefers f)]
; expect: [2 {:user/b #{:user/a}}]
(defmulti f identity)
(defmethod f 1 [_] :one)
(defmethod f 2 [_] :two)
(remove-method f 2)
[(sort (keys (methods f))) ((get-method f 1) 0) (get-method f 2)]
; expect: [(1) :one nil]
(derive ::a ::b)
(derive ::b ::a)
; expect error: Cyclic derivation
(derive ::a ::b)
(underive ::a ::b)
(isa? ::a ::b)
; expect: false
(let [h (derive (derive (make-hierarchy) :a :b) :b :c)] [(isa? h :a :c) (ancestors h :a) (isa? h [:a 1] [:c 1]) (isa? :a :c)])
; expect: [true #{:b :c} true false]
(def h (derive (make-hierarchy) :sub :super))
(defmulti f identity :hierarchy #'h)
(defmethod f :super [_] :found)
(f :sub)
; expect: :found
