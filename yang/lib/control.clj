;; Control of the core library: everything here is made of prompt*, control*, suspend* and abort*.
;;
;; Is:     shift, finally, generators, coroutines, green threads, promises, channels, actors, search, effect handlers.
;; Is not: the four primitives, which are the machine's; relations over terms (logic.clj).
;; Fits:   one file of the core library (core.clj has its rules); docs/continuations.md has it with examples.
;; Source: Dybvig, Peyton Jones, Sabry, "A Monadic Framework for Delimited Continuations" (2007).
;;
;; `(prompt* tag f x ...)` calls f above a prompt; `(control* tag f)` takes the continuation up to the innermost prompt with
;; the tag away and calls f with it in its place; the continuation, called with a value, is put on top of what is there
;; then, any number of times. `(suspend* tag x)` is `(control* tag identity)` with an x for whom called prompt*, who asks the
;; continuation for it by `suspended-with`.

(defn shift*
  "As control*, but the prompt stays, and each call of the continuation is above a prompt of its own."
  [tag f]
  (control* tag (fn [k] (prompt* tag f (fn [value] (prompt* tag k value))))))

(defn abort
  "Leave the innermost prompt with a tag, whose value this is; finalizers on the way are called, innermost first."
  [tag value]
  (abort* tag value))

;; ---- finally

(defn impl/attempt [body]
  (try [true (body)] (catch :default error [false error])))

(defn impl/leave
  "What an escape by k does first when it leaves a finalizer's mark; the machine calls it outside of the mark."
  [finalizer k value]
  (finalizer)
  (k value))

(defn finally*
  "Call body; call finalizer when it returns, throws, or is left by an escape. `(try ... (finally ...))` is this."
  [body finalizer]
  (let [outcome (prompt* finalizer impl/attempt body)]
    (finalizer)
    (if (first outcome) (second outcome) (throw (second outcome)))))

;; ---- generators: the items of a lazy seq, given out by ordinary code

(defn impl/generated
  "The items yielded when k is called above the generator's prompt: each is given out with the continuation behind it."
  [k]
  (lazy-seq*
    (fn
      ([] (let [k (prompt* :yin.core/generator k nil)]
            (if k (cons (suspended-with k) (impl/generated k)) nil)))
      ([step init]
       (loop [result init k (prompt* :yin.core/generator k nil)]
         (if k
           (let [found (step result (suspended-with k))]
             (if (reduced? found)
               (unreduced found)
               (recur found (prompt* :yin.core/generator k nil))))
           result))))))

(defn generator
  "The lazy seq of what the body yields while it runs."
  [body]
  (impl/generated (fn [_] (body) nil)))

(defn yield
  "Give out the next item of the innermost generator; nil."
  [item]
  (suspend* :yin.core/generator item))

;; ---- coroutines: an atom with the function that the next resume calls, or :running, or :ended

(defn coroutine
  "A coroutine: the first resume calls f with its value."
  [f]
  (atom (fn [value] [(f value)])))

(defn resume
  "Let a coroutine go on with a value until it suspends or ends; the value it suspends or ends with."
  ([co] (resume co nil))
  ([co value]
   (let [go-on (deref co)]
     (if (fn? go-on) nil (throw (ex-info "resume: the coroutine is not suspended" {:fault :state})))
     (reset! co :running)
     (let [step (try
                  (prompt* :yin.core/coroutine go-on value)
                  (catch :default error (reset! co :ended) (throw error)))]
       (if (vector? step)
         (do (reset! co :ended) (nth step 0))
         (do (reset! co step) (suspended-with step)))))))

(defn suspend
  "Stop the innermost coroutine with a value; what the next resume gives."
  ([] (suspend nil))
  ([value] (suspend* :yin.core/coroutine value)))

(defn ended? [co] (= (deref co) :ended))

;; ---- queues of values: [those in front, those behind in reverse]

(defn impl/queue-add [queue x] [(nth queue 0) (conj (nth queue 1) x)])

(defn impl/queue-take
  "[first item, queue of the others], or nil."
  [queue]
  (let [front (nth queue 0)]
    (if (empty? front)
      (let [items (reverse (nth queue 1))]
        (if (empty? items) nil [(first items) [(rest items) ()]]))
      [(first front) [(rest front) (nth queue 1)]])))

;; ---- green threads: a queue of [function value] that are ready; one runs until it ends or blocks

(defn impl/ready! [ready f value]
  (reset! ready (impl/queue-add (deref ready) [f value])))

(defn impl/block
  "Stop the running thread; its scheduler calls `register` with its queue and the thread's continuation."
  [register]
  (suspend* :yin.core/thread register))

;; ---- promises: {:outcome [succeeded? value] or nil, :waiting [[ready continuation] ...]}

(defn promise [] (atom {:outcome nil :waiting []}))
(defn settled? [p] (some? (:outcome (deref p))))

(defn impl/settle! [p outcome]
  (let [state (deref p)]
    (if (nil? (:outcome state))
      (do
        (reset! p {:outcome outcome :waiting []})
        (run! (fn [[ready k]] (impl/ready! ready k nil)) (:waiting state))
        true)
      false)))

(defn deliver
  "Settle a promise with a value, unless it is settled; whether it was not."
  [p value]
  (impl/settle! p [true value]))

(defn fail-promise
  "Settle a promise with an error, which await throws."
  [p error]
  (impl/settle! p [false error]))

(defn await
  "The value of a promise, once it is settled; throws the error it failed with."
  [p]
  (loop []
    (let [outcome (:outcome (deref p))]
      (if (nil? outcome)
        (do
          (impl/block (fn [ready k] (swap! p update :waiting conj [ready k])))
          (recur))
        (if (first outcome) (second outcome) (throw (second outcome)))))))

;; ---- threads

(defn impl/run-ready [ready]
  (loop []
    (let [taken (impl/queue-take (deref ready))]
      (if (nil? taken)
        nil
        (let [task (first taken)]
          (reset! ready (second taken))
          (let [blocked (prompt* :yin.core/thread (first task) (second task))]
            (if (nil? blocked) nil ((suspended-with blocked) ready blocked))
            (recur)))))))

(defn impl/thread
  "The function of a thread that settles a promise with what f comes to."
  [settled f]
  (fn [_]
    (impl/settle! settled (impl/attempt f))
    nil))

(defn run-threads
  "Run main and every thread spawned meanwhile, in turns, until all have ended or wait for ever; main's value."
  [main]
  (let [ready (atom [() ()]) value (promise)]
    (impl/ready! ready (impl/thread value main) nil)
    (impl/run-ready ready)
    (if (settled? value)
      (await value)
      (throw (ex-info "run-threads: the main thread waits for ever" {:fault :deadlock})))))

(defn spawn
  "Start a thread that calls f; a promise of its value."
  [f]
  (let [value (promise)]
    (impl/block (fn [ready k]
                  (impl/ready! ready k nil)
                  (impl/ready! ready (impl/thread value f) nil)))
    value))

(defn pass
  "Let the other threads run first."
  []
  (impl/block (fn [ready k] (impl/ready! ready k nil))))

;; ---- channels: items up to a size; who puts into a full one or takes from an empty one waits

(defn chan
  "A channel that holds so many items; nil for any number."
  ([] (chan 0))
  ([size] (atom {:size size :count 0 :items [() ()] :putters [() ()] :takers [() ()] :closed false})))

(defn put!
  "Put an item into a channel; true, or false if it is closed."
  [channel item]
  (let [state (deref channel) taker (impl/queue-take (:takers state))]
    (cond
      (:closed state) false
      taker (do (swap! channel assoc :takers (second taker)) (deliver (first taker) item))
      (or (nil? (:size state)) (< (:count state) (:size state)))
      (do
        (swap! channel assoc :items (impl/queue-add (:items state) item) :count (inc (:count state)))
        true)
      :else
      (let [accepted (promise)]
        (swap! channel assoc :putters (impl/queue-add (:putters state) [item accepted]))
        (await accepted)))))

(defn impl/refill
  "The state of a channel after an item was taken: the first that waits to put one has it accepted."
  [channel]
  (let [state (deref channel) putter (impl/queue-take (:putters state))]
    (if putter
      (let [[item accepted] (first putter)]
        (reset! channel (assoc state :putters (second putter)
                                     :items (impl/queue-add (:items state) item)
                                     :count (inc (:count state))))
        (deliver accepted true))
      nil)))

(defn take!
  "Take the next item out of a channel; nil once it is closed and empty."
  [channel]
  (if (zero? (:count (deref channel))) (impl/refill channel) nil)
  (let [state (deref channel) taken (impl/queue-take (:items state))]
    (cond
      taken (do
              (reset! channel (assoc state :items (second taken) :count (dec (:count state))))
              (if (or (nil? (:size state)) (< (dec (:count state)) (:size state))) (impl/refill channel) nil)
              (first taken))
      (:closed state) nil
      :else (let [item (promise)]
              (reset! channel (assoc state :takers (impl/queue-add (:takers state) item)))
              (await item)))))

(defn close!
  "Close a channel: those who wait to take get nil, what it holds can still be taken."
  [channel]
  (let [state (deref channel)]
    (reset! channel (assoc state :closed true :takers [() ()]))
    (loop [takers (:takers state)]
      (let [taker (impl/queue-take takers)]
        (if taker (do (deliver (first taker) nil) (recur (second taker))) nil)))))

;; ---- actors: a thread and its mailbox

(defn actor
  "Start a thread that calls f with its mailbox, which is the actor's address."
  [f]
  (let [mailbox (chan nil)]
    (spawn (fn [] (f mailbox)))
    mailbox))

(defn tell [mailbox message] (put! mailbox message))
(defn receive [mailbox] (take! mailbox))

(defn ask
  "Send [message promise] and wait for what the actor delivers."
  [mailbox message]
  (let [answer (promise)]
    (tell mailbox [message answer])
    (await answer)))

;; ---- search: choices are continuations, called once for each alternative

(defn solutions
  "The lazy seq of the body's values, one for each way to choose; depth first."
  [body]
  (lazy-seq (prompt* :yin.core/choice (fn [] (list (body))))))

(defn choose
  "One of the alternatives, in turn."
  [alternatives]
  (control* :yin.core/choice
            (fn [k] (mapcat (fn [x] (prompt* :yin.core/choice k x)) alternatives))))

(defn amb [& alternatives] (choose alternatives))
(defn fail [] (choose nil))
(defn guard [test] (if test nil (fail)))

(defn impl/fair [a b]
  (lazy-seq
    (let [left (seq a)]
      (if left (cons (first left) (impl/fair b (rest left))) b))))

(defn impl/fair-all [seqs]
  (lazy-seq
    (let [left (seq seqs)]
      (if left (impl/fair (first left) (impl/fair-all (rest left))) nil))))

(defn choose-fairly
  "As choose, but solutions of all alternatives come in turns, so that one with endless many does not hide the others."
  [alternatives]
  (control* :yin.core/choice
            (fn [k]
              (impl/fair-all
                (map (fn [x] (lazy-seq (prompt* :yin.core/choice k x))) alternatives)))))

;; ---- effect handlers: deep; a handler gets the continuation, then the arguments of perform

(defn perform
  "Ask the innermost handler of an operation; what it calls the continuation with."
  [operation & arguments]
  (let [answer (suspend* :yin.core/effect [operation arguments])]
    (if (and (error? answer) (contains? (ex-data answer) :yin.core/discontinued))
      (throw (:yin.core/discontinued (ex-data answer)))
      answer)))

(defn discontinue
  "Go on in a handler's continuation by throwing an error where perform was called."
  [k error]
  (k (ex-info "discontinued" {:yin.core/discontinued error})))

(defn impl/handled [handlers step]
  (if (vector? step)
    (let [end (:return handlers)]
      (if (nil? end) (nth step 0) (end (nth step 0))))
    (let [[operation arguments] (suspended-with step)
          go-on (fn [value] (impl/handled handlers (prompt* :yin.core/effect step value)))
          handler (get handlers operation)]
      (if (nil? handler)
        (go-on (apply perform operation arguments))
        (apply handler go-on arguments)))))

(defn handle
  "Call the body with handlers {operation (fn [k & arguments] ...), :return (fn [value] ...)}."
  [handlers body]
  (impl/handled handlers (prompt* :yin.core/effect (fn [] [(body)]))))
