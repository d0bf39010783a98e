/* Loaded before the C library: makes the Nth write below a directory fail, once or from then on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long seen;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

/* Whether this call is one that has to fail; leaves a file behind that says so. */
static int fails(int fd) {
    const char *under = getenv("FAIL_UNDER");
    char link[64], path[PATH_MAX];
    if (!under) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || strncmp(path, under, strlen(under)) != 0) return 0;
    long at = number("FAIL_AT"), now = atomic_fetch_add(&seen, 1) + 1;
    if (now < at || (now > at && number("FAIL_ONCE"))) return 0;
    int mark = open(getenv("FAIL_MARK"), O_CREAT | O_WRONLY, 0600);
    if (mark >= 0) close(mark);
    errno = (int)number("FAIL_ERRNO");
    return 1;
}

#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

ssize_t write(int fd, const void *from, size_t bytes) {
    if (fails(fd)) return -1;
    return NEXT(ssize_t (*)(int, const void *, size_t), "write")(fd, from, bytes);
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at) {
    if (fails(fd)) return -1;
    return NEXT(ssize_t (*)(int, const void *, size_t, off_t), "pwrite")(fd, from, bytes, at);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) {
    if (fails(fd)) return -1;
    return NEXT(ssize_t (*)(int, const void *, size_t, off64_t), "pwrite64")(fd, from, bytes, at);
}

int fsync(int fd) {
    return fails(fd) ? -1 : NEXT(int (*)(int), "fsync")(fd);
}

int fdatasync(int fd) {
    return fails(fd) ? -1 : NEXT(int (*)(int), "fdatasync")(fd);
}

int ftruncate(int fd, off_t bytes) {
    return fails(fd) ? -1 : NEXT(int (*)(int, off_t), "ftruncate")(fd, bytes);
}

int ftruncate64(int fd, off64_t bytes) {
    return fails(fd) ? -1 : NEXT(int (*)(int, off64_t), "ftruncate64")(fd, bytes);
}
