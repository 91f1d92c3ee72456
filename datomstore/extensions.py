"""The numbers of msgpack extensions under which the data model's values are written.

Is:     constants, part of the log's format and of the wire's: append only.
Is not: how they are written (`datomstore.codec`).
Fits:   imported by what reads or writes values as bytes.
"""

# ORDER: extension numbers
KEYWORD, SYMBOL, CHAR, LIST, MAP, SET, RATIO, BIG_INTEGER, INSTANT, UUID_, DECIMAL = range(1, 12)
