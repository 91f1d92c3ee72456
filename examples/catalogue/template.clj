(ns catalogue.template
  "Texts with places for data: {{name}}, {{#name}} once for each item {{/name}}, {{^name}} for nothing {{/name}}.

  A template is read once to a tree, and the tree is rendered against a stack of contexts: a name is looked up in the
  innermost one that has it, and {{.}} is the innermost itself."
  (:require [catalogue.scan :refer [fail]]
            [clojure.string :as str]))

(def ^:private tag-pattern #"\{\{([#^/!]?)\s*([^}]+?)\s*\}\}\n?|\{\{")

(defn- tags
  "The pieces of a template: texts, and tags as maps."
  [text]
  (loop [at 0, matches (re-seq tag-pattern text), pieces []]
    (if-let [[[whole sigil name] & more] (seq matches)]
      (let [start (str/index-of text whole at)
            block? (contains? #{"#" "^" "/" "!"} sigil)
            end (if (or block? (not (str/ends-with? whole "\n")))
                  (+ start (count whole))
                  (+ start (dec (count whole))))]
        (when (nil? name)
          (fail text start "a tag is not closed"))
        (recur end more (conj pieces
                              (subs text at start)
                              {:sigil sigil, :path (mapv keyword (remove str/blank? (str/split name #"\."))), :at start})))
      (conj pieces (subs text at)))))

(defn- build
  "The nodes up to the end of a section, and the pieces after it."
  [text section pieces]
  (loop [[piece & more] pieces, nodes []]
    (let [{:keys [sigil path at]} (when (map? piece) piece)]
      (cond
        (nil? piece) (if section
                       (fail text (:at section) "a section is not closed")
                       [nodes nil])
        (string? piece) (recur more (cond-> nodes (seq piece) (conj [:text piece])))
        (= sigil "!") (recur more nodes)
        (= sigil "/") (if (= path (:path section))
                        [nodes more]
                        (fail text at "this section was not begun"))
        (= sigil "") (recur more (conj nodes [:value path]))
        :else (let [[body others] (build text piece more)]
                (recur others (conj nodes [(if (= sigil "#") :each :unless) path body])))))))

(defn parse [text]
  (first (build text nil (tags text))))

(defn- look-up [contexts path]
  (if (empty? path)
    (peek contexts)
    (get-in (first (filter #(and (map? %) (contains? % (first path))) (rseq contexts))) path)))

(defn- nothing? [value]
  (or (nil? value) (false? value) (and (coll? value) (empty? value))))

(defmulti ^:private render-node (fn [_contexts node] (first node)))

(defn- render-all [contexts nodes]
  (str/join (map (partial render-node contexts) nodes)))

(defmethod render-node :text [_ [_ text]] text)
(defmethod render-node :value [contexts [_ path]] (str (look-up contexts path)))
(defmethod render-node :unless [contexts [_ path body]]
  (if (nothing? (look-up contexts path))
    (render-all contexts body)
    ""))
(defmethod render-node :each [contexts [_ path body]]
  (let [value (look-up contexts path)]
    (cond
      (nothing? value) ""
      (sequential? value) (str/join (for [item value] (render-all (conj contexts item) body)))
      :else (render-all (conj contexts value) body))))

(defn render
  "The text of a template with data."
  [template data]
  (render-all [data] (parse template)))
