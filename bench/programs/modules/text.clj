;; Words: counting, wrapping, a table, and a template with holes.

(def stop-words-@n #{"the" "a" "of" "and" "to" "in" "@word"})

(defn words-@n [text]
  (->> (str/split (str/lower-case text) #"[^a-z0-9']+")
       (remove str/blank?)
       (remove stop-words-@n)))

(defn frequent-@n [text n]
  (->> (words-@n text)
       frequencies
       (sort-by (fn [[word many]] [(- many) word]))
       (take n)
       (mapv (fn [[word many]] {:word word :count many}))))

(defn wrapped-@n
  "Lines of at most `width` characters; a longer word has a line of its own."
  [text width]
  (let [add (fn [[line & done] word]
              (if (and line (<= (+ (count line) 1 (count word)) width))
                (cons (str line " " word) done)
                (if line (list* word line done) (list word))))]
    (reverse (reduce add () (str/split text #"\s+")))))

(defn table-@n [rows]
  (let [widths (apply map (fn [& cells] (apply max (map (comp count str) cells))) rows)
        line (fn [row] (str/join " | " (map (fn [cell width] (str cell (apply str (repeat (- width (count (str cell))) " ")))) row widths)))
        rule (str/join "-+-" (map #(apply str (repeat % "-")) widths))
        [head & body] (map line rows)]
    (str/join "\n" (list* head rule body))))

(defn filled-@n
  "A text with {{name}} replaced by the value of :name; what is not known stays."
  [template values]
  (str/replace template #"\{\{(\w+)\}\}" (fn [[whole key]] (str (get values (keyword key) whole)))))

(def letter-@n
  "Dear {{name}},

we have sent you {{count}} of @word on {{date}}. \"Thank you\" for your order,
it was a pleasure.
\tThe shop of @word")
