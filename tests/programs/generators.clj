;; Generators: trees walked in step, permutations, and the same fringe.

(defn leaves [tree]
  (generator (fn [] ((fn walk [t] (if (vector? t) (run! walk t) (yield t))) tree))))

(defn permutations [items]
  (generator
    (fn []
      ((fn go [chosen left]
         (if (empty? left)
           (yield chosen)
           (doseq [x left] (go (conj chosen x) (remove #{x} left)))))
       [] items))))

(defn fibonacci [] (generator (fn [] (loop [a 0 b 1] (yield a) (recur b (+ a b))))))

(def closed (atom []))
(defn guarded [n]
  (generator (fn [] (try (dotimes [i n] (yield i)) (finally (swap! closed conj n))))))

[(= (leaves [1 [2 [3]] 4]) (leaves [[1 2] [3 [4]]]))
 (= (leaves [1 [2 3]]) (leaves [1 [3 2]]))
 (permutations [1 2 3])
 (take 12 (filter even? (fibonacci)))
 (map vector (fibonacci) (leaves [:a [:b [:c]]]))
 (reduce + (guarded 5))
 (count (leaves (reduce (fn [tree i] [tree i]) 0 (range 1 40))))
 @closed]
; expect: [true false ([1 2 3] [1 3 2] [2 1 3] [2 3 1] [3 1 2] [3 2 1]) (0 2 8 34 144 610 2584 10946 46368 196418 832040 3524578) ([0 :a] [1 :b] [1 :c]) 10 40 [5]]
