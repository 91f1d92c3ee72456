; Lists.
[() '() (list) '(1 2) (list 1 "a" :b)]
; expect: [() () () (1 2) (1 "a" :b)]
[(first '(1 2)) (rest '(1 2)) (next '(1 2)) (rest '(1)) (next '(1)) (first ()) (rest ()) (next ())]
; expect: [1 (2) (2) () nil nil () nil]
[(cons 1 nil) (cons 1 '(2)) (cons 1 [2]) (cons 1 "a") (cons [1] #{2})]
; expect: [(1) (1 2) (1 2) (1 \a) ([1] 2)]
(conj '(2 3) 1)
; expect: (1 2 3)
(conj '(3) 2 1)
; expect: (1 2 3)
[(conj nil 1) (conj () 1 2) (conj nil 1 2)]
; expect: [(1) (2 1) (2 1)]
[(peek '(1 2)) (pop '(1 2)) (peek ()) (count '(1 2 3)) (count ())]
; expect: [1 (2) nil 3 0]
(pop ())
; expect error: empty list
[(nth '(1 2 3) 0) (nth '(1 2 3) 2) (nth '(1 2) 5 :none) (last '(1 2 3)) (second '(1 2))]
; expect: [1 3 :none 3 2]
(nth '(1 2) 2)
; expect error: index
(nth () 0)
; expect error: index
[(reverse '(1 2 3)) (reverse [1 2]) (reverse nil) (reverse "ab")]
; expect: [(3 2 1) (2 1) () (\b \a)]
[(empty '(1)) (seq ()) (empty? ()) (not-empty ()) (not-empty '(1))]
; expect: [() nil true nil (1)]
[(list* 1 2 [3 4]) (list* [1]) (list* 1 nil) (list* 1 2 3 4 5 [6]) (list* nil)]
; expect: [(1 2 3 4) (1) (1) (1 2 3 4 5 6) nil]
(into () [1 2 3])
; expect: (3 2 1)
(apply list 1 2 [3 4])
; expect: (1 2 3 4)
'(a b (c [d e]) {:f #{g}})
; expect: (a b (c [d e]) {:f #{g}})
(get '(1 2 3) 0)
; expect: nil
(contains? '(1 2) 0)
; expect error: contains?
('(1 2) 0)
; expect error: not a function
(first 5)
; expect error: found an integer
(cons 1 2)
; expect error: found an integer
(rest :a)
; expect error: found a keyword
(count 5)
; expect error: found an integer
[(ffirst [[1 2] [3]]) (fnext [1 2 3]) (nfirst [[1 2 3] 4]) (nnext [1 2 3 4]) (second [1]) (ffirst nil)]
; expect: [1 2 (2 3) (3 4) nil nil]
(count (loop [l () i 0] (if (= i 1000) l (recur (conj l i) (inc i)))))
; expect: 1000
