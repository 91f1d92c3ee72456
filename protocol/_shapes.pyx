# cython: language_level=3, boundscheck=False
# The fields of frozen classes: checked and carried over in one walk, or some of them replaced.
#
# Is:     `Form`, what one field may be, `Shape`, the forms of a message's fields, and `replace`.
# Is not: which messages there are, or their bytes (`messages`).
# Fits:   `messages` has a Shape for each type, and makes faults of what is wrong; `handoff` steps from value to value.

from itertools import repeat


cdef extern from "Python.h":
    int PyObject_GenericSetAttr(object made, object name, object value) except -1


cdef class Form:
    cdef object kind, least, most
    cdef Form item

    def __init__(self, kind, least=0, most=0, Form item=None):
        self.kind, self.least, self.most, self.item = kind, least, most, item

    cdef bint fits(self, object value) except -1:
        cdef object member
        if type(value) is not self.kind:
            return False
        if self.kind is bytes:
            return self.least <= len(<bytes> value) <= self.most
        if self.kind is int:
            return self.least <= value <= self.most
        if self.kind is str:
            return len((<str> value).encode("utf-8", "replace")) <= self.most
        if self.item is not None:
            if len(<tuple> value) > self.most:
                return False
            for member in <tuple> value:
                if not self.item.fits(member):
                    return False
        return True


cdef class Shape:
    cdef readonly object kind
    cdef readonly tuple names
    cdef tuple forms

    def __init__(self, kind, tuple names, *forms):
        assert len(names) == len(forms), kind
        self.kind, self.names, self.forms = kind, names, forms

    cdef int check(self, tuple values) except -1:
        cdef Py_ssize_t i
        for i in range(len(self.names)):
            if not (<Form?> self.forms[i]).fits(values[i]):
                raise ValueError(f"{self.kind.__name__}: the field {self.names[i]} is wrong")
        return 0

    def values(self, message, /):
        cdef tuple values = tuple(map(getattr, repeat(message), self.names))
        self.check(values)
        return values

    def message(self, tuple values, /):
        cdef Py_ssize_t i
        if len(values) < len(self.names):
            raise ValueError(f"{self.kind.__name__} has {len(self.names)} fields")
        self.check(values)
        made = self.kind.__new__(self.kind)
        for i in range(len(self.names)):
            PyObject_GenericSetAttr(made, self.names[i], values[i])  # frozen, but nobody has it yet
        return made


def replace(value, /, **changes):
    kind = type(value)
    made = kind.__new__(kind)
    for name in kind.__slots__:
        field = changes.pop(name) if name in changes else getattr(value, name)
        PyObject_GenericSetAttr(made, name, field)
    if changes:
        raise TypeError(f"{kind.__name__} has no field {next(iter(changes))}")
    return made
