; Order of numbers and `compare`.
[(< 1 2) (< 2 1) (< 1 1) (<= 1 1) (> 2 1) (>= 1 1) (>= 0 1)]
; expect: [true false false true true true false]
[(< 1 2 3 4) (< 1 3 2 4) (<= 1 1 2) (> 3 2 1) (>= 3 3 1) (> 3 3 1)]
; expect: [true false true true true false]
[(< 1) (<= 1) (> 1) (>= 1) (== 1) (= 1) (not= 1)]
; expect: [true true true true true true false]
[(< 1 1.5) (< 1/2 1) (> 1.5 3/2) (>= 1.5 3/2)]
; expect: [true true false true]
[(== 1 1) (== 1 1.0 1) (== 1 2) (== 1/2 0.5)]
; expect: [true true false true]
(< 1 "2")
; expect error: expected a number, found a string
(> nil 1)
; expect error: expected a number, found nil
(<= :a 1)
; expect error: expected a number, found a keyword
(== 1 "1")
; expect error: expected a number
[(compare 1 2) (compare 2 1) (compare 1 1) (compare 1 1.0) (compare 1/2 0.25)]
; expect: [-1 1 0 0 1]
[(compare nil 1) (compare 1 nil) (compare nil nil)]
; expect: [-1 1 0]
[(compare nil {}) (compare nil '(1)) (compare [] nil)]
; expect: [-1 -1 1]
[(compare "a" "b") (compare "b" "a") (compare "a" "a") (compare "" "a")]
; expect: [-1 1 0 -1]
[(compare :a :b) (compare 'x 'a) (compare \a \b) (compare false true) (compare true true)]
; expect: [-1 1 -1 -1 0]
[(compare [1 2] [1 3]) (compare [2] [1 1]) (compare [1 2] [1 2]) (compare [] [1])]
; expect: [-1 -1 0 -1]
(compare 1 "a")
; expect error: compare
(compare {} {})
; expect error: compare
(compare [1 [2 3]] [1 [2 4]])
; expect: -1
(let [a 3 b 4] [(< a b) (> a b) (<= a b) (>= a b) (= a b) (not= a b)])
; expect: [true false true false false true]
(sort compare [3 1 2])
; expect: (1 2 3)
(map < [1 2 3] [2 2 2])
; expect: (true false false)
[(< "") (<= nil) (> :k) (>= []) (apply < [{}])]
; expect: [true true true true true]
