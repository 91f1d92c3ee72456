;; Effect handlers: the same program with other meanings for what it asks: state, choice, a log, chance that can be replayed.

(defn counting []
  (perform :say "start")
  (let [n (perform :get)]
    (perform :put (+ n 5))
    (perform :say (str "now " (perform :get)))
    (* 2 (perform :get))))

(defn with-state [start body]
  ((handle {:get (fn [k] (fn [state] ((k state) state)))
            :put (fn [k new] (fn [_] ((k nil) new)))
            :return (fn [value] (fn [state] [value state]))}
     body)
   start))

(defn with-log [body]
  (handle {:say (fn [k text] (let [[value lines] (k nil)] [value (cons text lines)]))
           :return (fn [value] [value ()])}
    body))

(defn silent [body] (handle {:say (fn [k _] (k nil))} body))

(defn every-way [body] (handle {:flip (fn [k] (concat (k true) (k false))) :return list} body))
(defn scripted [answers body]
  (let [left (atom answers)]
    (handle {:flip (fn [k] (let [answer (first @left)] (swap! left rest) (k answer)))} body)))

(defn three-flips [] [(perform :flip) (perform :flip) (if (perform :flip) :heads :tails)])

(defn first-failure [body] (handle {:check (fn [k what ok] (if ok (k nil) [:failed what])) :return (fn [v] [:passed v])} body))

[(with-state 10 (fn [] (with-log counting)))
 (with-log (fn [] (with-state 1 counting)))
 (with-state 0 (fn [] (silent counting)))
 (count (every-way three-flips))
 (first (every-way three-flips))
 (scripted [false true false] three-flips)
 (with-state 0 (fn [] (every-way (fn [] (perform :put (inc (perform :get))) [(perform :flip) (perform :get)]))))
 (every-way (fn [] (with-state 0 (fn [] (if (perform :flip) (perform :put 1) nil) (perform :get)))))
 (first-failure (fn [] (perform :check :one true) (perform :check :two false) :never))
 (first-failure (fn [] (perform :check :one true) :all))]
; expect: [[[30 ("start" "now 15")] 15] [[12 6] ("start" "now 6")] [10 5] 8 [true true :heads] [false true :tails] [([true 1] [false 1]) 1] ([1 1] [0 0]) [:failed :two] [:passed :all]]
