/* A disk that loses what was not flushed, and a power cut at any moment that is worth one.
 *
 * Is:     a library for LD_PRELOAD. Of every file that a storage consists of (data.mdb, its log, and what becomes one of
 *         them) it keeps a second one beside it, NAME.left, which has only what was flushed: what would be left if the
 *         power went now. A name that was given, changed or taken away counts when the folder was flushed.
 * Is not: a model of disks that flush some of what was not asked for, or lose sectors by halves: `disks.py`.
 * Fits:   tests/support/daemons.py runs daemons with it, kills them, and puts NAME.left in place of NAME.
 *
 * LMDB writes pages with pwrite or writev, and flushes them with fdatasync when a checkpoint is made; its log goes through
 * descriptors that were opened with O_DSYNC, whose writes are flushed one by one. A flush takes 2 ms, so that what others do
 * meanwhile, and should not, is done before it.
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

enum { FILES_MAX = 4096, RANGES_MAX = 1 << 18, RENAMES_MAX = 64, PATH_SIZE = 4096, FLUSH_US = 2000 };

typedef struct { ino_t file; off_t start; size_t size; } Range;
typedef struct { ino_t folder; char from[PATH_SIZE], to[PATH_SIZE]; } Rename; /* to nothing: removed */

static struct { int left; int flushes; ino_t inode; } files[FILES_MAX]; /* by descriptor; left - 1 */
static Range ranges[RANGES_MAX]; /* written and not flushed */
static int range_count;
static Rename renames[RENAMES_MAX]; /* of what is left, when the folder is flushed */
static int rename_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long countdown = -1;
static const char *const stored[] = {"data.mdb", "redo.0", "redo.1", "redo.new", "purged.mdb", NULL};

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

static int is_stored(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    for (int i = 0; stored[i] != NULL; i++)
        if (strcmp(name, stored[i]) == 0) return 1;
    return 0;
}

static ino_t folder_of(const char *path) {
    char folder[PATH_SIZE];
    struct stat found;
    char *slash;
    snprintf(folder, sizeof folder, "%s", path);
    slash = strrchr(folder, '/');
    if (slash == NULL) strcpy(folder, "."); else *slash = 0;
    return stat(folder, &found) == 0 ? found.st_ino : 0;
}

/* Have what is left of one file be that of another, or of none, when the folder is flushed. */
static void rename_later(const char *folder, const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    if (rename_count == RENAMES_MAX) abort();
    Rename *made = &renames[rename_count++];
    made->folder = folder_of(folder);
    snprintf(made->from, PATH_SIZE, "%s", from);
    snprintf(made->to, PATH_SIZE, "%s", to);
    pthread_mutex_unlock(&lock);
}

static int is_pending(const char *from) {
    for (int i = 0; i < rename_count; i++)
        if (strcmp(renames[i].from, from) == 0) return 1;
    return 0;
}

static void watch(int file, const char *path, int flags) {
    char left[PATH_SIZE], unnamed[PATH_SIZE];
    struct stat found;
    int known, fresh;
    if (file < 0 || file >= FILES_MAX || (flags & O_ACCMODE) == O_RDONLY || !is_stored(path)) return;
    if (fstat(file, &found) != 0) abort();
    snprintf(left, sizeof left, "%s.left", path);
    snprintf(unnamed, sizeof unnamed, "%s.unnamed", path);
    fresh = access(left, F_OK) != 0 && !is_pending(unnamed) && found.st_size > 0; /* but older than this library */
    known = fresh || access(left, F_OK) == 0;
    if (!known && !is_pending(unnamed)) rename_later(path, unnamed, left);
    files[file].left = open(known ? left : unnamed, O_RDWR | O_CREAT | O_CLOEXEC | (flags & O_TRUNC), 0600) + 1;
    if (fresh) copy(file, files[file].left - 1, 0, (size_t)found.st_size);
    files[file].flushes = (flags & O_DSYNC) != 0;
    files[file].inode = found.st_ino;
}

static void note(int file, off_t start, ssize_t size) {
    if (!watched(file) || size <= 0) return;
    pthread_mutex_lock(&lock);
    if (range_count == RANGES_MAX) abort();
    ranges[range_count++] = (Range){files[file].inode, start, (size_t)size};
    pthread_mutex_unlock(&lock);
}

static void flush(int file) {
    int kept = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < range_count; i++)
        if (ranges[i].file == files[file].inode)
            copy(file, files[file].left - 1, ranges[i].start, ranges[i].size);
        else
            ranges[kept++] = ranges[i];
    range_count = kept;
    pthread_mutex_unlock(&lock);
}

static int real_rename(const char *from, const char *to) {
    REAL(rename);
    return real(from, to);
}

static int real_unlink(const char *path) {
    REAL(unlink);
    return real(path);
}

static void flush_names(ino_t folder) {
    int kept = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < rename_count; i++)
        if (renames[i].folder != folder)
            renames[kept++] = renames[i];
        else if (renames[i].to[0] == 0)
            real_unlink(renames[i].from);
        else
            real_rename(renames[i].from, renames[i].to);
    rename_count = kept;
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
        usleep(FLUSH_US); \
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

static int is_socket(int file) {
    struct stat found;
    return fstat(file, &found) == 0 && S_ISSOCK(found.st_mode);
}

ssize_t write(int file, const void *data, size_t size) {
    REAL(write);
    int message = is_socket(file);
    off_t start = watched(file) ? lseek(file, 0, SEEK_CUR) : 0;
    if (message) moment("before a message");
    ssize_t written = real(file, data, size);
    if (message) moment("after a message");
    note(file, start, written);
    return written;
}

static ino_t stored_folder(int file) { /* of a descriptor that is a folder of which some name has changed */
    struct stat found;
    if (fstat(file, &found) != 0 || !S_ISDIR(found.st_mode)) return 0;
    for (int i = 0; i < rename_count; i++)
        if (renames[i].folder == found.st_ino) return found.st_ino;
    return 0;
}

#define FLUSH(name) \
    int name(int file) { \
        REAL(name); \
        ino_t folder = stored_folder(file); \
        if (!watched(file) && folder == 0) return real(file); \
        moment("before a flush"); \
        usleep(FLUSH_US); \
        if (folder != 0) flush_names(folder); else flush(file); \
        moment("after a flush"); \
        return 0; \
    }
FLUSH(fdatasync)
FLUSH(fsync)

int rename(const char *from, const char *to) {
    char left_from[PATH_SIZE], left_to[PATH_SIZE];
    if (is_stored(from) && is_stored(to)) {
        snprintf(left_from, sizeof left_from, "%s.left", from);
        snprintf(left_to, sizeof left_to, "%s.left", to);
        rename_later(to, left_from, left_to);
    }
    return real_rename(from, to);
}

int unlink(const char *path) {
    char left[PATH_SIZE];
    if (is_stored(path) && access(path, F_OK) == 0) {
        snprintf(left, sizeof left, "%s.left", path);
        rename_later(path, left, "");
    }
    return real_unlink(path);
}

/* A message is sent by this, or by write. */
ssize_t send(int socket, const void *data, size_t size, int flags) {
    REAL(send);
    moment("before a message");
    ssize_t sent = real(socket, data, size, flags);
    moment("after a message");
    return sent;
}
