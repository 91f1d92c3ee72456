"""Runs one program a few times; prints its answer, then the processor time of each run in milliseconds."""

from __future__ import annotations

import runpy
import sys
import time

main = runpy.run_path(sys.argv[1])["main"]
print(main())
for _ in range(int(sys.argv[2])):
    started = time.process_time()
    main()
    print((time.process_time() - started) * 1000)
