(define (main)
  (let* ((n 1000000) (flags (make-vector n #t)))
    (let loop ((i 2) (found 0))
      (if (= i n)
          found
          (if (vector-ref flags i)
              (begin
                (do ((j (* i i) (+ j i))) ((>= j n)) (vector-set! flags j #f))
                (loop (+ i 1) (+ found 1)))
              (loop (+ i 1) found))))))
