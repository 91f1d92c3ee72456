; Sets and clojure.set.
[#{} #{1 2} #{:a "b" nil} (hash-set 1 1 2) (set [1 2 1]) (set nil) (set "aab") #{(+ 1 1)}]
; expect: [#{} #{1 2} #{:a "b" nil} #{1 2} #{1 2} #{} #{\a \b} #{2}]
[(conj #{1} 2 1) (conj #{} nil) (disj #{1 2} 1) (disj #{1} 2) (disj #{1 2 3} 1 3) (disj nil 1) (disj #{1})]
; expect: [#{1 2} #{nil} #{2} #{1} #{2} nil #{1}]
[(contains? #{1 nil} 1) (contains? #{1 nil} nil) (contains? #{1} 2) (contains? #{} nil)]
; expect: [true true false false]
[(#{1 2} 1) (#{1 2} 3) (#{nil} nil) (#{false} false) (get #{:a} :a) (get #{:a} :b :none)]
; expect: [1 nil nil false :a :none]
(#{1} 1 2)
; expect error: wrong number of arguments (2)
[(count #{1 2}) (empty? #{}) (empty #{1}) (seq #{}) (seq #{1}) (first #{7}) (rest #{7})]
; expect: [2 true #{} nil (1) 7 ()]
(filter #{:a :c} [:a :b :c :d])
; expect: (:a :c)
(remove #{1} [1 2 1 3])
; expect: (2 3)
(some #{3 4} [1 2 3 4])
; expect: 3
(sort #{3 1 2})
; expect: (1 2 3)
(into #{} [1 2 2 3])
; expect: #{1 2 3}
(reduce + #{1 2 3})
; expect: 6
(disj {:a 1} :a)
; expect error: expected a set
(set 5)
; expect error: found an integer
(let [s (set (range 1000))] [(count s) (s 999) (s 1000) (count (reduce disj s (range 0 1000 3))) (= s (set (reverse (range 1000))))])
; expect: [1000 999 nil 666 true]
(count (hash-set [1 2] '(1 2) {:a 1} #{1} 1 1.0 "1" \1 true))
; expect: 8
(distinct [1 2 1 3 2])
; expect: (1 2 3)
[(clojure.set/union) (set/union #{1}) (set/union #{1 2} #{2 3}) (set/union #{1} #{2} #{3 4}) (set/union nil #{1})]
; expect: [#{} #{1} #{1 2 3} #{1 2 3 4} #{1}]
[(set/intersection #{1 2} #{2 3}) (set/intersection #{1} #{2}) (set/intersection #{1 2 3} #{2 3} #{3 4}) (set/intersection #{1})]
; expect: [#{2} #{} #{3} #{1}]
[(set/difference #{1 2 3} #{2}) (set/difference #{1} #{1 2 3}) (set/difference #{1 2 3} #{1} #{2}) (set/difference #{1})]
; expect: [#{1 3} #{} #{3} #{1}]
[(set/subset? #{1} #{1 2}) (set/subset? #{1 2} #{1}) (set/superset? #{1 2} #{1}) (set/subset? #{} #{})]
; expect: [true false true true]
[(set/select odd? #{1 2 3}) (set/map-invert {:a 1 :b 2}) (set/rename-keys {:a 1 :b 2} {:a :x})]
; expect: [#{1 3} {1 :a 2 :b} {:x 1 :b 2}]
[(set/project #{{:a 1 :b 2} {:a 3 :b 4}} [:a]) (set/rename #{{:a 1}} {:a :b}) (set/index #{{:a 1 :b 2} {:a 1 :b 3}} [:a])]
; expect: [#{{:a 1} {:a 3}} #{{:b 1}} {{:a 1} #{{:a 1 :b 2} {:a 1 :b 3}}}]
(set/join #{{:id 1 :name "a"} {:id 2 :name "b"}} #{{:id 1 :age 30}})
; expect: #{{:id 1 :name "a" :age 30}}
(ns sets (:require [clojure.set :as s]))
(s/union #{1} #{2})
; expect: #{1 2}
