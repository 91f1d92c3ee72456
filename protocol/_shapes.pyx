# cython: language_level=3, boundscheck=False
# The fields of a message, checked in one walk: what `messages` declares.
#
# Is:     `Form`, what one field may be, and `Shape`, the forms of a message's fields.
# Is not: which messages there are, or their bytes (`messages`).
# Fits:   `messages` has a Shape for each type, and makes faults of what is wrong.

from msgspec.structs import astuple


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
        cdef tuple values = astuple(message)
        self.check(values)
        return values

    def message(self, tuple values, /):
        if len(values) < len(self.names):
            raise ValueError(f"{self.kind.__name__} has {len(self.names)} fields")
        self.check(values)
        return self.kind(*values[:len(self.names)])
