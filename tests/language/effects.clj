; Effects, answered by the fake node of the tests: named "alpha", one of three, its clock stands still, `rand` is 0.25,
; `q` gives the set of its inputs, `transact!` a report, other names are refused. `finish!` gives its arguments.
(here)
; expect: "alpha"
(nodes)
; expect: ["alpha" "beta" "gamma"]
(do (hop! "beta") (here))
; expect: "beta"
(+ (count (here)) (do (hop! "beta") (count (here))))
; expect: 9
(now)
; expect: #inst "2024-01-01T00:00:00.000-00:00"
(rand)
; expect: 0.25
[(rand-int 100) (rand-nth [:a :b :c :d])]
; expect: [25 :b]
(shuffle [1 2 3])
; expect: [2 3 1]
(sleep 5)
; expect: nil
[(println "a" 1) (prn "a") (print "x") (log! "line")]
; expect: [nil nil nil nil]
(q '[:find ?x :in $ ?x] "$facts" 5)
; expect: #{["$facts" 5]}
(q '[:find ?x] (map inc [1 2]))
; expect: #{[(2 3)]}
(count (q "[:find ?e]"))
; expect: 1
(transact! "facts" [{:a 1}])
; expect: {:stream "facts" :count 1}
(streams)
; expect: ["facts"]
(let [home (here)] (hop! "gamma") [home (here)])
; expect: ["alpha" "gamma"]
(on-node "beta" (fn [] (here)))
; expect: "beta"
[(on-node "beta" here) (here)]
; expect: ["beta" "alpha"]
(on-all-nodes (fn [] (count (here))))
; expect: {"alpha" 5 "beta" 4 "gamma" 5}
(try (hop! "nowhere") (catch Exception e [(ex-message e) (:fault (ex-data e))]))
; expect: ["no node is named nowhere" :node]
(hop! "nowhere")
; expect error: no node is named nowhere
(try (on-node "beta" (fn [] (throw (ex-info "there" {})))) (catch Exception e [(ex-message e) (here)]))
; expect: ["there" "alpha"]
(log! inc)
; expect error: data
(q [(fn [] 1)])
; expect error: data
(map (fn [n] (hop! n) (here)) ["beta" "gamma"])
; expect: ("beta" "gamma")
(let [n (fn [] (count (here)))] (+ (n) (do (hop! "beta") (n))))
; expect: 9
(mapv (fn [x] (log! (str x)) x) [1 2])
; expect: [1 2]
(let [f hop!] (f "beta") (here))
; expect: "beta"
(apply hop! ["gamma"])
; expect: "gamma"
(let [k (call/cc (fn [k] k))] (if (fn? k) (do (hop! "beta") (k 1)) [k (here)]))
; expect: [1 "beta"]
(try (sleep 1) (finally (hop! "beta")))
; expect: nil
(hop!)
; expect error: wrong number of arguments (0) passed to hop!
(do (log! (vec (range 600))) :logged)
; expect: :logged
(try (log! (conj (vec (range 600)) inc)) (catch Exception e (:fault (ex-data e))))
; expect: :type
(count (first (first (q '[:find ?x] (map (fn [i] [i]) (range 600))))))
; expect: 600
(request-token {:verbs [:read] :streams ["alpha/*"]})
; expect: true
(try (request-token {:reason "none"}) (catch Exception e (ex-message e)))
; expect: "the request was refused: no reason"
[(fork! {}) (fork! {:name "child"})]
; expect: ["id" nil]
[(finish! 1) (finish! nil "why")]
; expect: [[1] [nil "why"]]
(spawn! (fn [] 1))
; expect: "id"
(let [x 2] (spawn! (fn [] (inc x)) {:name "child"}))
; expect: [3]
(spawn! (fn [] (throw (ex-info "mine" {}))) {:name "child"})
; expect: [nil "mine"]
(map request-token [{} {}])
; expect: (true true)
