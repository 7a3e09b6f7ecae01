/* Faults on demand: counts the calls by which a process changes files below a folder, and makes one of them fail.
 *
 * Loaded before libc (LD_PRELOAD), so that the calls of Python, Arrow and safetensors all pass here. Nothing happens
 * until faults_arm is called. Each counted call is written to a log, for a model of what a loss of power leaves.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { COUNT, EIO_ONCE, ENOSPC_ONCE, ENOSPC_FROM_THERE, EXIT_BEFORE, EXIT_WITHIN };
enum { EXIT_CODE = 42, LINE = 2 * PATH_MAX + 64 };

static char root[PATH_MAX];
static size_t root_length;
static long chosen, counted;
static int mode = COUNT, log_file = -1;

void faults_arm(const char *folder, long call, int how, const char *log_path) {
    strncpy(root, folder, PATH_MAX - 1);
    chosen = call;
    counted = 0;
    mode = how;
    if (log_path[0]) log_file = syscall(SYS_openat, AT_FDCWD, log_path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    root_length = strlen(root);
}

void faults_disarm(void) { root_length = 0; }

long faults_count(void) { return counted; }

/* Sockets of the network that were asked for since the process began. */
static long sockets;

long faults_sockets(void) { return sockets; }

static int is_below(const char *path) {
    return root_length && strncmp(path, root, root_length) == 0 &&
           (path[root_length] == '/' || path[root_length] == 0);
}

static void path_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
}

static void path_at(int folder, const char *name, char *path) {
    if (name[0] == '/') {
        strncpy(path, name, PATH_MAX - 1);
        return;
    }
    if (folder == AT_FDCWD) {
        if (!getcwd(path, PATH_MAX)) path[0] = 0;
    } else {
        path_of(folder, path);
    }
    size_t length = strlen(path);
    snprintf(path + length, PATH_MAX - length, "/%s", name);
}

/* 0: let it through. -1: it fails, errno is set. 1: half of it is done, then the process ends. */
static int fault(const char *call, const char *path, const char *other) {
    if (!is_below(path) && !(other[0] && is_below(other))) return 0;
    long place = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    if (mode == EXIT_BEFORE && place == chosen) _exit(EXIT_CODE);
    if (mode == EXIT_WITHIN && place == chosen) return 1;
    if (place == chosen && (mode == EIO_ONCE || mode == ENOSPC_ONCE)) {
        errno = mode == EIO_ONCE ? EIO : ENOSPC;
        return -1;
    }
    /* On a disk that is full, names can still be taken away and files flushed. */
    int needs_space = strcmp(call, "write") == 0 || strcmp(call, "create") == 0 || strcmp(call, "mkdir") == 0;
    if (mode == ENOSPC_FROM_THERE && place >= chosen && needs_space) {
        errno = ENOSPC;
        return -1;
    }
    if (log_file >= 0) {
        char line[LINE];
        int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", call, path, other);
        syscall(SYS_write, log_file, line, (size_t)length);
    }
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
/* A call that is whole or not at all: the process may also end just behind it. */
#define WHOLE(call, path, other, real)                \
    int verdict = fault(call, path, other);           \
    if (verdict < 0) return -1;                       \
    __typeof__(real) result = real;                   \
    if (verdict) _exit(EXIT_CODE);                    \
    return result

#define CHANGES(flags) ((flags) & (O_CREAT | O_TRUNC))
#define OPEN(name, folder, parameters, arguments)                                    \
    int name parameters {                                                            \
        mode_t bits = 0;                                                             \
        if (flags & (O_CREAT | O_TMPFILE)) {                                         \
            va_list rest;                                                            \
            va_start(rest, flags);                                                   \
            bits = va_arg(rest, mode_t);                                             \
            va_end(rest);                                                            \
        }                                                                            \
        if (!root_length || !CHANGES(flags)) return REAL(name) arguments;            \
        char full[PATH_MAX] = "";                                                    \
        path_at(folder, path, full);                                                 \
        WHOLE("create", full, "", REAL(name) arguments);                             \
    }

OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, bits))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, bits))
OPEN(openat, folder, (int folder, const char *path, int flags, ...), (folder, path, flags, bits))
OPEN(openat64, folder, (int folder, const char *path, int flags, ...), (folder, path, flags, bits))

#define WRITE(name, parameters, half, arguments)                      \
    ssize_t name parameters {                                         \
        if (!root_length) return REAL(name) arguments;                \
        char path[PATH_MAX] = "";                                     \
        path_of(file, path);                                          \
        int verdict = fault("write", path, "");                       \
        if (verdict < 0) return -1;                                   \
        if (verdict) {                                                \
            if (half > 0) syscall(SYS_write, file, bytes, half);      \
            _exit(EXIT_CODE);                                         \
        }                                                             \
        return REAL(name) arguments;                                  \
    }

WRITE(write, (int file, const void *bytes, size_t n), n / 2, (file, bytes, n))
WRITE(pwrite, (int file, const void *bytes, size_t n, off_t at), n / 2, (file, bytes, n, at))
WRITE(pwrite64, (int file, const void *bytes, size_t n, off64_t at), n / 2, (file, bytes, n, at))
WRITE(writev, (int file, const struct iovec *bytes, int n), 0, (file, bytes, n))

#define FILE_CALL(name, call, parameters, arguments)      \
    int name parameters {                                 \
        if (!root_length) return REAL(name) arguments;    \
        char path[PATH_MAX] = "";                         \
        path_of(file, path);                              \
        WHOLE(call, path, "", REAL(name) arguments);      \
    }

FILE_CALL(fsync, "fsync", (int file), (file))
FILE_CALL(fdatasync, "fsync", (int file), (file))
FILE_CALL(ftruncate, "write", (int file, off_t size), (file, size))
FILE_CALL(ftruncate64, "write", (int file, off64_t size), (file, size))

#define PATH_CALL(name, call, folder, parameters, arguments)    \
    int name parameters {                                       \
        if (!root_length) return REAL(name) arguments;          \
        char full[PATH_MAX] = "";                               \
        path_at(folder, path, full);                            \
        WHOLE(call, full, "", REAL(name) arguments);            \
    }

PATH_CALL(mkdir, "mkdir", AT_FDCWD, (const char *path, mode_t bits), (path, bits))
PATH_CALL(mkdirat, "mkdir", folder, (int folder, const char *path, mode_t bits), (folder, path, bits))
PATH_CALL(rmdir, "remove", AT_FDCWD, (const char *path), (path))
PATH_CALL(unlink, "remove", AT_FDCWD, (const char *path), (path))
PATH_CALL(unlinkat, "remove", folder, (int folder, const char *path, int flags), (folder, path, flags))

#define RENAME(name, from_folder, to_folder, parameters, arguments)    \
    int name parameters {                                              \
        if (!root_length) return REAL(name) arguments;                 \
        char from[PATH_MAX] = "", to[PATH_MAX] = "";                   \
        path_at(from_folder, path, from);                              \
        path_at(to_folder, target, to);                                \
        WHOLE("rename", from, to, REAL(name) arguments);               \
    }

RENAME(rename, AT_FDCWD, AT_FDCWD, (const char *path, const char *target), (path, target))
RENAME(renameat, a, b, (int a, const char *path, int b, const char *target), (a, path, b, target))
RENAME(renameat2, a, b, (int a, const char *path, int b, const char *target, unsigned flags),
       (a, path, b, target, flags))

int socket(int domain, int type, int protocol) {
    if (domain == AF_INET || domain == AF_INET6) __atomic_add_fetch(&sockets, 1, __ATOMIC_SEQ_CST);
    return REAL(socket)(domain, type, protocol);
}
