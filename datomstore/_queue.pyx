# cython: language_level=3, boundscheck=False
# Transactions that wait for a commit they share.
#
# Is:     a queue of transactions, the waking of threads that wait for theirs, and the calling of those who do not wait.
# Is not: the commit (`datomstore.writers`).
# Fits:   writers enter, and wait or go on; whoever commits takes what waits, and says when it is done.
#
# To wake a hundred threads at once is dear: each needs the interpreter, finds another in it, and sleeps again. So who
# commits wakes a few; each of these, when it has come back and is about to sleep itself, wakes one more. Those that nobody
# has woken some commits later, or when no other commit follows, are woken then: nobody waits for long for one that has left.
#
# Nothing here lets another thread in between two of its steps but where it says `nogil`, or calls what was given to it.

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetObject, PyErr_WriteUnraisable

import threading
from collections import deque

cdef extern from "pythread.h" nogil:
    ctypedef void* PyThread_type_lock
    ctypedef enum PyLockStatus:
        PY_LOCK_FAILURE
        PY_LOCK_ACQUIRED
        PY_LOCK_INTR
    PyThread_type_lock PyThread_allocate_lock()
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock lock, long long microseconds, int interruptible)
    void PyThread_release_lock(PyThread_type_lock lock)
    void PyThread_free_lock(PyThread_type_lock lock)

cdef enum:
    AWAKE = 3  # done threads that are woken at first
    PATIENCE = 8  # commits after which one is woken in any case


def call_out(callback, argument):
    """Call what must not be in the way: its error goes to `sys.unraisablehook`."""
    try:
        callback(argument)
    except BaseException as error:
        PyErr_SetObject(type(error), error)
        PyErr_WriteUnraisable(callback)


cdef class Commit:
    """A transaction on its way to the log. Its methods are those of `concurrent.futures.Future`."""

    cdef readonly object stream, items, meta
    cdef readonly object report, error
    cdef readonly bint over  # it has its report or its error
    cdef list callbacks  # None when they have been called
    cdef bint asleep, woken
    cdef long long number  # of the commit that it was in
    cdef PyThread_type_lock gate  # of the one thread that sleeps; held until there is something to wake up for

    def __cinit__(self, stream, items, meta, *, bint sleeps=False):
        self.stream, self.items, self.meta = stream, items, meta
        self.callbacks = []
        if sleeps:
            self.gate = PyThread_allocate_lock()
            if self.gate is NULL:
                raise MemoryError
            PyThread_acquire_lock_timed(self.gate, -1, False)

    def __dealloc__(self):
        if self.gate is not NULL:
            PyThread_free_lock(self.gate)

    def finish(self, report):
        self.report, self.over = report, True

    def fail(self, error):
        self.error, self.over = error, True

    def done(self):
        """Return whether it has been committed or refused."""
        return self.over

    def result(self, timeout=None):
        """Return its report when it is on disk. Raises TimeoutError, and what `transact` raises."""
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self.report

    def exception(self, timeout=None):
        """Return why it was not committed, None if it was. Raises TimeoutError."""
        if not self.over:
            told = threading.Event()
            self.add_done_callback(lambda _: told.set())
            if not told.wait(timeout):
                raise TimeoutError("the transaction is not on disk yet")
        return self.error

    def add_done_callback(self, callback):
        """Call `callback` with this when it is over: in the thread that commits, or at once if it is already."""
        if self.callbacks is None:
            callback(self)
        else:
            self.callbacks.append(callback)

    cdef int tell(self) except -1:
        """Call those that wanted to be called; an error of one is not the others'."""
        callbacks, self.callbacks = self.callbacks, None
        for callback in callbacks:
            call_out(callback, self)
        return 0


cdef class Queue:
    """The transactions of all writers."""

    cdef readonly bint led  # some thread commits, or has been called to
    cdef list waiting
    cdef object asleep  # threads whose transactions are done and that are not woken yet
    cdef long long number  # of commits

    def __cinit__(self):
        self.waiting, self.asleep, self.number = [], deque(), 0

    @property
    def count(self):
        """Return how many wait."""
        return len(self.waiting)

    def streams(self):
        """Return the streams of what waits."""
        return {(<Commit> commit).stream for commit in self.waiting}

    def enter(self, Commit commit):
        """Let a transaction wait; return whether a thread has to be called to commit it."""
        self.waiting.append(commit)
        if self.led:
            return False
        self.led = True
        return True

    def rest(self):
        """Note that nobody commits if nothing waits; return whether that is so."""
        self.led = len(self.waiting) > 0
        return not self.led

    def wait(self, Commit commit):
        """Sleep until a transaction is over. Raises what a signal raises."""
        cdef Commit other = self.next_asleep()  # kept until its gate has been opened
        cdef PyThread_type_lock other_gate = NULL if other is None else other.gate, gate = commit.gate
        cdef PyLockStatus status = PY_LOCK_FAILURE
        if commit.over:
            status = PY_LOCK_ACQUIRED
            if other_gate is not NULL:
                PyThread_release_lock(other_gate)
        commit.asleep = True
        try:
            while status != PY_LOCK_ACQUIRED:
                with nogil:
                    if other_gate is not NULL:
                        PyThread_release_lock(other_gate)
                        other_gate = NULL
                    status = PyThread_acquire_lock_timed(gate, -1, True)
                if status == PY_LOCK_INTR:
                    PyErr_CheckSignals()
        finally:
            commit.asleep = False

    cdef Commit next_asleep(self):
        """Return a transaction whose thread is to be woken, None if there is none."""
        cdef Commit commit
        while self.asleep:
            commit = self.asleep.popleft()
            if commit.asleep and not commit.woken:  # others see for themselves that they are done
                commit.woken = True
                return commit
        return None

    cdef bint wake_next(self) except -1:
        """Wake a thread; return whether there was one."""
        cdef Commit commit = self.next_asleep()
        if commit is None:
            return False
        PyThread_release_lock(commit.gate)
        return True

    def take(self, Py_ssize_t most):
        """Return what waits, the oldest first."""
        group = self.waiting[:most]
        del self.waiting[:most]
        return group

    def leave(self, Commit commit):
        """Let a transaction wait no longer."""
        if commit in self.waiting:
            self.waiting.remove(commit)

    def done(self, list group):
        """Tell the writers of a group that is over: those that sleep a little later, a few at a time."""
        cdef Commit commit
        cdef int awake = 0
        self.number += 1
        for commit in group:
            commit.tell()
            if commit.gate is not NULL:
                commit.number = self.number
                self.asleep.append(commit)
        while awake < AWAKE and self.wake_next():
            awake += 1
        while self.asleep and (<Commit> self.asleep[0]).number + PATIENCE <= self.number:
            self.wake_next()
        if not self.waiting:
            while self.wake_next():
                pass
