(define (main)
  (string-length
   (call-with-text
    (lambda (port)
      (do ((i 0 (+ i 1))) ((= i 100000))
        (if (> i 0) (write-char #\, port))
        (display (number->string i) port))))))
