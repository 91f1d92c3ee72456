# What a transaction did; its databases and datoms are made for those who ask.

cdef class TxReport:
    """What a transaction did; `db_after` is complete once it is committed."""

    cdef Writer writer
    cdef object before, after, facts  # None until somebody asks
    cdef object schema_before, schema_after
    cdef int64_t start, end
    cdef readonly int64_t t, tx
    cdef readonly dict tempids

    @staticmethod
    def of(Writer writer, Staged staged):
        """Return the report of a staged transaction."""
        cdef TxReport made = TxReport.__new__(TxReport)
        made.writer, made.t, made.tx, made.tempids = writer, staged.t, staged.tx, staged.tempids
        made.start, made.end = staged.start, staged.end
        made.schema_before, made.schema_after = staged.schema_before, staged.schema_after
        return made

    @property
    def db_before(self):
        """Return the database before it."""
        if self.before is None:
            self.before = self.writer.view(self.t - 1, self.start, self.schema_before)
        return self.before

    @property
    def db_after(self):
        """Return the database after it."""
        cdef Writer writer = self.writer
        if self.after is None:
            if writer.committed_t == self.t:
                self.after = writer.database()
            else:
                self.after = writer.view(self.t, self.end, self.schema_after)
        return self.after

    @property
    def schema(self):
        """Return the schema after it."""
        return self.db_after.schema if self.schema_after is None else self.schema_after

    @property
    def rewrites(self):
        """Return whether both databases are the one after it."""
        return self.after is not None and self.after is self.before

    @property
    def attributes(self):
        """Return the ids of the attributes of its datoms."""
        return self.writer.attributes_of(self.start, self.end)

    @property
    def datoms(self):
        """Return the datoms it added and retracted."""
        if self.facts is None:
            self.facts = DatomRows(self.writer.facts, self.start, self.end)
        return self.facts

    def with_(self, *, db_before=None, db_after=None, datoms=None):
        """Return a report of other databases or datoms."""
        cdef TxReport made = TxReport.__new__(TxReport)
        made.writer, made.t, made.tx, made.tempids = self.writer, self.t, self.tx, self.tempids
        made.before = self.db_before if db_before is None else db_before
        made.after = self.db_after if db_after is None else db_after
        made.facts = self.datoms if datoms is None else datoms
        return made

    def __repr__(self):
        return f"TxReport(t={self.t}, datoms={self.datoms!r}, tempids={self.tempids!r})"
