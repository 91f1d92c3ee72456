;; Graphs as maps of sets: search, order, components.

(defn edges-@n [pairs]
  (reduce (fn [graph [from to]] (-> graph (update from (fnil conj #{}) to) (update to (fnil identity #{})))) {} pairs))

(defn reached-@n
  "All that is reached from a place, by how many steps."
  [graph start]
  (loop [queue [[start 0]] found {start 0}]
    (if (empty? queue)
      found
      (let [[[place steps] & later] queue
            fresh (remove (fn [next] (contains? found next)) (graph place))]
        (recur (into (vec later) (map (fn [next] [next (inc steps)])) fresh)
               (into found (map #(vector % (inc steps))) fresh))))))

(defn ordered-@n
  "The places in an order in which each comes before what it points to; nil where there is none."
  [graph]
  (letfn [(visit [[seen order :as state] place path]
            (cond
              (nil? state) nil
              (contains? path place) nil
              (contains? seen place) state
              :else (when-let [[seen order] (reduce (fn [state next] (visit state next (conj path place)))
                                                    [seen order]
                                                    (sort (graph place)))]
                      [(conj seen place) (cons place order)])))]
    (second (reduce (fn [state place] (visit state place #{})) [#{} ()] (sort (keys graph))))))

(defn cheapest-@n [graph cost from to]
  (loop [open (sorted-map 0 #{[from]})  closed #{}]
    (when-let [[total paths] (first open)]
      (let [path (first paths)
            place (peek path)
            open (if (next paths) (update open total disj path) (dissoc open total))]
        (cond
          (= place to) {:cost total :path path}
          (closed place) (recur open closed)
          :else
          (recur (reduce (fn [open next]
                           (if (closed next)
                             open
                             (update open (+ total (cost place next)) (fnil conj #{}) (conj path next))))
                         open
                         (graph place))
                 (conj closed place)))))))

(def sample-@n (edges-@n [[:a :b] [:a :c] [:b :d] [:c :d] [:d :e] [:e :@word]]))
