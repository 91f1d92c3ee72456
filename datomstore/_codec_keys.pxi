# What it costs to put keys into a dictionary, known before they are put there.
#
# Python's hashes of numbers, UUIDs and vectors can be foreseen: who chooses keys of one hash, or such as lead each other on
# from place to place, has a dictionary take quadratic time. So the places are gone through here first, on numbers alone,
# as a dictionary of CPython does (Objects/dictobject.c: `find_empty_slot`, USABLE_FRACTION, GROWTH_RATE). A key of a hash
# that is there counts for more, as the keys themselves have to be compared.

cdef int KEYS_UNCOUNTED = _KEYS_UNCOUNTED, STEPS_OF_KEY = _STEPS_OF_KEY, STEPS_OF_ALIKE = _STEPS_OF_ALIKE


def check_keys(keys, /):
    _check_keys(keys)


cdef inline bint _is_keyed(object key):
    """Return whether nobody else can foresee the hash: Python's own secret is in it, or where the object is."""
    return type(key) is str or type(key) is Keyword or type(key) is Symbol or type(key) is bytes


cdef int _check_keys(list keys) except -1:
    """Raise ValueError if a dictionary of these keys, put in one after the other, would be slow."""
    cdef Py_ssize_t count = len(keys), i
    cdef int64_t* hashes
    if count <= KEYS_UNCOUNTED:
        return 0
    for key in keys:
        if not _is_keyed(key):
            break
    else:
        return 0
    hashes = <int64_t*> resized(NULL, count * sizeof(int64_t))
    try:
        for i in range(count):
            hashes[i] = hash(keys[i])
        return _check_hashes(hashes, count)
    finally:
        free(hashes)


cdef int _check_hashes(const int64_t* hashes, Py_ssize_t count) except -1:
    cdef uint32_t* places = NULL  # of the table: which key is there, counted from 1
    cdef int64_t steps_left = STEPS_OF_KEY * <int64_t> count
    cdef Py_ssize_t size = 8, i = 0, upto
    try:
        while i < count and steps_left >= 0:
            places = <uint32_t*> resized(places, size * sizeof(uint32_t))
            memset(places, 0, size * sizeof(uint32_t))
            upto = min(count, 2 * size // 3)
            i = 0  # a larger table has all put in anew
            while i < upto and steps_left >= 0:
                steps_left -= _steps(places, size - 1, hashes, i)
                i += 1
            size *= 2
    finally:
        free(places)
    if steps_left < 0:
        raise ValueError("keys of a map or members of a set that are made to collide")
    return 0


cdef inline int64_t _steps(uint32_t* places, size_t mask, const int64_t* hashes, Py_ssize_t i) noexcept:
    """Put a key where it belongs; return what that costs."""
    cdef size_t perturb = <size_t> hashes[i], place = perturb & mask
    cdef int64_t steps = 1
    while places[place]:
        steps += STEPS_OF_ALIKE if hashes[places[place] - 1] == hashes[i] else 1
        perturb >>= 5
        place = (place * 5 + perturb + 1) & mask
    places[place] = <uint32_t> (i + 1)
    return steps


def map_of(pairs, /):
    cdef dict entries = {}
    cdef list keys = [hash_key(pair[0]) for pair in pairs]
    _check_keys(keys)
    for key, pair in zip(keys, pairs):
        entries[key] = pair
    return Map.of_entries(entries)


def set_of(members, /):
    return _set_of(members, True)


cdef object _set_of(list members, bint checked):
    cdef dict by_key = {}
    cdef list keys = [hash_key(member) for member in members]
    if checked:
        _check_keys(keys)
    for key, member in zip(keys, members):
        by_key[key] = member
    return Set.of_keys(by_key)
