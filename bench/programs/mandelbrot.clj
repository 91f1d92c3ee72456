;; Points of a 200 x 200 grid that stay bounded for 50 rounds: loops over doubles.
(defn inside [cr ci]
  (loop [zr 0.0 zi 0.0 n 0]
    (if (= n 50)
      1
      (let [rr (* zr zr) ii (* zi zi)]
        (if (> (+ rr ii) 4.0)
          0
          (recur (+ (- rr ii) cr) (+ (* 2.0 (* zr zi)) ci) (inc n)))))))

(loop [y 0 count 0]
  (if (< y 200)
    (recur (inc y)
           (loop [x 0 count count]
             (if (< x 200)
               (recur (inc x) (+ count (inside (- (* x 0.015) 2.0) (- (* y 0.015) 1.5))))
               count)))
    count))
