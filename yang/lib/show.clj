;; Values as a session shows them.
;;
;; Is:     the readable text of a value, cut where a collection or the whole is too long, or too deep.
;; Is not: pr-str, which shows everything and so realises everything.
;; Fits:   one file of the core library (core.clj has its rules); yang.session ends each entry with impl/session-text.
;;
;; Cost: at most the limit of items is realised of any seq, and a thousand items in all.

(defn impl/show-leaf [x]
  (let [text (pr-str x)]
    (if (and (not (string? x)) (> (count text) 4000)) (str (subs text 0 4000) "...") text)))

(defn impl/show-items
  "The texts of items, joined; each is shown by a function."
  [items length left show-item separator]
  (loop [items (seq items) parts [] n 0]
    (cond
      (nil? items) (join-text separator parts)
      (or (and length (>= n length)) (neg? (deref left))) (join-text separator (conj parts "..."))
      :else (recur (next items) (conj parts (show-item (first items))) (inc n)))))

(defn impl/show-value [x length level left]
  (swap! left dec)
  (let [show (fn [item] (impl/show-value item length (if level (dec level) nil) left))
        entry (fn [[k v]] (str (show k) " " (show v)))]
    (cond
      (neg? (deref left)) "#"
      (= (impl/box-kind x) :yin.core/watched) (str "#atom[" (show (:value (deref (impl/box-content x)))) "]")
      (not (coll? x)) (impl/show-leaf x)
      (and level (<= level 0)) "#"
      (map? x) (str "{" (impl/show-items x length left entry ", ") "}")
      (vector? x) (str "[" (impl/show-items x length left show " ") "]")
      (set? x) (str "#{" (impl/show-items x length left show " ") "}")
      :else (str "(" (impl/show-items x length left show " ") ")"))))

(defn impl/session-text
  "The text of a value: so many items of a collection and so many levels at most; nil is no limit."
  [x length level]
  (impl/show-value x length level (atom 1000)))
