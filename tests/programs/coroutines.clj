;; Coroutines: a pipeline of producer, filter and consumer, and two that hand values to and fro.

(defn producer [items]
  (coroutine (fn [_] (doseq [x items] (suspend x)) :end)))

(defn transformer [f source]
  (coroutine
    (fn [_]
      (loop []
        (let [x (resume source)]
          (if (= x :end) :end (do (suspend (f x)) (recur))))))))

(defn collect [source]
  (loop [seen []]
    (let [x (resume source)]
      (if (= x :end) seen (recur (conj seen x))))))

(defn accumulator []
  (coroutine (fn [first-value] (loop [sum first-value] (recur (+ sum (suspend sum)))))))

(defn ping-pong [turns]
  (let [log (atom [])
        player (fn [name] (coroutine (fn [ball] (loop [ball ball] (swap! log conj [name ball]) (recur (suspend (inc ball)))))))
        a (player :a) b (player :b)]
    (loop [ball 0] (if (< ball turns) (recur (resume b (resume a ball))) @log))))

(let [sums (accumulator) p (producer [1 2])]
  [(collect (transformer inc (transformer (fn [x] (* x x)) (producer (range 6)))))
   (mapv (fn [x] (resume sums x)) [1 10 100])
   (ping-pong 6)
   [(resume p) (resume p) (resume p) (ended? p)]
   (try (resume p) (catch Exception e (ex-message e)))])
; expect: [[1 2 5 10 17 26] [1 11 111] [[:a 0] [:b 1] [:a 2] [:b 3] [:a 4] [:b 5]] [1 2 :end true] "resume: the coroutine is not suspended"]
