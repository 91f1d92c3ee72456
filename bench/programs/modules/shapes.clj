;; Shapes: multimethods over a hierarchy, and a little geometry.

(derive ::square-@n ::rectangle-@n)
(derive ::rectangle-@n ::polygon-@n)

(defmulti area-@n "The area of a shape." :shape)
(defmethod area-@n ::rectangle-@n [{:keys [width height] :or {height width}}] (* width height))
(defmethod area-@n ::circle-@n [{r :radius}] (* 3.141592653589793 r r))
(defmethod area-@n ::polygon-@n [{points :points}]
  (let [pairs (map vector points (concat (rest points) (take 1 points)))]
    (/ (abs (reduce + (for [[[x1 y1] [x2 y2]] pairs] (- (* x1 y2) (* x2 y1))))) 2)))
(defmethod area-@n :default [{shape :shape}]
  (throw (ex-info (str "no area of " shape) {:shape shape :module @n})))

(defmulti meets-@n (fn [a b] [(:shape a) (:shape b)]))
(defmethod meets-@n [::rectangle-@n ::rectangle-@n]
  [{ax :x ay :y aw :width ah :height} {bx :x by :y bw :width bh :height}]
  (and (< ax (+ bx bw)) (< bx (+ ax aw)) (< ay (+ by bh)) (< by (+ ay ah))))
(defmethod meets-@n [::circle-@n ::circle-@n] [{[ax ay] :at ar :radius} {[bx by] :at br :radius}]
  (let [dx (- ax bx) dy (- ay by) reach (+ ar br)]
    (<= (+ (* dx dx) (* dy dy)) (* reach reach))))
(defmethod meets-@n :default [a b] false)

(defn grid-@n [columns rows]
  (vec (for [y (range rows)
             x (range columns)
             :let [size (+ @a (mod (* x y) @b))]
             :when (not= x y)]
         {:shape ::square-@n :x (* x size) :y (* y size) :width size})))

(defn largest-@n [shapes]
  (loop [left (seq shapes) best nil most 0]
    (if-let [[shape & more] left]
      (let [size (area-@n shape)]
        (if (> size most) (recur more shape size) (recur more best most)))
      best)))
