# cython: language_level=3, boundscheck=False
# Writers that wait for a commit they share.
#
# Is:     a queue of requests, the passing on of the lead, and the waking of those whose request is done.
# Is not: the commit (`streams`).
# Fits:   a writer enters, leads or waits; whoever leads takes what waits, and says when it is done.
#
# To wake a hundred threads at once is dear: each needs the interpreter, finds another in it, and sleeps again. So who leads
# wakes a few; each of these, when it has come back and is about to sleep itself, wakes one more. Those that nobody has woken
# some commits later, or when no other commit follows, are woken then: nobody waits for long for a writer that has left.
#
# Nothing here lets another thread in between two of its steps but where it says `nogil`.

from cpython.exc cimport PyErr_CheckSignals

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
    AWAKE = 3  # done requests that are woken at first
    PATIENCE = 8  # commits after which one is woken in any case


cdef class Request:
    """A transaction that waits for its turn."""

    cdef readonly object stream, items, meta
    cdef readonly object report, error
    cdef readonly bint done
    cdef public bint leads  # the lead has been passed to it
    cdef bint sleeps, woken
    cdef long long number  # of the commit that it was in
    cdef PyThread_type_lock gate  # held until there is something to wake up for

    def __cinit__(self, stream, items, meta):
        self.stream, self.items, self.meta = stream, items, meta
        self.gate = PyThread_allocate_lock()
        if self.gate is NULL:
            raise MemoryError
        PyThread_acquire_lock_timed(self.gate, -1, False)

    def __dealloc__(self):
        if self.gate is not NULL:
            PyThread_free_lock(self.gate)

    def finish(self, report):
        self.report, self.done = report, True

    def fail(self, error):
        self.error, self.done = error, True


cdef class Queue:
    """The requests of all writers."""

    cdef readonly bint led  # some thread commits, or is about to
    cdef list waiting
    cdef object asleep  # requests that are done and not woken yet
    cdef long long number  # of commits

    def __cinit__(self):
        self.waiting, self.asleep, self.number = [], deque(), 0

    def enter(self, Request request):
        """Let a request wait; return whether its writer leads."""
        self.waiting.append(request)
        if self.led:
            return False
        self.led = True
        return True

    def wait(self, Request request):
        """Sleep until the request is done or leads. Raises what a signal raises."""
        cdef Request other = self.next_asleep()  # kept until its gate has been opened
        cdef PyThread_type_lock other_gate = NULL if other is None else other.gate, gate = request.gate
        cdef PyLockStatus status = PY_LOCK_FAILURE
        request.sleeps = True
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
            request.sleeps = request.woken = False

    cdef Request next_asleep(self):
        """Return a request that is to be woken, None if there is none."""
        cdef Request request
        while self.asleep:
            request = self.asleep.popleft()
            if request.sleeps and not request.woken:  # others see for themselves that they are done
                request.woken = True
                return request
        return None

    cdef void wake(self, Request request):
        if not request.woken:
            request.woken = True
            PyThread_release_lock(request.gate)

    cdef bint wake_next(self) except -1:
        """Wake a request; return whether there was one."""
        cdef Request request = self.next_asleep()
        if request is None:
            return False
        PyThread_release_lock(request.gate)
        return True

    def take(self, Py_ssize_t most):
        """Return what waits, the oldest first."""
        group = self.waiting[:most]
        del self.waiting[:most]
        return group

    def give_back(self, list requests):
        """Let requests wait again, before all others."""
        self.waiting[:0] = requests

    def leave(self, Request request):
        """Let a request wait no longer."""
        if request in self.waiting:
            self.waiting.remove(request)

    def done(self, list group, Request mine):
        """Wake the writers of a group that is done, some of them a little later."""
        cdef Request request
        self.number += 1
        for request in group:
            if request.done and request is not mine:
                request.number = self.number
                self.asleep.append(request)
        cdef int awake = 0
        while awake < AWAKE and self.wake_next():
            awake += 1
        while self.asleep and (<Request> self.asleep[0]).number + PATIENCE <= self.number:
            self.wake_next()

    def pass_lead(self):
        """Pass the lead to the writer that has waited longest, if any waits."""
        cdef Request first
        self.led = len(self.waiting) > 0
        if self.led:
            first = self.waiting[0]
            first.leads = True
            self.wake(first)
        else:
            while self.wake_next():
                pass
