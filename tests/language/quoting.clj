; quote and literals of data.
'a
; expect: a
''a
; expect: (quote a)
'(1 2 (3 4))
; expect: (1 2 (3 4))
'(a :b "c" \d 1.5 1/2 nil true)
; expect: (a :b "c" \d 1.5 1/2 nil true)
'[a {b c} #{d}]
; expect: [a {b c} #{d}]
(quote (+ 1 2))
; expect: (+ 1 2)
(first '(+ 1 2))
; expect: +
(= '(1 2) (list 1 2))
; expect: true
['a '(b c) :d]
; expect: [a (b c) :d]
{'k '(v w)}
; expect: {k (v w)}
[nil true false]
; expect: [nil true false]
#inst "2024-01-02T03:04:05.678Z"
; expect: #inst "2024-01-02T03:04:05.678-00:00"
#uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
; expect: #uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
(= #uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6" #uuid "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6")
; expect: true
(= #inst "2024-01-01T00:00:00Z" #inst "2024-01-01T01:00:00+01:00")
; expect: true
(compare #inst "2024-01-01T00:00:00Z" #inst "2024-06-01T00:00:00Z")
; expect: -1
(get {#inst "2024-01-01T00:00:00Z" :day} #inst "2024-01-01T00:00:00.000Z")
; expect: :day
#bytes "00ff10"
; expect: #bytes "00ff10"
(= 'a/b (symbol "a" "b"))
; expect: true
'()
; expect: ()
[[] {} #{} ()]
; expect: [[] {} #{} ()]
'(quote a)
; expect: (quote a)
(count '(a b c))
; expect: 3
(let [form '(if (> x 1) :big :small)] [(first form) (count form) (second (second form))])
; expect: [if 4 x]
[#_ignored 1 #_#_two more 2]
; expect: [1 2]
