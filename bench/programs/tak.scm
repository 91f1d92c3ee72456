(define main
  (let ()
    (define (tak x y z)
      (if (< y x) (tak (tak (- x 1) y z) (tak (- y 1) z x) (tak (- z 1) x y)) z))
    (lambda ()
      (let loop ((i 0) (sum 0))
        (if (< i 10) (loop (+ i 1) (+ sum (tak 18 12 6))) sum)))))
