(ns catalogue.data
  "What the program runs on: a library's books in JSON, its orders in EDN, summaries to search, and facts to reason about.")

(def books-json "
{\"library\": \"Lantern Street\", \"updated\": \"2024-03-01\",
 \"books\": [
  {\"id\": 1, \"title\": \"Begriffsschrift\", \"year\": 1879, \"pages\": 88, \"price\": 31.5,
   \"authors\": [{\"name\": \"Gottlob Frege\", \"born\": 1848}], \"tags\": [\"logic\", \"notation\"]},
  {\"id\": 2, \"title\": \"On Computable Numbers\", \"year\": 1936, \"pages\": 36, \"price\": 12,
   \"authors\": [{\"name\": \"Alan Turing\", \"born\": 1912}], \"tags\": [\"logic\", \"machines\"]},
  {\"id\": 3, \"title\": \"The Calculi of Lambda-Conversion\", \"year\": 1941, \"pages\": 77, \"price\": 24.25,
   \"authors\": [{\"name\": \"Alonzo Church\", \"born\": 1903}], \"tags\": [\"logic\", \"functions\"]},
  {\"id\": 4, \"title\": \"A Mathematical Theory of Communication\", \"year\": 1948, \"pages\": 55, \"price\": 18,
   \"authors\": [{\"name\": \"Claude Shannon\", \"born\": 1916}], \"tags\": [\"information\"]},
  {\"id\": 5, \"title\": \"Recursive Functions of Symbolic Expressions\", \"year\": 1960, \"pages\": 34, \"price\": 9.75,
   \"authors\": [{\"name\": \"John McCarthy\", \"born\": 1927}], \"tags\": [\"functions\", \"languages\", \"machines\"]},
  {\"id\": 6, \"title\": \"Structure and Interpretation of Computer Programs\", \"year\": 1985, \"pages\": 657, \"price\": 62,
   \"authors\": [{\"name\": \"Harold Abelson\", \"born\": 1947}, {\"name\": \"Gerald Sussman\", \"born\": 1947}],
   \"tags\": [\"languages\", \"functions\", \"teaching\"]},
  {\"id\": 7, \"title\": \"G\\u00f6del, Escher, Bach\", \"year\": 1979, \"pages\": 777, \"price\": 28.5,
   \"authors\": [{\"name\": \"Douglas Hofstadter\", \"born\": 1945}], \"tags\": [\"logic\", \"art\"], \"subtitle\": \"An \\\"Eternal\\\" Golden Braid\"},
  {\"id\": 8, \"title\": \"The Art of Computer Programming\", \"year\": 1968, \"pages\": 650, \"price\": 89.9,
   \"authors\": [{\"name\": \"Donald Knuth\", \"born\": 1938}], \"tags\": [\"algorithms\", \"machines\"], \"volumes\": [1, 2, 3, 4]},
  {\"id\": 9, \"title\": \"Purely Functional Data Structures\", \"year\": 1998, \"pages\": 220, \"price\": 41,
   \"authors\": [{\"name\": \"Chris Okasaki\", \"born\": 1967}], \"tags\": [\"algorithms\", \"functions\"]},
  {\"id\": 10, \"title\": \"Foundations of Databases\", \"year\": 1995, \"pages\": 685, \"price\": 1.2e2,
   \"authors\": [{\"name\": \"Serge Abiteboul\", \"born\": 1953}, {\"name\": \"Richard Hull\"}, {\"name\": \"Victor Vianu\"}],
   \"tags\": [\"logic\", \"databases\", \"teaching\"]}
 ]}")

(def orders-edn "
;; What happened at the desk, oldest first.
#library/loan {:book 6, :reader ada,    :days 14, :at #library/day \"2024-03-02\"}
#library/loan {:book 9, :reader ada,    :days 28, :at #library/day \"2024-03-02\"}
#library/loan {:book 2, :reader grace,  :days 7,  :at #library/day \"2024-03-04\"}
#_ #library/loan {:book 3, :reader nobody, :days 1, :at #library/day \"2024-03-04\"}
#library/return {:book 9, :at #library/day \"2024-03-09\", :notes [\"torn cover\" \\u0021]}
#library/loan {:book 9, :reader barbara, :days 14, :at #library/day \"2024-03-11\"}
#library/price {:book 10, :factor 3/4}
#library/tag {:book 5, :tags #{\"classic\" \"lists\"}}
#library/tag {:book 7, :tags #{\"classic\"}}
#library/return {:book 2, :at #library/day \"2024-03-21\", :notes ()}
")

(def summaries
  {1 "Frege introduces a formal notation for pure thought, with quantifiers and variables. It is the beginning of modern logic, though its two-dimensional formulas were hardly ever written again."
   2 "Turing describes machines that read and write symbols on a tape, shows that one universal machine can imitate all others, and proves that no machine can decide whether another machine ever stops."
   3 "Church develops a calculus of functions from abstraction and application alone. Conversion of terms, normal forms, and the definition of numbers by functions are treated carefully."
   4 "Shannon measures information by surprise. The capacity of a noisy channel limits how much information can be sent through it; codes that come close to the limit exist, although the proof does not construct them."
   5 "McCarthy presents a language whose programs are symbolic expressions, the very data that its functions take apart. An interpreter of the language, written in itself, fits on half a page."
   6 "A course on programming that begins with functions and data and ends with machines: interpreters, compilers and garbage collection are built by the reader. Abstraction is the hero of the story, assignment the villain."
   7 "Canons, drawings and theorems that speak about themselves. The author asks how meaning and minds can arise from symbols without meaning, and answers with strange loops and dialogues between Achilles and a tortoise."
   8 "Fundamental algorithms, analysed with care, on a machine that was invented for the book. Searching, sorting, random numbers and trees; every exercise is rated by difficulty, and some are open research problems."
   9 "Queues, heaps, trees and deques that are never changed, only made anew with sharing. Lazy evaluation is shown to give persistent structures the same amortized bounds as their ephemeral cousins."
   10 "The theory of query languages: relational algebra and calculus, dependencies, Datalog with negation and recursion, and the expressive power of all of them. Searching for what can be asked is the thread through the book."})

(def influences
  '[[wrote frege begriffsschrift]
    [wrote church lambda-calculus]
    [wrote turing computable-numbers]
    [wrote mccarthy lisp]
    [wrote sussman scheme]
    [wrote hickey clojure]
    [wrote codd relational-model]
    [builds-on lambda-calculus begriffsschrift]
    [builds-on computable-numbers lambda-calculus]
    [builds-on lisp lambda-calculus]
    [builds-on scheme lisp]
    [builds-on scheme lambda-calculus]
    [builds-on clojure lisp]
    [builds-on clojure relational-model]
    [builds-on relational-model begriffsschrift]
    [year begriffsschrift 1879]
    [year lambda-calculus 1936]
    [year computable-numbers 1936]
    [year lisp 1958]
    [year relational-model 1970]
    [year scheme 1975]
    [year clojure 2007]])

(def letter-template "Dear {{reader}},
{{#loans}}
  you have {{title}}{{#late}} - it is {{days}} days late{{/late}}{{^late}} until {{until}}{{/late}}.
{{/loans}}
{{^loans}}
  you have nothing of ours. Come and see us!
{{/loans}}
{{! the library's name is in the outer context }}
Yours, {{library.name}}
")
