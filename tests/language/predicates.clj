; Questions about kinds of values.
(map nil? [nil false 0 [] ()])
; expect: (true false false false false)
(map some? [nil false 0])
; expect: (false true true)
[(true? true) (true? 1) (false? false) (false? nil) (boolean? true) (boolean? nil)]
; expect: [true false true false true false]
(map boolean [nil false true 0 "" []])
; expect: (false false true true true true)
(map not [nil false true 0 ""])
; expect: (true true false false false)
(map number? [1 1.5 1/2 10000000000000000000 "1" nil \1])
; expect: (true true true true false false false)
(map int? [1 1.0 1/2 nil])
; expect: (true false false false)
(map integer? [1 10000000000000000000 1.0])
; expect: (true true false)
(map string? ["a" \a :a nil])
; expect: (true false false false)
(map char? [\a "a"])
; expect: (true false)
(map keyword? [:a :a/b 'a "a"])
; expect: (true true false false)
(map symbol? ['a 'a/b :a])
; expect: (true true false)
(map vector? [[] [1] () {} nil (vec '(1))])
; expect: (true true false false false true)
(map map? [{} {:a 1} [] #{} nil])
; expect: (true true false false false)
(map set? [#{} #{1} {} nil])
; expect: (true true false false)
(map list? [() '(1) (list 1 2) [] (range 3) (map inc [1]) nil])
; expect: (true true true false false false false)
(map seq? [() '(1) (list 1) [] (range 3) (map inc [1]) (seq [1]) (seq {:a 1}) (cons 1 nil) nil "a"])
; expect: (true true true false true true true true true false false)
(map coll? [() [] {} #{} (range 1) nil "a" 1])
; expect: (true true true true true false false false)
(map sequential? [() [] {} #{} (range 1) (map inc [1]) nil "a"])
; expect: (true true false false true true false false)
(map associative? [[] {} #{} () nil])
; expect: (true true false false false)
(map counted? [[] {} #{} () '(1) "a" nil])
; expect: (true true true true true false false)
(counted? (map inc [1 2]))
; expect: false
(map fn? [inc map (fn [] 1) :a {} #{} nil])
; expect: (true true true false false false false)
(map ifn? [inc :a 'a {} #{} [] (fn []) 1 "a" nil])
; expect: (true true true true true true true false false false)
[(atom? (atom 1)) (atom? 1) (error? (ex-info "a" {})) (error? nil)]
; expect: [true false true false]
[(pos-int? 1) (pos-int? 0) (neg-int? -1) (nat-int? 0) (nat-int? -1) (pos-int? 1.0)]
; expect: [true false true true false false]
[(ident? :a) (ident? 'a) (ident? "a") (qualified-keyword? :a/b) (qualified-keyword? :a) (simple-keyword? :a) (qualified-symbol? 'a/b) (simple-symbol? 'a)]
; expect: [true true false true false true true true]
[(seqable? nil) (seqable? []) (seqable? "a") (seqable? 1) (any? nil)]
; expect: [true true true false true]
[(empty? nil) (empty? []) (empty? "") (empty? {}) (empty? [1]) (empty? (filter odd? [2]))]
; expect: [true true true true false true]
(empty? 5)
; expect error: found an integer
(lazy-seq? (map inc [1]))
; expect: true
[(distinct? 1) (distinct? 1 2) (distinct? 1 1) (distinct? 1 2 3 2)]
; expect: [true true false false]
