;; Regular expressions of the core library: patterns, matching, and the functions of clojure.core on them.
;;
;; Is:     Java's syntax without \G and the classes of Java's own names: groups (named ones, too), classes with unions and
;;         intersections, greedy, lazy and possessive repetition, look-ahead and look-behind, back references, flags i m s x.
;; Is not: a host function: a match is a loop like any other, so that it costs fuel, a slice can end in it, and an agent can
;;         be sent away in its middle. clojure.string's functions that take patterns are in text.clj.
;; Fits:   one file of the core library (core.clj has its rules). A pattern is an opaque value whose content is
;;         [program slots groups first-char names literal].
;; Source: Cox, "Regular Expression Matching: the Virtual Machine Approach" (2009): a backtracking machine that remembers at
;;         which forks it has been, so that work is bounded by the square of the text's length times the pattern's, and is
;;         linear for most; java.util.regex.Pattern for syntax and meaning. Only a back reference gives that up.

(defn impl/refuse [kind message] (throw (ex-info message {:fault kind})))

;; ---- sets of characters: [:ranges [low high ...]] [:not s] [:or s ...] [:and s s] [:kind "L"], and
;; [:fold s wide] in either case, of letters beyond ASCII only if that is wide

(defn impl/rx-in-ranges? [ranges point]
  (let [n (count ranges)]
    (loop [i 0]
      (if (< i n)
        (if (and (<= (nth ranges i) point) (<= point (nth ranges (inc i)))) true (recur (+ i 2)))
        false))))

(defn impl/rx-in? [items c]
  (let [kind (nth items 0)]
    (cond
      (= kind :ranges) (impl/rx-in-ranges? (nth items 1) (int c))
      (= kind :not) (not (impl/rx-in? (nth items 1) c))
      (= kind :or) (impl/rx-any-in? items 1 c)
      (= kind :and) (and (impl/rx-in? (nth items 1) c) (impl/rx-in? (nth items 2) c))
      (= kind :kind) (starts-with? (char-kind c) (nth items 1))
      :else (or (impl/rx-in? (nth items 1) c)
                (and (or (< (int c) 128) (nth items 2))
                     (or (impl/rx-in? (nth items 1) (nth (upper-case (str c)) 0))
                         (impl/rx-in? (nth items 1) (nth (lower-case (str c)) 0))))))))

(defn impl/rx-any-in? [sets start c]
  (loop [i start]
    (if (< i (count sets))
      (if (impl/rx-in? (nth sets i) c) true (recur (inc i)))
      false)))

(defn impl/rx-named-set
  "The set of \\p{name}, or nil."
  [name]
  (let [name (if (and (starts-with? name "Is") (> (count name) 2)) (subs name 2) name)]
    (case name
      ("Lower" "javaLowerCase" "Lowercase") [:ranges [97 122]]
      ("Upper" "javaUpperCase" "Uppercase") [:ranges [65 90]]
      "ASCII" [:ranges [0 127]]
      "Alpha" [:ranges [65 90 97 122]]
      "Digit" [:ranges [48 57]]
      "Alnum" [:ranges [48 57 65 90 97 122]]
      "Punct" [:ranges [33 47 58 64 91 96 123 126]]
      "Graph" [:ranges [33 126]]
      "Print" [:ranges [32 126]]
      "Blank" [:ranges [9 9 32 32]]
      "Cntrl" [:ranges [0 31 127 127]]
      "XDigit" [:ranges [48 57 65 70 97 102]]
      "Space" [:ranges [9 13 32 32]]
      "Alphabetic" [:kind "L"]
      ("L" "Lu" "Ll" "Lt" "Lm" "Lo" "M" "Mn" "Mc" "Me" "N" "Nd" "Nl" "No" "P" "Pc" "Pd" "Ps" "Pe" "Pi" "Pf" "Po"
       "S" "Sm" "Sc" "Sk" "So" "Z" "Zs" "Zl" "Zp" "C" "Cc" "Cf" "Co" "Cn") [:kind name]
      nil)))

(defn impl/rx-class-of
  "The set that an escaped letter stands for, or nil."
  [c]
  (case c
    \d [:ranges [48 57]]
    \D [:not [:ranges [48 57]]]
    \w [:ranges [48 57 65 90 95 95 97 122]]
    \W [:not [:ranges [48 57 65 90 95 95 97 122]]]
    \s [:ranges [9 13 32 32]]
    \S [:not [:ranges [9 13 32 32]]]
    \h [:ranges [9 9 32 32 160 160 5760 5760 8192 8202 8239 8239 8287 8287 12288 12288]]
    \v [:ranges [10 13 133 133 8232 8233]]
    nil))

;; ---- reading: state {:text vector of characters, :at :groups :names :flags atoms}

(defn impl/rx-fail [state message]
  (impl/refuse :pattern (str message " in the pattern " (pr-str (join-text "" (get state :text)))
                             " at " (deref (get state :at)))))

(defn impl/rx-peek
  "The next character, nil at the end."
  [state]
  (nth (get state :text) (deref (get state :at)) nil))

(defn impl/rx-peek-at [state i] (nth (get state :text) (+ i (deref (get state :at))) nil))
(defn impl/rx-skip [state n] (swap! (get state :at) + n))

(defn impl/rx-take [state]
  (let [c (impl/rx-peek state)]
    (if (nil? c) (impl/rx-fail state "the end is missing") nil)
    (impl/rx-skip state 1)
    c))

(defn impl/rx-flag? [state flag] (contains? (deref (get state :flags)) flag))

(defn impl/rx-skip-comments [state]
  (if (impl/rx-flag? state \x)
    (loop []
      (let [c (impl/rx-peek state)]
        (cond
          (nil? c) nil
          (blank? (str c)) (do (impl/rx-skip state 1) (recur))
          (= c \#) (do (loop []
                         (if (or (nil? (impl/rx-peek state)) (= (impl/rx-peek state) \newline))
                           nil
                           (do (impl/rx-skip state 1) (recur))))
                       (recur))
          :else nil)))
    nil))

(defn impl/digit-of
  "The value of a digit in a base, nil of any other character."
  [c base]
  (let [point (if (nil? c) 0 (int c))
        value (cond
                (<= 48 point 57) (- point 48)
                (<= 65 point 90) (- point 55)
                (<= 97 point 122) (- point 87)
                :else 99)]
    (if (< value base) value nil)))

(defn impl/rx-number
  "An integer of up to so many digits in a base; nil without any."
  [state base most]
  (loop [value nil n 0]
    (let [digit (if (< n most) (impl/digit-of (impl/rx-peek state) base) nil)]
      (if (nil? digit)
        value
        (do (impl/rx-skip state 1)
            (recur (+ (* base (or value 0)) digit) (inc n)))))))

(defn impl/rx-code-point [state base least most]
  (let [start (deref (get state :at)) value (impl/rx-number state base most)]
    (if (or (nil? value) (< (- (deref (get state :at)) start) least) (> value 1114111))
      (impl/rx-fail state "an escape without its digits")
      (char value))))

(defn impl/rx-escaped-char
  "The character of an escape that stands for one; the letter has been taken. Nil for a letter without a meaning."
  [state c]
  (case c
    \t \tab
    \n \newline
    \r \return
    \f \formfeed
    \a (char 7)
    \e (char 27)
    \0 (impl/rx-code-point state 8 1 3)
    \x (if (= (impl/rx-peek state) \{)
         (do (impl/rx-skip state 1)
             (let [found (impl/rx-code-point state 16 1 6)]
               (if (= (impl/rx-take state) \}) found (impl/rx-fail state "a } is missing"))))
         (impl/rx-code-point state 16 2 2))
    \u (impl/rx-code-point state 16 4 4)
    \c (char (bit-xor 64 (int (impl/rx-take state))))
    (if (or (<= 65 (int c) 90) (<= 97 (int c) 122) (<= 49 (int c) 57)) nil c)))

(defn impl/rx-until
  "The text up to a character, which is taken, too."
  [state end]
  (loop [found []]
    (let [c (impl/rx-take state)]
      (if (= c end) (join-text "" found) (recur (conj found c))))))

(defn impl/rx-property [state negated]
  (let [name (if (= (impl/rx-peek state) \{)
               (do (impl/rx-skip state 1) (impl/rx-until state \}))
               (str (impl/rx-take state)))
        found (impl/rx-named-set name)]
    (cond
      (nil? found) (impl/rx-fail state (str "no class of characters is named " name))
      negated [:not found]
      :else found)))

(defn impl/rx-escape-in-class
  "The set or character of an escape inside of a class; the backslash has been taken."
  [state]
  (let [c (impl/rx-take state)]
    (cond
      (= c \p) (impl/rx-property state false)
      (= c \P) (impl/rx-property state true)
      :else (or (impl/rx-class-of c) (impl/rx-escaped-char state c)
                (impl/rx-fail state (str "\\" c " has no meaning"))))))

(defn impl/rx-range-end
  "The last character of a range; the minus has been taken."
  [state]
  (let [c (impl/rx-take state)
        end (if (= c \\) (impl/rx-escape-in-class state) c)]
    (if (char? end) end (impl/rx-fail state "a range ends with a character"))))

(defn impl/rx-class
  "The set of a class; its [ has been taken."
  [state]
  (let [negated (= (impl/rx-peek state) \^)]
    (if negated (impl/rx-skip state 1) nil)
    (loop [sets [:or] first-one true]
      (let [c (impl/rx-take state)]
        (cond
          (and (= c \]) (not first-one)) (if negated [:not sets] sets)
          (= c \[) (recur (conj sets (impl/rx-class state)) false)
          (and (= c \&) (= (impl/rx-peek state) \&))
          (let [right (do (impl/rx-skip state 1) (impl/rx-class-rest state))
                both [:and sets right]]
            (if negated [:not both] both))
          :else
          (let [low (if (= c \\) (impl/rx-escape-in-class state) c)]
            (if (and (char? low) (= (impl/rx-peek state) \-)
                     (not= (impl/rx-peek-at state 1) \]) (not= (impl/rx-peek-at state 1) \[))
              (let [high (do (impl/rx-skip state 1) (impl/rx-range-end state))]
                (if (> (int low) (int high)) (impl/rx-fail state "a range runs backwards") nil)
                (recur (conj sets [:ranges [(int low) (int high)]]) false))
              (recur (conj sets (if (char? low) [:ranges [(int low) (int low)]] low)) false))))))))

(defn impl/rx-class-rest
  "What stands behind && in a class, up to its ]."
  [state]
  (loop [sets [:or]]
    (let [c (impl/rx-peek state)]
      (cond
        (= c \]) (do (impl/rx-skip state 1) sets)
        (= c \[) (do (impl/rx-skip state 1) (recur (conj sets (impl/rx-class state))))
        (and (= c \&) (= (impl/rx-peek-at state 1) \&))
        (do (impl/rx-skip state 2) [:and sets (impl/rx-class-rest state)])
        :else
        (let [found (do (impl/rx-skip state 1) (if (= c \\) (impl/rx-escape-in-class state) c))]
          (if (nil? c) (impl/rx-fail state "a ] is missing") nil)
          (if (and (char? found) (= (impl/rx-peek state) \-) (not= (impl/rx-peek-at state 1) \]))
            (let [high (do (impl/rx-skip state 1) (impl/rx-range-end state))]
              (recur (conj sets [:ranges [(int found) (int high)]])))
            (recur (conj sets (if (char? found) [:ranges [(int found) (int found)]] found)))))))))

(defn impl/rx-simple
  "The set with less around it."
  [items]
  (if (and (= (nth items 0) :or) (every? (fn [part] (= (nth part 0) :ranges)) (rest items)))
    [:ranges (reduce (fn [all part] (into all (nth part 1))) [] (rest items))]
    items))

(defn impl/rx-set-node [state items]
  (let [items (impl/rx-simple items)]
    [:set (if (impl/rx-flag? state \i) [:fold items (impl/rx-flag? state \u)] items)]))

(defn impl/rx-char-node [state c]
  (if (and (impl/rx-flag? state \i) (not= (upper-case (str c)) (lower-case (str c))))
    [:set [:fold [:ranges [(int c) (int c)]] (impl/rx-flag? state \u)]]
    [:char c]))

(defn impl/rx-back-reference [state c]
  (loop [n (- (int c) 48)]
    (let [digit (impl/digit-of (impl/rx-peek state) 10)]
      (if (and digit (<= (+ (* 10 n) digit) (deref (get state :groups))))
        (do (impl/rx-skip state 1) (recur (+ (* 10 n) digit)))
        (if (> n (deref (get state :groups))) [:fail] [:ref n])))))

(defn impl/rx-quoted
  "The text up to \\E."
  [state]
  (loop [nodes []]
    (let [c (impl/rx-peek state)]
      (cond
        (nil? c) [:seq nodes]
        (and (= c \\) (= (impl/rx-peek-at state 1) \E)) (do (impl/rx-skip state 2) [:seq nodes])
        :else (do (impl/rx-skip state 1) (recur (conj nodes (impl/rx-char-node state c))))))))

(defn impl/rx-escape
  "The node of an escape; the backslash has been taken."
  [state]
  (let [c (impl/rx-take state)]
    (case c
      \b [:assert :word-edge]
      \B [:assert :no-word-edge]
      \A [:assert :start]
      \z [:assert :end]
      \Z [:assert :last-end]
      \R [:alt [[:seq [[:char \return] [:char \newline]]] [:set [:ranges [10 13 133 133 8232 8233]]]]]
      \Q (impl/rx-quoted state)
      \p (impl/rx-set-node state (impl/rx-property state false))
      \P (impl/rx-set-node state (impl/rx-property state true))
      \k (if (= (impl/rx-take state) \<)
           (let [n (get (deref (get state :names)) (impl/rx-until state \>))]
             (if n [:ref n] (impl/rx-fail state "no group has that name")))
           (impl/rx-fail state "\\k takes <name>"))
      (cond
        (impl/rx-class-of c) (impl/rx-set-node state (impl/rx-class-of c))
        (<= 49 (int c) 57) (impl/rx-back-reference state c)
        :else (let [found (impl/rx-escaped-char state c)]
                (if (nil? found)
                  (impl/rx-fail state (str "\\" c " has no meaning"))
                  (impl/rx-char-node state found)))))))

(defn impl/rx-group-end [state node]
  (if (= (impl/rx-peek state) \))
    (do (impl/rx-skip state 1) node)
    (impl/rx-fail state "a ) is missing")))

(defn impl/rx-inside
  "The node of what a group has, up to its ), with flags of its own."
  [state]
  (let [flags (deref (get state :flags))
        node (impl/rx-alternatives state)]
    (reset! (get state :flags) flags)
    (impl/rx-group-end state node)))

(defn impl/rx-capture [state name]
  (let [n (swap! (get state :groups) inc)]
    (if (and name (contains? (deref (get state :names)) name))
      (impl/rx-fail state (str "two groups are named " name))
      nil)
    (if name (swap! (get state :names) assoc name n) nil)
    [:group n (impl/rx-inside state)]))

(defn impl/rx-flags
  "Flags of (?i-s) or (?i:...); the question mark has been taken."
  [state]
  (let [before (deref (get state :flags))]
    (loop [flags before on true]
      (let [c (impl/rx-take state)]
        (cond
          (= c \-) (recur flags false)
          (contains? #{\i \m \s \x \u \d \U} c) (recur (if on (conj flags c) (disj flags c)) on)
          (= c \)) (do (reset! (get state :flags) flags) [:seq []])
          (= c \:) (do (reset! (get state :flags) flags)
                       (let [node (impl/rx-inside state)]
                         (reset! (get state :flags) before)
                         node))
          :else (impl/rx-fail state "no such group"))))))

(defn impl/rx-group
  "The node of a group; its ( has been taken."
  [state]
  (if (= (impl/rx-peek state) \?)
    (let [c (impl/rx-peek-at state 1) d (impl/rx-peek-at state 2)]
      (cond
        (= c \:) (do (impl/rx-skip state 2) (impl/rx-inside state))
        (= c \=) (do (impl/rx-skip state 2) [:look true false (impl/rx-inside state)])
        (= c \!) (do (impl/rx-skip state 2) [:look true true (impl/rx-inside state)])
        (= c \>) (do (impl/rx-skip state 2) [:atomic (impl/rx-inside state)])
        (and (= c \<) (= d \=)) (do (impl/rx-skip state 3) [:look false false (impl/rx-inside state)])
        (and (= c \<) (= d \!)) (do (impl/rx-skip state 3) [:look false true (impl/rx-inside state)])
        (= c \<) (do (impl/rx-skip state 2) (impl/rx-capture state (impl/rx-until state \>)))
        :else (do (impl/rx-skip state 1) (impl/rx-flags state))))
    (impl/rx-capture state nil)))

(defn impl/rx-atom
  "The node of one thing that can be repeated."
  [state]
  (let [c (impl/rx-take state)]
    (case c
      \( (impl/rx-group state)
      \[ (impl/rx-set-node state (impl/rx-class state))
      \. (if (impl/rx-flag? state \s) [:any] [:set [:not [:ranges [10 10 13 13 133 133 8232 8233]]]])
      \^ [:assert (if (impl/rx-flag? state \m) :line-start :start)]
      \$ [:assert (if (impl/rx-flag? state \m) :line-end :last-end)]
      \\ (impl/rx-escape state)
      (\* \+ \? \{) (impl/rx-fail state (str "nothing before " c))
      (impl/rx-char-node state c))))

(defn impl/rx-bounds
  "[least most] of {n}, {n,} or {n,m}; nil if the brace begins nothing of the kind."
  [state]
  (impl/rx-skip state 1)
  (let [least (impl/rx-number state 10 5) c (impl/rx-take state)]
    (cond
      (nil? least) (impl/rx-fail state "a number is missing behind {")
      (= c \}) [least least]
      (= c \,) (let [most (impl/rx-number state 10 5)]
                 (if (= (impl/rx-take state) \}) nil (impl/rx-fail state "a } is missing"))
                 (if (and most (< most least)) (impl/rx-fail state "a repetition runs backwards") nil)
                 [least most])
      :else (impl/rx-fail state "a } is missing"))))

(defn impl/rx-repeated [state node]
  (impl/rx-skip-comments state)
  (let [c (impl/rx-peek state)
        bounds (case c
                 \* (do (impl/rx-skip state 1) [0 nil])
                 \+ (do (impl/rx-skip state 1) [1 nil])
                 \? (do (impl/rx-skip state 1) [0 1])
                 \{ (impl/rx-bounds state)
                 nil)]
    (if bounds
      (let [[least most] bounds mode (impl/rx-peek state)]
        (case mode
          \? (do (impl/rx-skip state 1) [:repeat node least most false])
          \+ (do (impl/rx-skip state 1) [:atomic [:repeat node least most true]])
          [:repeat node least most true]))
      node)))

(defn impl/rx-sequence [state]
  (loop [nodes []]
    (impl/rx-skip-comments state)
    (let [c (impl/rx-peek state)]
      (if (or (nil? c) (= c \|) (= c \)))
        (if (= 1 (count nodes)) (nth nodes 0) [:seq nodes])
        (recur (conj nodes (impl/rx-repeated state (impl/rx-atom state))))))))

(defn impl/rx-alternatives [state]
  (loop [nodes [(impl/rx-sequence state)]]
    (if (= (impl/rx-peek state) \|)
      (do (impl/rx-skip state 1) (recur (conj nodes (impl/rx-sequence state))))
      (if (= 1 (count nodes)) (nth nodes 0) [:alt nodes]))))

;; ---- writing the program: a vector of steps [op ...]
;;
;;   0 c            the character                  6              end of the program
;;   1 set          a character of a set           7 what         an assertion
;;   2              any character                  8 ahead not p  look-ahead or look-behind
;;   3 a b          go on at a, else at b          9 slot a       go on at a unless nothing was taken since the mark
;;   4 a            go on at a                     10 n           the text of a group once more
;;   5 slot         note the place                 11 p           a program whose first match is final
;;                                                 12 step least  as many as possible of a step, at least so many

(defn impl/rx-nullable?
  "Whether a node may match nothing."
  [node]
  (case (nth node 0)
    (:char :set :any :fail) false
    :seq (every? impl/rx-nullable? (nth node 1))
    :alt (some impl/rx-nullable? (nth node 1))
    :group (impl/rx-nullable? (nth node 2))
    :atomic (impl/rx-nullable? (nth node 1))
    :repeat (or (= 0 (nth node 2)) (impl/rx-nullable? (nth node 1)))
    true))

(defn impl/rx-single
  "The step of a node for exactly one character, nil for other nodes."
  [node]
  (case (nth node 0)
    :char [0 (nth node 1)]
    :set [1 (nth node 1)]
    :any [2]
    nil))

(defn impl/rx-size-checked [program]
  (if (> (count program) 10000) (impl/refuse :pattern "the pattern is too large") program))

(defn impl/rx-star
  "Any number of a node."
  [program slots node greedy]
  (let [start (count program) nullable (impl/rx-nullable? node)
        slot (if nullable (dec (swap! slots inc)) nil)
        program (conj program nil)
        program (if nullable (conj program [5 slot]) program)
        program (impl/rx-emit program slots node)
        program (conj program (if nullable [9 slot start] [4 start]))
        after (count program)]
    (assoc program start (if greedy [3 (inc start) after] [3 after (inc start)]))))

(defn impl/rx-optional
  "Up to n of a node."
  [program slots node n greedy]
  (loop [program program n n forks []]
    (if (pos? n)
      (let [fork (count program)]
        (recur (impl/rx-size-checked (impl/rx-emit (conj program nil) slots node)) (dec n) (conj forks fork)))
      (let [after (count program)]
        (reduce (fn [program fork]
                  (assoc program fork (if greedy [3 (inc fork) after] [3 after (inc fork)])))
                program forks)))))

(defn impl/rx-copies [program slots node n]
  (loop [program program n n]
    (if (pos? n)
      (recur (impl/rx-size-checked (impl/rx-emit program slots node)) (dec n))
      program)))

(defn impl/rx-repeat [program slots [_ node least most greedy]]
  (let [single (impl/rx-single node)]
    (if (and single greedy (nil? most))
      (conj program [12 single least])
      (let [program (impl/rx-copies program slots node least)]
        (if (nil? most)
          (impl/rx-star program slots node greedy)
          (impl/rx-optional program slots node (- most least) greedy))))))

(defn impl/rx-alt [program slots nodes]
  (loop [program program left nodes jumps []]
    (if (next left)
      (let [fork (count program)
            program (impl/rx-emit (conj program nil) slots (first left))
            jump (count program)
            program (assoc (conj program nil) fork [3 (inc fork) (inc jump)])]
        (recur program (next left) (conj jumps jump)))
      (let [program (impl/rx-emit program slots (first left)) after (count program)]
        (reduce (fn [program jump] (assoc program jump [4 after])) program jumps)))))

(defn impl/rx-alone
  "A program of its own for a node."
  [slots node]
  (conj (impl/rx-emit [] slots node) [6]))

(defn impl/rx-emit
  "A program with the steps of a node behind it."
  [program slots node]
  (impl/rx-size-checked
    (case (nth node 0)
      (:char :set :any) (conj program (impl/rx-single node))
      :seq (reduce (fn [program part] (impl/rx-emit program slots part)) program (nth node 1))
      :repeat (impl/rx-repeat program slots node)
      :group (let [n (nth node 1)]
               (conj (impl/rx-emit (conj program [5 (* 2 n)]) slots (nth node 2)) [5 (inc (* 2 n))]))
      :alt (impl/rx-alt program slots (nth node 1))
      :assert (conj program [7 (nth node 1)])
      :look (conj program [8 (nth node 1) (nth node 2) (impl/rx-alone slots (nth node 3))])
      :atomic (conj program [11 (impl/rx-alone slots (nth node 1))])
      :ref (conj program [10 (nth node 1)])
      :fail (conj program [1 [:ranges []]]))))

(defn impl/rx-literal
  "The text that a node is, or nil."
  [node]
  (case (nth node 0)
    :char (str (nth node 1))
    :seq (if (and (seq (nth node 1)) (every? (fn [part] (= :char (nth part 0))) (nth node 1)))
           (join-text "" (mapv (fn [part] (nth part 1)) (nth node 1)))
           nil)
    nil))

(defn impl/rx-first
  "The character that every match of a program begins with, or nil."
  [program]
  (loop [pc 0]
    (let [step (nth program pc)]
      (case (nth step 0)
        0 (nth step 1)
        5 (recur (inc pc))
        nil))))

(defn impl/rx-compile [text]
  (if (> (count text) 10000) (impl/refuse :pattern "the pattern is too long") nil)
  (let [state {:text (vec* text) :at (atom 0) :groups (atom 0) :names (atom {}) :flags (atom #{})}
        node (impl/rx-alternatives state)
        groups (deref (get state :groups))
        slots (atom (* 2 (inc groups)))]
    (if (impl/rx-peek state) (impl/rx-fail state "a ) too many") nil)
    (let [program (conj (impl/rx-emit [] slots node) [6])]
      [program (deref slots) groups (impl/rx-first program) (deref (get state :names)) (impl/rx-literal node)])))

;; ---- matching; a text is a string of ASCII or a vector of characters, so that each is found at once

(defn impl/rx-text [s]
  (if (ascii? s) s (vec* s)))

(defn impl/rx-word? [text n at]
  (if (and (<= 0 at) (< at n))
    (let [c (nth text at)]
      (or (impl/rx-in-ranges? [48 57 65 90 95 95 97 122] (int c))
          (and (> (int c) 127) (contains? #{\L \N} (nth (char-kind c) 0)))))
    false))

(defn impl/rx-line-break? [c] (contains? #{\newline \return (char 133) (char 8232) (char 8233)} c))

(defn impl/rx-line-end?
  "Whether a line ends at a place; never between the two characters of a break."
  [text n at]
  (or (= at n)
      (and (impl/rx-line-break? (nth text at))
           (not (and (= (nth text at) \newline) (pos? at) (= (nth text (dec at)) \return))))))

(defn impl/rx-asserted? [what text n at]
  (case what
    :start (= at 0)
    :end (= at n)
    :last-end (or (= at n)
                  (and (impl/rx-line-end? text n at)
                       (or (= at (dec n))
                           (and (= at (- n 2)) (= (nth text at) \return) (= (nth text (inc at)) \newline)))))
    :line-start (or (= at 0)
                    (and (< at n) (impl/rx-line-break? (nth text (dec at)))
                         (not (and (= (nth text at) \newline) (= (nth text (dec at)) \return)))))
    :line-end (impl/rx-line-end? text n at)
    :word-edge (not= (impl/rx-word? text n (dec at)) (impl/rx-word? text n at))
    (= (impl/rx-word? text n (dec at)) (impl/rx-word? text n at))))

(defn impl/rx-one? [step c]
  (let [op (nth step 0)]
    (cond
      (= op 0) (= c (nth step 1))
      (= op 1) (impl/rx-in? (nth step 1) c)
      :else true)))

(defn impl/rx-run-end
  "Where the longest run of a step ends."
  [step text n at]
  (loop [at at]
    (if (and (< at n) (impl/rx-one? step (nth text at))) (recur (inc at)) at)))

(defn impl/rx-same-end
  "Where the text of a group ends when it stands at a place once more; nil if it does not."
  [text n at slots group]
  (let [from (nth slots (* 2 group)) to (nth slots (inc (* 2 group)))]
    (if (and from to (<= (+ at (- to from)) n))
      (loop [i from at at]
        (cond
          (= i to) at
          (= (nth text i) (nth text at)) (recur (inc i) (inc at))
          :else nil))
      nil)))

(defn impl/rx-look
  "The slots if a program matches from a place on, or up to it; else nil."
  [ahead program text n at slots]
  (if ahead
    (nth (impl/rx-run program text n at slots nil nil) 0)
    (loop [start at]
      (if (neg? start)
        nil
        (let [found (nth (impl/rx-run program text at start slots at nil) 0)]
          (if found found (recur (dec start))))))))

(defn impl/rx-run
  "[slots forks]: the places that a match from a start on notes, nil when there is none, and the forks passed. With an end
  only a match up to it counts; without a set of forks none are remembered."
  [program text n start slots end forks]
  (loop [pc 0 at start slots slots others () forks forks]
    (if (neg? pc)
      (if (empty? others)
        [nil forks]
        (let [other (first others) pc (nth other 0) at (nth other 1) slots (nth other 2) least (nth other 3)]
          (if (< least at)
            (recur pc at slots (conj (rest others) [pc (dec at) slots least]) forks)
            (recur pc at slots (rest others) forks))))
      (let [step (nth program pc) op (nth step 0)]
        (cond
          (< op 3)
          (if (and (< at n) (impl/rx-one? step (nth text at)))
            (recur (inc pc) (inc at) slots others forks)
            (recur -1 at slots others forks))
          (= op 12)
          (let [least (+ at (nth step 2)) to (impl/rx-run-end (nth step 1) text n at)
                place (+ (* pc (inc n)) at)]
            (cond
              (or (< to least) (and forks (contains? forks place))) (recur -1 at slots others forks)
              (= to least) (recur (inc pc) to slots others forks)
              :else
              (recur (inc pc) to slots (conj others [(inc pc) (dec to) slots least])
                     (if forks (conj forks place) forks))))
          (= op 3)
          (let [place (+ (* pc (inc n)) at)]
            (if (and forks (contains? forks place))
              (recur -1 at slots others forks)
              (recur (nth step 1) at slots (conj others [(nth step 2) at slots at])
                     (if forks (conj forks place) forks))))
          (= op 4) (recur (nth step 1) at slots others forks)
          (= op 5) (recur (inc pc) at (assoc slots (nth step 1) at) others forks)
          (= op 6)
          (if (or (nil? end) (= at end))
            [(assoc slots 1 at) forks]
            (recur -1 at slots others forks))
          (= op 7)
          (recur (if (impl/rx-asserted? (nth step 1) text n at) (inc pc) -1) at slots others forks)
          (= op 8)
          (let [found (impl/rx-look (nth step 1) (nth step 3) text n at slots)]
            (if (nth step 2)
              (recur (if found -1 (inc pc)) at slots others forks)
              (recur (if found (inc pc) -1) at (if found (assoc found 1 nil) slots) others forks)))
          (= op 9)
          (recur (if (= at (nth slots (nth step 1))) (inc pc) (nth step 2)) at slots others forks)
          (= op 10)
          (let [to (impl/rx-same-end text n at slots (nth step 1))]
            (if to (recur (inc pc) to slots others forks) (recur -1 at slots others forks)))
          :else
          (let [found (nth (impl/rx-run (nth step 1) text n at slots nil nil) 0)]
            (if found
              (recur (inc pc) (nth found 1) found others forks)
              (recur -1 at slots others forks))))))))

(defn impl/rx-refers?
  "Whether a program refers back, so that a fork passed is not known to fail again."
  [program]
  (some (fn [step] (= 10 (nth step 0))) program))

(defn impl/rx-slots [pattern start]
  (assoc (into [] (repeat (nth pattern 1) nil)) 0 start))

(defn impl/rx-search
  "The slots of the first match at a place or behind it, or nil. The pattern is its content."
  [pattern text from]
  (let [program (nth pattern 0) n (count text) wanted (nth pattern 3)]
    (loop [start from forks (if (impl/rx-refers? program) nil #{})]
      (cond
        (> start n) nil
        (and wanted (or (= start n) (not= wanted (nth text start)))) (if (< start n) (recur (inc start) forks) nil)
        :else
        (let [found (impl/rx-run program text n start (impl/rx-slots pattern start) nil forks)]
          (if (nth found 0) (nth found 0) (recur (inc start) (nth found 1))))))))

;; ---- clojure.core

(defn impl/pattern?
  [x]
  (= (opaque-kind x) :yin.core/pattern))

(defn impl/pattern-content [name x]
  (if (impl/pattern? x)
    (opaque-content x)
    (impl/refuse :type (str name ": expected a pattern, found " (pr-str x)))))

(defn impl/check-string [name x]
  (if (string? x) x (impl/refuse :type (str name ": expected a string, found " (pr-str x)))))

(defn re-pattern
  "The pattern of a string; a pattern as it is."
  [s]
  (if (impl/pattern? s)
    s
    (opaque* :yin.core/pattern (impl/check-string "re-pattern" s) (impl/rx-compile s))))

(defn impl/rx-group-of [s slots n]
  (let [from (nth slots (* 2 n)) to (nth slots (inc (* 2 n)))]
    (if (and from to) (subs s from to) nil)))

(defn impl/rx-groups
  "A match as Clojure has it: the text, or a vector of it and the groups."
  [pattern s slots]
  (let [groups (nth pattern 2)]
    (if (= groups 0)
      (impl/rx-group-of s slots 0)
      (loop [found [] n 0]
        (if (<= n groups) (recur (conj found (impl/rx-group-of s slots n)) (inc n)) found)))))

(defn re-matcher [pattern s]
  (impl/pattern-content "re-matcher" pattern)
  (opaque* :yin.core/matcher (str pattern)
           [(opaque-content pattern) (impl/check-string "re-matcher" s) (impl/rx-text s) (atom [0 nil])]))

(defn impl/rx-after
  "Where the search goes on behind a match."
  [slots]
  (let [to (nth slots 1)]
    (if (= (nth slots 0) to) (inc to) to)))

(defn re-groups [matcher]
  (if (= (opaque-kind matcher) :yin.core/matcher)
    (let [[pattern s _ state] (opaque-content matcher) slots (nth (deref state) 1)]
      (if slots (impl/rx-groups pattern s slots) (impl/refuse :state "No match found")))
    (impl/refuse :type "re-groups: expected a matcher")))

(defn re-find
  ([matcher]
   (if (= (opaque-kind matcher) :yin.core/matcher)
     (let [[pattern s text state] (opaque-content matcher)
           slots (impl/rx-search pattern text (nth (deref state) 0))]
       (reset! state [(if slots (impl/rx-after slots) (inc (count s))) slots])
       (if slots (impl/rx-groups pattern s slots) nil))
     (impl/refuse :type "re-find: expected a matcher")))
  ([pattern s]
   (let [content (impl/pattern-content "re-find" pattern)
         slots (impl/rx-search content (impl/rx-text (impl/check-string "re-find" s)) 0)]
     (if slots (impl/rx-groups content s slots) nil))))

(defn re-matches [pattern s]
  (let [content (impl/pattern-content "re-matches" pattern)
        text (impl/rx-text (impl/check-string "re-matches" s))
        n (count text)
        program (nth content 0)
        slots (nth (impl/rx-run program text n 0 (impl/rx-slots content 0) n
                                (if (impl/rx-refers? program) nil #{})) 0)]
    (if slots (impl/rx-groups content s slots) nil)))

(defn impl/rx-matches
  "The slots of all matches, lazily."
  [pattern text from]
  (lazy-seq
    (let [slots (impl/rx-search pattern text from)]
      (if slots (cons slots (impl/rx-matches pattern text (impl/rx-after slots))) nil))))

(defn re-seq [pattern s]
  (let [content (impl/pattern-content "re-seq" pattern)
        text (impl/rx-text (impl/check-string "re-seq" s))]
    (seq (map (fn [slots] (impl/rx-groups content s slots)) (impl/rx-matches content text 0)))))

;; ---- for text.clj

(defn impl/rx-split
  "The parts of a string between matches; at most `limit` of them if that is above 0."
  [pattern s limit]
  (let [content (opaque-content pattern) text (impl/rx-text s) n (count text)]
    (loop [parts [] from 0 at 0]
      (let [slots (if (and (pos? limit) (= (inc (count parts)) limit)) nil (impl/rx-search content text at))]
        (cond
          (nil? slots) (if (and (empty? parts) (= from 0)) [s] (conj parts (subs s from)))
          (and (= 0 (nth slots 0)) (= 0 (nth slots 1))) (recur parts from 1)
          :else (recur (conj parts (subs s from (nth slots 0))) (nth slots 1) (impl/rx-after slots)))))))

(defn impl/rx-replacement
  "The text that a replacement with $1 and \\ stands for."
  [replacement content s slots]
  (let [n (count replacement)]
    (loop [found [] i 0]
      (if (= i n)
        (join-text "" found)
        (let [c (nth replacement i)]
          (cond
            (= c \\) (if (< (inc i) n)
                       (recur (conj found (nth replacement (inc i))) (+ i 2))
                       (impl/refuse :argument "character to be escaped is missing"))
            (= c \$)
            (cond
              (= (nth replacement (inc i) nil) \{)
              (let [end (index-of replacement "}" i)
                    group (if end (get (nth content 4) (subs replacement (+ i 2) end)) nil)]
                (if group
                  (recur (conj found (impl/rx-group-of s slots group)) (inc end))
                  (impl/refuse :argument "replacement: no group has that name")))
              (nil? (impl/digit-of (nth replacement (inc i) nil) 10))
              (impl/refuse :argument "Illegal group reference")
              :else
              (let [digit (impl/digit-of (nth replacement (inc i)) 10)]
                (if (> digit (nth content 2)) (impl/refuse :index (str "No group " digit)) nil)
                (let [second-digit (impl/digit-of (nth replacement (+ i 2) nil) 10)
                      two (if second-digit (+ (* 10 digit) second-digit) nil)]
                  (if (and two (<= two (nth content 2)))
                    (recur (conj found (impl/rx-group-of s slots two)) (+ i 3))
                    (recur (conj found (impl/rx-group-of s slots digit)) (+ i 2))))))
            :else (recur (conj found c) (inc i))))))))

(defn impl/rx-replace
  "A string with the first match or all of them replaced by a text or by what a function makes of them."
  [s pattern replacement all]
  (let [content (opaque-content pattern) text (impl/rx-text s)
        plain (and (string? replacement) (not (includes? replacement "$")) (not (includes? replacement "\\")))]
    (loop [parts [] from 0 at 0]
      (let [slots (impl/rx-search content text at)]
        (if (nil? slots)
          (if (empty? parts) s (join-text "" (conj parts (subs s from))))
          (let [made (cond
                       plain replacement
                       (string? replacement) (impl/rx-replacement replacement content s slots)
                       (not (ifn? replacement)) (impl/refuse :type "replace: expected a string or a function")
                       :else (impl/check-string "replace" (replacement (impl/rx-groups content s slots))))
                parts (conj parts (subs s from (nth slots 0)) made)]
            (if all
              (recur parts (nth slots 1) (impl/rx-after slots))
              (join-text "" (conj parts (subs s (nth slots 1)))))))))))
