# cython: language_level=3, boundscheck=False
# Writers that wait for a commit they share.
#
# Is:     a queue of requests, the passing on of the lead, and the waking of those whose request is done.
# Is not: the commit (`streams`).
# Fits:   a writer enters, leads or waits; whoever leads takes what waits, and says when it is done.
#
# To wake a hundred threads at once is dear: each needs the interpreter, finds another in it, and sleeps again. So who leads
# wakes a few; each of these, when it has come back and is about to sleep itself, wakes one more. Those that nobody has woken
# by the end of the next commit, or when no other follows, are woken then: nobody waits for long for a writer that has left.
#
# Nothing here lets another thread in between two of its steps but where it says `nogil`.

from cpython.exc cimport PyErr_CheckSignals

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
    AWAKE = 4  # done requests that are woken at first


cdef class Request:
    """A transaction that waits for its turn."""

    cdef readonly object stream, items, meta
    cdef readonly object report, error
    cdef readonly bint done
    cdef public bint leads  # the lead has been passed to it
    cdef bint woken
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
    cdef list asleep  # requests that are done and not woken yet, the next one last

    def __cinit__(self):
        self.waiting, self.asleep = [], []

    def enter(self, Request request):
        """Let a request wait; return whether its writer leads."""
        self.waiting.append(request)
        if self.led:
            return False
        self.led = True
        return True

    def wait(self, Request request):
        """Sleep until the request is done or leads. Raises what a signal raises."""
        cdef PyThread_type_lock other = self.next_asleep(), gate = request.gate
        cdef PyLockStatus status = PY_LOCK_FAILURE
        while status != PY_LOCK_ACQUIRED:
            with nogil:
                if other is not NULL:
                    PyThread_release_lock(other)
                    other = NULL
                status = PyThread_acquire_lock_timed(gate, -1, True)
            if status == PY_LOCK_INTR:
                PyErr_CheckSignals()
        request.woken = False

    cdef PyThread_type_lock next_asleep(self):
        """Return the gate of a request that is to be woken, NULL if there is none."""
        cdef Request request
        while self.asleep:
            request = self.asleep.pop()
            if not request.woken:
                request.woken = True
                return request.gate
        return NULL

    cdef void wake(self, Request request):
        if not request.woken:
            request.woken = True
            PyThread_release_lock(request.gate)

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
        self.wake_all()
        for request in reversed(group):
            if request.done and request is not mine:
                self.asleep.append(request)
        for _ in range(AWAKE):
            if self.asleep:
                self.wake(self.asleep.pop())

    cdef int wake_all(self) except -1:
        while self.asleep:
            self.wake(self.asleep.pop())
        return 0

    def pass_lead(self):
        """Pass the lead to the writer that has waited longest, if any waits."""
        cdef Request first
        self.led = len(self.waiting) > 0
        if self.led:
            first = self.waiting[0]
            first.leads = True
            self.wake(first)
        else:
            self.wake_all()
