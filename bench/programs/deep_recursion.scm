(define main
  (let ()
    (define (down n) (if (= n 0) 0 (+ 1 (down (- n 1)))))
    (lambda ()
      (let loop ((i 0) (sum 0))
        (if (< i 10) (loop (+ i 1) (+ sum (down 100000))) sum)))))
