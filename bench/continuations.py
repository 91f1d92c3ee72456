"""What a continuation costs: captured and resumed, as an image, parked.

Is:     capture and resume per second at three depths; switches of generators, coroutines, effects and threads, errors;
        size and time of images of 1 to 500 frames; the resident memory of 100,000 agents that wait, as live machines and
        as images.
Is not: migration, which `bench.hop` measures between two daemons.
Fits:   `bench.machine` prints it; `python -m bench.continuations live|images` measures memory in a process of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from bench.peers import MEMORY_MAX, core_code, finished
from yang.compile import compile_source
from yind.cesk import Code, Machine, Status

DEPTHS = (10, 1_000, 100_000)
CAPTURES = 300_000
FRAMES = (1, 10, 50, 500)
PARKED = 100_000
FUEL = 1 << 40

# Every round captures the continuation, and resumes it by calling it.
CAPTURE = """
(defn rounds [n]
  (loop [i 0] (if (< i n) (do (call/cc (fn [k] (k i))) (recur (inc i))) 0)))
(defn at-depth [depth n] (if (= depth 0) (rounds n) (+ 1 (at-depth (dec depth) n))))
(at-depth {depth} {rounds})
"""

# What the library makes of continuations; each program does a thing so many times.
CONTROL = {
    "value yielded by a generator": "(reduce + 0 (generator (fn [] (dotimes [i {rounds}] (yield i)))))",
    "coroutine resumed and suspended": """
        (let [echo (coroutine (fn [x] (loop [x x] (recur (suspend x)))))]
          (dotimes [i {rounds}] (resume echo i)))""",
    "effect performed and handled": """
        (handle {{:ask (fn [k x] (k (inc x)))}}
          (fn [] (loop [i 0] (if (< i {rounds}) (recur (perform :ask i)) i))))""",
    "switch of green threads": """
        (run-threads
          (fn []
            (let [work (fn [] (dotimes [i (quot {rounds} 2)] (pass)))]
              (spawn work)
              (work))))""",
    "error thrown and caught": """
        (let [error (ex-info "no" {{}})]
          (dotimes [i {rounds}] (try (throw error) (catch :default e e))))""",
    "error thrown through 10 calls": """
        (defn down [n error] (if (zero? n) (throw error) (inc (down (dec n) error))))
        (let [error (ex-info "no" {{}})]
          (dotimes [i {rounds}] (try (down 10 error) (catch :default e e))))""",
    "fault of the machine caught": "(dotimes [i {rounds}] (try (inc nil) (catch :default e e)))",
    "finalizer, nothing thrown": "(dotimes [i {rounds}] (try i (finally nil)))",
    "escape by call/cc": "(dotimes [i {rounds}] (call/cc (fn [k] (inc (k i)))))",
    "abort to a prompt": "(dotimes [i {rounds}] (prompt :p (inc (abort :p i))))",
    "shift and reset": "(dotimes [i {rounds}] (reset (inc (shift k (k i)))))",
}
SWITCHES = 50_000

# Six live values in each frame, used after the call returns: two integers, a double, a keyword, a text of its own
# and a map that all frames share.
WAITING = """
(defn level [n sum mean state config]
  (let [label (str "item-" n)
        found (if (= n 1)
                (sleep 1000)
                (level (dec n) (+ sum n) (/ (+ mean n) 2.0) (if (even? n) :even :odd) config))]
    [found n sum mean state label (get config :limit)]))
(level {frames} 0 1.5 :start {{:limit 100 :name "waiting" :retries [1 2 3]}})
"""

# A small service: it holds a few counts and a name, and waits for the next message inside two calls.
SERVICE = """
(defn next-message [state] (let [message (sleep 1000)] (assoc state :last message)))
(defn handled [state] (update (next-message state) :seen inc))
(loop [state {:name "service" :seen 0 :errors 0 :started 1700000000 :peers ["alpha" "beta"]}]
  (recur (handled state)))
"""


class ImageFigures(NamedTuple):
    """An image's size, and the median time to write and to read one."""

    size: int
    write_us: float
    read_us: float


def capture_us(core: Code, depth: int) -> float:
    """Return the time of one capture and resume at a depth, without the way down and back."""
    return _round_us(core, CAPTURE.replace("{depth}", str(depth)), CAPTURES)


def control_us(core: Code) -> dict[str, float]:
    """Return the time of one round of each program of CONTROL."""
    return {name: _round_us(core, text, SWITCHES) for name, text in CONTROL.items()}


def _round_us(core: Code, text: str, most: int) -> float:
    times = []
    for rounds in (0, most):
        code = Code(compile_source(text.format(rounds=rounds), "rounds.clj").segment, core)
        runs = []
        for _ in range(3):
            started = time.process_time()
            finished(code)
            runs.append(time.process_time() - started)
        times.append(min(runs))
    return (times[1] - times[0]) / most * 1e6


def image_figures(core: Code, frames: int, *, repeat: int = 300) -> ImageFigures:
    """Return what an image of an agent with so many frames costs."""
    code = Code(compile_source(WAITING.format(frames=frames), "waiting.clj").segment, core)
    machine = _waiting(code)
    image = machine.image()

    def write() -> object:
        return machine.image()

    def read() -> object:
        return Machine.restore(image, codes.__getitem__, memory_max=MEMORY_MAX)

    codes = {code.program_hash: code, core.program_hash: core}
    figures = []
    for work in (write, read):
        times = []
        for _ in range(repeat):
            started = time.perf_counter()
            work()
            times.append((time.perf_counter() - started) * 1e6)
        figures.append(statistics.median(times))
    return ImageFigures(len(image), *figures)


def parked_bytes(form: str) -> float:
    """Return the resident bytes per agent that waits, as `live` machines or `images`."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.continuations", form],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    return float(json.loads(done.stdout))


def _waiting(code: Code) -> Machine:
    machine = Machine(code, memory_max=1 << 20)
    if machine.run(FUEL) is not Status.EFFECT:
        raise AssertionError(machine.status)
    return machine


def _resident() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


def main() -> None:
    code = Code(compile_source(SERVICE, "service.clj").segment, core_code())
    images = sys.argv[1] == "images"
    warm = [_waiting(code).image() for _ in range(1_000)]
    before = _resident()
    agents: list[object] = []
    for _ in range(PARKED):
        machine = _waiting(code)
        agents.append(machine.image() if images else machine)
    print((_resident() - before) / PARKED)
    assert len(warm) + len(agents) == PARKED + 1_000


if __name__ == "__main__":
    main()
