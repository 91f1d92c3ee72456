;; The texts of 100,000 integers joined with commas.
(count (clojure.string/join "," (map str (range 100000))))
