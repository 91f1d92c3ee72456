(define (range n)
  (let loop ((i (- n 1)) (items '()))
    (if (< i 0) items (loop (- i 1) (cons i items)))))

(define (main)
  (fold + 0 (map (lambda (x) (* x 3))
                 (filter (lambda (x) (= (remainder x 2) 0)) (range 1000000)))))
