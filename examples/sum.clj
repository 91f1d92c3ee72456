;; Hops in the middle of an expression: what this node has plus what another one has.
;; Runs with: *args* {:to "beta"}; a token that allows read on */stdlib and migrate on *.

(let [n (fn [] (q '[:find (count ?e) . :where [?e :module/name _]] "stdlib"))]
  (+ (n)
     (do (hop! (get *args* :to "beta"))
         (n))))
