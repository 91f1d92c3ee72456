/* A disk that loses what was not flushed, and a power cut at any moment that is worth one.
 *
 * Is:     a library for LD_PRELOAD. Of every file named data.mdb it keeps a second one beside it, data.mdb.left, which
 *         has only what was flushed: what would be left if the power went now.
 * Is not: a model of disks that flush some of what was not asked for, or lose sectors by halves.
 * Fits:   tests/support/daemons.py runs daemons with it, kills them, and puts data.mdb.left in place of data.mdb.
 *
 * LMDB writes pages with pwrite or writev and flushes them with fdatasync; its meta page goes through a descriptor that
 * was opened with O_DSYNC, whose writes are flushed one by one. Flushes are only noted, not done: tests are faster.
 *
 * YIN_POWER_CUT names a file. Once it exists it holds a number n: before and after every flush, and before and after
 * every write to a socket, n is counted down, and at zero the process is killed. What it was doing is written there.
 * Nothing is counted down any more once the file is gone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 4096, RANGES_MAX = 1 << 16 };

typedef struct { off_t start; size_t size; } Range;

static struct { int left; int flushes; dev_t device; ino_t inode; } files[FILES_MAX]; /* by descriptor; left - 1 */
static Range ranges[RANGES_MAX]; /* of the one file that a daemon has, written and not flushed */
static int range_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long countdown = -1;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static ssize_t real_pwrite(int file, const void *data, size_t size, off_t start) {
    REAL(pwrite);
    return real(file, data, size, start);
}

/* -- the power cut -- */

static void moment(const char *what) {
    const char *path = getenv("YIN_POWER_CUT");
    char text[64];
    int file, size;
    if (path == NULL) return;
    pthread_mutex_lock(&lock);
    if (access(path, F_OK) != 0) {
        countdown = -1;
    } else if (countdown < 0) {
        file = open(path, O_RDONLY);
        size = (int)read(file, text, sizeof text - 1);
        close(file);
        text[size < 0 ? 0 : size] = 0;
        countdown = atol(text);
    }
    if (countdown > 0 && --countdown == 0) {
        file = open(path, O_WRONLY | O_TRUNC);
        size = snprintf(text, sizeof text, "%s\n", what);
        if (write(file, text, (size_t)size) == size) fsync(file);
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    pthread_mutex_unlock(&lock);
}

/* -- what is left of a file -- */

static int watched(int file) { return file >= 0 && file < FILES_MAX && files[file].left > 0; }

static void copy(int from, int to, off_t start, size_t size) {
    static char page[1 << 16];
    while (size > 0) {
        ssize_t part = pread(from, page, size < sizeof page ? size : sizeof page, start);
        if (part <= 0) return;
        if (real_pwrite(to, page, (size_t)part, start) != part) abort();
        start += part;
        size -= (size_t)part;
    }
}

static void watch(int file, const char *path, int flags) {
    const char *name = strrchr(path, '/');
    char left[4096];
    struct stat found;
    int fresh;
    if (file < 0 || file >= FILES_MAX || (flags & O_ACCMODE) == O_RDONLY) return;
    if (strcmp(name == NULL ? path : name + 1, "data.mdb") != 0) return;
    snprintf(left, sizeof left, "%s.left", path);
    fresh = access(left, F_OK) != 0;
    files[file].left = open(left, O_RDWR | O_CREAT | O_CLOEXEC, 0600) + 1;
    files[file].flushes = (flags & O_DSYNC) != 0;
    if (fresh && fstat(file, &found) == 0) copy(file, files[file].left - 1, 0, (size_t)found.st_size);
}

static void note(int file, off_t start, ssize_t size) {
    if (!watched(file) || size <= 0) return;
    pthread_mutex_lock(&lock);
    if (range_count == RANGES_MAX) abort();
    ranges[range_count].start = start;
    ranges[range_count++].size = (size_t)size;
    pthread_mutex_unlock(&lock);
}

static void flush(int file) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < range_count; i++)
        copy(file, files[file].left - 1, ranges[i].start, ranges[i].size);
    range_count = 0;
    pthread_mutex_unlock(&lock);
}

/* -- what the daemon calls -- */

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        int file = real(path, flags, va_arg(more, mode_t)); \
        va_end(more); \
        watch(file, path, flags); \
        return file; \
    }
OPEN(open)
OPEN(open64)

int close(int file) {
    REAL(close);
    if (watched(file)) {
        real(files[file].left - 1);
        files[file].left = 0;
    }
    return real(file);
}

#define PWRITE(name, offset) \
    ssize_t name(int file, const void *data, size_t size, offset start) { \
        REAL(name); \
        if (!watched(file) || !files[file].flushes) { \
            ssize_t written = real(file, data, size, start); \
            note(file, (off_t)start, written); \
            return written; \
        } \
        moment("before a flush"); \
        ssize_t flushed = real(file, data, size, start); \
        if (real_pwrite(files[file].left - 1, data, size, (off_t)start) != flushed) abort(); \
        moment("after a flush"); \
        return flushed; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, offset) \
    ssize_t name(int file, const struct iovec *parts, int count, offset start) { \
        REAL(name); \
        ssize_t written = real(file, parts, count, start); \
        note(file, (off_t)start, written); \
        return written; \
    }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(writev);
    off_t start = watched(file) ? lseek(file, 0, SEEK_CUR) : 0;
    ssize_t written = real(file, parts, count);
    note(file, start, written);
    return written;
}

ssize_t write(int file, const void *data, size_t size) {
    REAL(write);
    off_t start = watched(file) ? lseek(file, 0, SEEK_CUR) : 0;
    ssize_t written = real(file, data, size);
    note(file, start, written);
    return written;
}

#define FLUSH(name) \
    int name(int file) { \
        REAL(name); \
        if (!watched(file)) return real(file); \
        moment("before a flush"); \
        flush(file); \
        moment("after a flush"); \
        return 0; \
    }
FLUSH(fdatasync)
FLUSH(fsync)

ssize_t send(int socket, const void *data, size_t size, int flags) {
    REAL(send);
    moment("before a message");
    ssize_t sent = real(socket, data, size, flags);
    moment("after a message");
    return sent;
}
