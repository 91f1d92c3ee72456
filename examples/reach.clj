;; From which modules can a goal be reached through imports, and by which shortest chain?
;;
;; Every node holds the imports of some modules only, so no node can answer. The agent joins what a node has with what
;; it learned elsewhere, hops on with the result in its hands, and ends when a whole round has brought nothing new.
;;
;; Runs with: *args* {:goal "socket"}; a token that allows read on */stdlib and migrate on *.

(def goal (get *args* :goal "socket"))

(def rules
  '[[(imports ?from ?to)
     [?import :import/module ?module]
     [?module :module/name ?from]
     [?import :import/target ?to]]
    [(leads ?from ?to)
     (imports ?from ?to)]
    [(leads ?from ?to)
     (imports ?from ?middle)
     (leads ?middle ?to)]])

(def edges-to-known
  '[:find ?from ?to
    :in $ % [?known ...]
    :where
    (leads ?from ?known)
    (imports ?from ?to)])

;; found: module -> [steps to the goal, next module on the way]. The least such pair is the shortest chain and, of
;; several, the alphabetically first one.

(defn relax-edge [found [from to]]
  (if-let [[steps _] (get found to)]
    (let [candidate [(inc steps) to]
          current (get found from)]
      (if (or (nil? current) (neg? (compare candidate current)))
        (assoc found from candidate)
        found))
    found))

(defn settle [found edges]
  (let [after (reduce relax-edge found edges)]
    (if (= after found)
      found
      (recur after edges))))

(defn visit [found]
  (settle found (q edges-to-known "stdlib" rules (vec (keys found)))))

(defn successor [ring place]
  (let [after (rest (drop-while (fn [node] (not= node place)) ring))]
    (if (empty? after) (first ring) (first after))))

(defn journey [ring]
  (loop [found {goal [0 goal]}
         quiet 0]
    (let [after (visit found)
          quiet (if (= after found) (inc quiet) 0)]
      (if (= quiet (count ring))
        after
        (do (hop! (successor ring (here)))
            (recur after quiet))))))

(defn chain [found module]
  (loop [path [module]]
    (let [[steps next-module] (get found (peek path))]
      (if (zero? steps)
        path
        (recur (conj path next-module))))))

(let [found (journey (nodes))]
  (mapv (fn [module] (chain found module))
        (sort (keys found))))
