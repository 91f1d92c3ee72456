;; A library's catalogue: JSON and EDN read, checked, changed, compared, printed, asked, searched, and reasoned about.
;;
;; A program of thirteen namespaces in plain Clojure, with the same output here and under Clojure:
;;
;;     yin run examples/catalogue.clj
;;     CLASSPATH=examples clojure examples/catalogue.clj

(ns catalogue
  (:require [catalogue.data :as data]
            [catalogue.diff :as diff]
            [catalogue.edn :as edn]
            [catalogue.history :as history]
            [catalogue.index :as index]
            [catalogue.json :as json]
            [catalogue.path :as path]
            [catalogue.pretty :refer [pretty]]
            [catalogue.rules :as rules :refer [defrule]]
            [catalogue.scan :as scan]
            [catalogue.schema :as schema :refer [maps optional vectors]]
            [catalogue.stem :refer [stem]]
            [catalogue.table :as table]
            [catalogue.template :as template]
            [clojure.string :as str]))

;; -- output --

(defn show-lines [lines]
  (doseq [line lines]
    (println line)))

(defmacro section
  "Print a title, and what the body prints below it."
  [title & body]
  `(do
     (println)
     (show-lines (table/underlined ~title))
     ~@body))

(defmacro complaint
  "The message of the error that body ends with."
  [& body]
  `(try
     (str "no error: " (pr-str (do ~@body)))
     (catch Exception error#
       (ex-message error#))))

;; -- the books --

(schema/defschema title "a title" [x]
  (and (string? x) (re-find #"\p{Lu}" x)))

(def author
  (maps {:name schema/filled-text, :born (optional (schema/between 1800 2000))}))

(def book
  (maps {:id schema/whole-number
         :title title
         :subtitle (optional schema/filled-text)
         :year (schema/between 1450 2030)
         :pages (schema/between 1 5000)
         :price (schema/between 0 500)
         :authors (vectors author)
         :tags (schema/one-of (vectors schema/filled-text) schema/filled-text)
         :volumes (optional (vectors schema/whole-number))}
        :closed true))

(def library (maps {:library schema/filled-text, :updated schema/text, :books (vectors book)}))

(def books
  (schema/conform library (json/parse data/books-json :key-fn keyword)))

(defn book-of [library id]
  (first (filter (comp #{id} :id) (:books library))))

(defn place-of [library id]
  (first (keep-indexed (fn [place book] (when (= id (:id book)) place)) (:books library))))

;; -- days, as numbers since 1970 --

(defn days-from-civil
  "The number of a day. Source: H. Hinnant, chrono-compatible low-level date algorithms."
  [year month day]
  (let [year (if (<= month 2) (dec year) year)
        era (quot year 400)
        year-of-era (- year (* era 400))
        day-of-year (+ (quot (+ 2 (* 153 (mod (+ month 9) 12))) 5) (dec day))
        day-of-era (+ (* 365 year-of-era) (quot year-of-era 4) (- (quot year-of-era 100)) day-of-year)]
    (+ (* 146097 era) day-of-era -719468)))

(defn day [text]
  (if-let [[_ & parts] (re-matches #"(\d{4})-(\d\d)-(\d\d)" text)]
    (apply days-from-civil (map parse-long parts))
    (throw (ex-info (str (pr-str text) " is not a day") {:text text}))))

;; -- orders --

(defmulti carry-out
  "The library after an order."
  (fn [_library order] (:tag order)))

(defn- update-book [library id f & args]
  (apply update-in library [:books (place-of library id)] f args))

(defmethod carry-out 'library/loan [library {{:keys [book reader days at]} :value}]
  (update-book library book assoc :loan {:reader reader, :due (+ at days)}))

(defmethod carry-out 'library/return [library {{:keys [book notes]} :value}]
  (update-book library book
               (fn [found]
                 (cond-> (dissoc found :loan)
                   (seq notes) (update :notes (fnil into []) notes)))))

(defmethod carry-out 'library/price [library {{:keys [book factor]} :value}]
  (update-book library book update :price * factor))

(defmethod carry-out 'library/tag [library {{:keys [book tags]} :value}]
  (update-book library book update :tags into (sort tags)))

(defmethod carry-out :default [_ {:keys [tag]}]
  (throw (ex-info (str "unknown order " tag) {:tag tag})))

(def orders
  (edn/parse-all {:readers {'library/day day}} data/orders-edn))

;; -- searching --

(defrecord Summary [heading body]
  index/Searchable
  (fields [_] {:title heading, :text body})
  (label [_] heading))

(def summaries
  (index/build
   (into {}
         (for [{:keys [id title]} (:books books)]
           [id (->Summary title (data/summaries id))]))))

(defn show-search [query]
  (println (str "? " query))
  (let [found (index/search summaries query)]
    (if (empty? found)
      (println "  nothing")
      (doseq [{:keys [score document]} (take 3 found)]
        (println (format "  %6.3f  %s" score (index/label document)))
        (println (str "          " (index/snippet query (:body document) 9)))))))

;; -- reasoning --

(defrule direct "what builds on something rests on it"
  [rests-on ?a ?b]
  :when [builds-on ?a ?b])

(defrule transitive "what it rests on rests on something, too"
  [rests-on ?a ?c]
  :when [builds-on ?a ?b] [rests-on ?b ?c])

(defrule influence "authors influence those who rest on their work"
  [influenced ?x ?y]
  :when [wrote ?x ?a] [wrote ?y ?b] [rests-on ?b ?a] (test not= ?x ?y))

(defrule gap "years between a work and what it builds on"
  [years-between ?a ?b ?n]
  :when [builds-on ?a ?b] [year ?a ?x] [year ?b ?y] (let ?n - ?x ?y))

(defrule root "what builds on nothing is a root"
  [root ?a]
  :when [wrote _ ?a] (not [builds-on ?a _]))

(def conclusions
  (rules/infer [direct transitive influence gap root]
               (rules/assert-facts rules/no-facts data/influences)))

;; -- the report --

(defn report-reading []
  (section "Reading and printing"
    (println (pretty (first (:books books)) 60))
    (println (pretty (select-keys (book-of books 7) [:title :subtitle :tags]) 40 :json))
    (println (json/to-json (:authors (book-of books 6))))
    (println (= books (json/parse (json/to-json books) :key-fn keyword)))
    (println (pretty {:set #{3 1 2}, :list '(a "b" \c nil), 'nested {:deep [[1 [2 [3]]] {}]}, "text" 2.5} 30))))

(defn report-mistakes []
  (section "Mistakes and where they are"
    (doseq [text ["{\"a\": [1, 2,, 3]}" "{\"a\": \"\\q\"}" "[1, 2" "{\"a\": 01}" "nul" "[1] 2" "{\"a\": {\"b\": tru}}"]]
      (println (complaint (json/parse text))))
    (doseq [text ["(1 2]" "{:a 1 :a 2}" "#{x x}" "[1 2\n  #_" "\"abc" "12x" ":" "{:a}" "\\nonsense"]]
      (println (complaint (edn/parse text))))
    (doseq [text [".a |" ".a[" "{a: }" ".a ? .b" "nonsense(.a)" "select(.a"]]
      (println (complaint (path/query text {:a 1}))))
    (println (complaint (template/render "{{#a}} {{/b}}" {})))
    (println (try (json/parse "{\"a\": {\"b\": [tru]}}")
                  (catch Exception error
                    (dissoc (ex-data error) :type))))
    (show-lines (map schema/problem-text
                     (schema/check library {:library " "
                                            :updated nil
                                            :books [(assoc (book-of books 3) :pages 0 :colour "red")
                                                    {:id "x" :title "lower" :tags [1]}
                                                    :nothing]})))))

(defn report-orders []
  (section "Orders, history and differences"
    (let [library (history/start books)
          told (atom [])]
      (history/listen! library :log (fn [before after]
                                      (swap! told conj (diff/summary (diff/edits before after)))))
      (doseq [{{:keys [book]} :value, :keys [tag] :as order} orders]
        (history/change! library (format "%s of book %d" (name tag) book) carry-out order))
      (show-lines (map (fn [title what] (str (table/pad :left 18 title) what)) (history/titles library) @told))
      (let [after (history/value library)
            edits (diff/edits books after)]
        (show-lines (map diff/edit-text edits))
        (println "patched:" (= after (diff/patch books edits))
                 "undone:" (= books (diff/patch after (diff/undo edits))))
        (dotimes [_ 3] (history/undo! library))
        (println "after three steps back:" (last (history/titles library)))
        (dotimes [_ 3] (history/redo! library))
        (println "and again:" (= after (history/value library)))
        (println (complaint (history/change! library "?" carry-out (edn/parse "#library/burn {:book 1}"))))
        (show-lines (map diff/edit-text
                         (diff/edits '[a b {:c #{1 2} :d "x"} e f] '[b x {:c #{2 3} :d "y"} f g])))
        after))))

(def queries
  [".library"
   ".books[0].authors[0].name"
   ".books[-1].title, .books[1].year + 64"
   "[.books[] | select(.year < 1950) | .title]"
   ".books | sort-by(.pages) | [limit(3; .[]) | {title, n: .pages}]"
   ".books[] | select(.tags has \"logic\" and .price > 25) | {id, by: .authors[0].name}"
   "[.books[] | .tags[]] | unique | join(\", \")"
   ".books | group-by(.tags[0]) | [.[] | {tag: .[0].tags[0], titles: length}]"
   "[.books[].price] | sum, average"
   ".books | max-by(.pages) | .title | upper"
   "[.books[].authors[] | select(not(.born)) | .name]"
   ".books[] | select(.title matches \"^(On|The) \") | .title | split(\" \") | length"
   "[.books[] | .pages / 2 - 1 * 2] | reverse"
   ".books[6] | {\"the title\": .title, sub: .subtitle, n: .authors | length} | entries"
   "first(.books[] | select(.year > 1990)) | keys"])

(defn report-queries []
  (section "Queries"
    (doseq [text queries]
      (println (str "? " text))
      (doseq [result (path/query text books)]
        (show-lines (map #(str "  " %) (str/split-lines (pretty result 74 :json))))))))

(defn report-table [library]
  (section "The shelf"
    (show-lines
     (table/table [["Title" :title :width 30]
                   ["Year" :year]
                   ["Price" (comp double :price)]
                   ["Tags" (comp sort :tags) :width 24]
                   ["Reader" (comp :reader :loan)]]
                  (sort-by (juxt (comp nil? :loan) :year) (:books library))))
    (println)
    (show-lines (table/bars 40 (->> (:books library)
                                    (mapcat :tags)
                                    frequencies
                                    (sort-by (juxt (comp - val) key))
                                    (take 6))))
    (let [pages (transduce (map :pages) + (:books library))
          borrowed (transduce (comp (filter :loan) (map :pages)) + (:books library))]
      (println (table/grouped (* 12345 pages)) "letters," (table/percent borrowed pages) "of the pages borrowed"))))

(defn report-search []
  (section "Searching"
    (println (index/statistics summaries))
    (println (map stem ["relational" "conditional" "hopping" "generalizations" "oscillators" "happily" "caresses"
                        "agreed" "sky" "controlling" "functions" "programming" "effectively" "adjustable"]))
    (run! show-search ["machines that imitate machines"
                       "+functions -conversion abstraction"
                       "\"query languages\""
                       "inter* title:art"
                       "the of and"
                       "persistent trees"
                       "title:programs +garbage"
                       "zebra"])
    (println (index/mark "machine prove* symbols" (data/summaries 2)))
    (show-lines (table/wrap 60 (data/summaries 6)))))

(defn report-rules []
  (section "Conclusions"
    (let [{:keys [facts rounds added]} conclusions]
      (println rounds "rounds," added "new facts")
      (doseq [relation '[root rests-on influenced years-between]]
        (println (str relation ": "
                      (str/join "; " (map #(str/join " " (rest %)) (rules/facts-of facts relation))))))
      (show-lines (rules/explain facts '[influenced frege hickey]))
      (println (sort-by pr-str (rules/ask facts '[influenced ?who hickey] '[wrote ?who ?work] '[year ?work 1936])))
      (println (complaint (rules/infer [(rules/->Rule "bad" '[x ?y] [(rules/->Positive '[root ?x])])] facts))))))

(defn letters
  "A letter to everyone who has something, on a day."
  [library today]
  (for [[reader loans] (sort-by (comp str key) (group-by (comp :reader :loan) (filter :loan (:books library))))]
    {:library {:name (:library library)}
     :reader (str/capitalize (str reader))
     :loans (for [{:keys [title loan]} loans
                  :let [late (- today (:due loan))]]
              {:title title, :late (pos? late), :days late, :until (str "day " (:due loan))})}))

(defn report-letters [library]
  (section "Letters"
    (doseq [letter (concat (letters library (day "2024-03-20"))
                           [{:reader "Nobody", :loans [], :library {:name "us"}}])]
      (print (template/render data/letter-template letter))
      (println "--"))))

(defn report-all []
  (report-reading)
  (report-mistakes)
  (report-queries)
  (let [library (report-orders)]
    (report-table library)
    (report-search)
    (report-rules)
    (report-letters library)))

(report-all)
