; Keywords and symbols.
[:a :a/b :a.b/c-d :a? :+ :1a]
; expect: [:a :a/b :a.b/c-d :a? :+ :1a]
[(name :a) (name :a/b) (name 'x/y) (name "s")]
; expect: ["a" "b" "y" "s"]
[(namespace :a) (namespace :a/b) (namespace 'x/y) (namespace 'x)]
; expect: [nil "a" "x" nil]
[(keyword "a") (keyword "a" "b") (keyword 'a) (keyword :a) (keyword "a/b")]
; expect: [:a :a/b :a :a :a/b]
[(symbol "a") (symbol "a" "b") (symbol 'a) (symbol :a/b)]
; expect: [a a/b a a/b]
(keyword nil)
; expect: nil
(name nil)
; expect error: name
(name 5)
; expect error: name
(namespace "a")
; expect error: namespace
(symbol 5)
; expect error: symbol
['a 'b/c '+ 'a.b 'nil? '-> '/]
; expect: [a b/c + a.b nil? -> /]
[(:a {:a 1}) (:b {:a 1}) (:b {:a 1} 2) (:a nil) (:a 5) (:a #{:a}) (:a nil :none)]
; expect: [1 nil 2 nil nil :a :none]
[('a {'a 1}) ('b {'a 1} :none)]
; expect: [1 :none]
(map :name [{:name "x"} {:name "y"} {}])
; expect: ("x" "y" nil)
(let [k :a] [(k {:a 1}) (k {} 2)])
; expect: [1 2]
(:a)
; expect error: wrong number of arguments (0)
(:a {} 1 2)
; expect error: wrong number of arguments (3)
[(= :a (keyword "a")) (identical? :a (keyword "a")) (= 'a (symbol "a"))]
; expect: [true true true]
(str :a/b 'c/d)
; expect: ":a/bc/d"
(apply :a [{:a 7}])
; expect: 7
(sort [:b :a :c/a])
; expect: (:a :b :c/a)
(sort [:z :a/b :a :a/a])
; expect: (:a :z :a/a :a/b)
(= :a/b (keyword (namespace :a/b) (name :a/b)))
; expect: true
