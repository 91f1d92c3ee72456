"""What a stream's facts look like on disk when they are sorted: runs of rows with their orders, and a dictionary of values.

Is:     immutable blobs with checksums (`blob`), values by number (`dictionary`), runs of rows (`run`), the list of what is
        there (`manifest`), and how runs become fewer and larger (`merge`).
Is not: the truth: that is the log, from which all of this can be made again.
Fits:   `datomstore.streams` opens and writes them; `datomstore.facts` answers from them. docs/storage.md has every byte.
"""

from __future__ import annotations
