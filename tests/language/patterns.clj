; Patterns: opaque values that print as they are read; matching is a loop of the library.
[(re-find #"(\d+)-(\d+)" "tel 12-345") (re-matches #"a+" "aab") (re-seq #"\w+" "to be, or")]
; expect: [["12-345" "12" "345"] nil ("to" "be" "or")]
(let [p #"a|b"] [(pr-str p) (str p) (= p p) (= p #"a|b") (map? p) (error? p) (ex-data p) (ifn? p)])
; expect: ["#\"a|b\"" "a|b" true false false false nil false]
(re-matches #"(a+)+b" (apply str (repeat 12 "a")))
; expect: nil
(count (re-seq #"(x+x+)+y|x" (apply str (repeat 7 "x"))))
; expect: 7
(let [m (re-matcher #"\d" "a1b2")] [(re-find m) (re-find m) (re-find m)])
; expect: ["1" "2" nil]
[(str/replace "a1b2" #"([a-z])(\d)" "$2$1") (str/replace "ab" #"b" str/upper-case) (str/split "a1b22c" #"\d+")]
; expect: ["1a2b" "aB" ["a" "b" "c"]]
(re-find #"(?i)ÄÖ|é" "caf\u00e9")
; expect: "é"
(re-pattern "(")
; expect error: a ) is missing in the pattern "("
(try (re-pattern "[z-a]") (catch java.util.regex.PatternSyntaxException e :syntax))
; expect: :syntax
(re-find "a" "a")
; expect error: re-find: expected a pattern, found "a"
(throw #"a")
; expect error: throw: expected an error
[(str/join "," (map #(format "%05.1f|%-4s|%x" % "ab" 255) [1.25 -2.0])) (with-out-str (println "a" 1) (prn "b"))]
; expect: ["001.3|ab  |ff,-02.0|ab  |ff" "a 1\n\"b\"\n"]
(let [r (reduced 5)] [(reduced? r) @r (unreduced r) (reduced? 5) (error? r) (reduce (fn [_ x] (reduced x)) [1 2 3])])
; expect: [true 5 5 false false 2]
[(clojure.edn/read-string "{:a [1 #{b} \"c\"]}") (clojure.walk/postwalk #(if (int? %) (inc %) %) [1 {:a 2}]) (clojure.math/sqrt 16)]
; expect: [{:a [1 #{b} "c"]} [2 {:a 3}] 4.0]
