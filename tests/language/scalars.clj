; Byte strings, instants and uuids.
(map bytes? [#bytes "00ff" "00ff" [0 255] nil])
; expect: (true false false false)
(map inst? [#inst "2024-01-02" 0 nil])
; expect: (true false false)
(map uuid? [#uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6" "f81d4fae-7dec-11d0-a765-00a0c91e6bf6" nil])
; expect: (true false false)
(inst-ms #inst "1970-01-01T00:00:01.500Z")
; expect: 1500
(inst-ms #inst "1969-12-31T23:59:59.999Z")
; expect: -1
(inst-ms (now))
; expect: 1704067200000
(inst-ms 5)
; expect error: inst-ms: expected an instant, found an integer
(parse-uuid "F81D4FAE-7dec-11d0-a765-00a0c91e6bf6")
; expect: #uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
(map parse-uuid ["" "f81d4fae7dec11d0a76500a0c91e6bf6" "f81d4fae-7dec-11d0-a765-00a0c91e6bfg" "f81d4fae-7dec-11d0-a765-00a0c91e6bf6 "])
; expect: (nil nil nil nil)
(parse-uuid :a)
; expect error: parse-uuid: expected a string, found a keyword
(random-uuid)
; expect: #uuid "40000000-4000-4000-8000-000040000000"
(= (parse-uuid (str (random-uuid))) (random-uuid))
; expect: true
[(= #bytes "0a" #bytes "0a") (= #bytes "0a" #bytes "0b") (= #inst "2024-01-01" #inst "2024-01-01T00:00:00Z")]
; expect: [true false true]
(get {#bytes "0a" 1 #uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6" 2 #inst "2024-01-01" 3} #inst "2024-01-01T00:00:00Z")
; expect: 3
(get (zipmap (map (fn [i] [i #bytes "0a"]) (range 20)) (range)) [7 #bytes "0a"])
; expect: 7
(sort [#inst "2024-01-02" #inst "1969-01-01" #inst "2024-01-01"])
; expect: (#inst "1969-01-01T00:00:00.000-00:00" #inst "2024-01-01T00:00:00.000-00:00" #inst "2024-01-02T00:00:00.000-00:00")
(sort [#bytes "ff" #bytes "00" #bytes "00ff"])
; expect: (#bytes "00" #bytes "00ff" #bytes "ff")
(compare #inst "2024-01-02" #bytes "00")
; expect error: compare
[(str #inst "2024-01-02T03:04:05.678Z") (pr-str [#bytes "0aFF"])]
; expect: ["2024-01-02T03:04:05.678-00:00" "[#bytes \"0aff\"]"]
(= (hash #bytes "0a") (hash #bytes "0a"))
; expect: true
