#include "cli/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/mem.h"

#define DEPTH 128 /* folders within folders */

static int walk_dir(struct walk *w, int dir, const char *path, const char *source, int depth,
                    struct err *e);

static int skip(struct walk *w, const char *source, const char *why)
{
    w->skips++;
    if (w->skipped != NULL) {
        w->skipped(w->ctx, source, why);
    }
    return 0;
}

static const char *what_it_is(mode_t mode)
{
    return S_ISLNK(mode)                    ? "a symbolic link"
           : S_ISFIFO(mode)                 ? "a FIFO"
           : S_ISSOCK(mode)                 ? "a socket"
           : S_ISCHR(mode) || S_ISBLK(mode) ? "a device"
                                            : "no regular file";
}

/* A name in an open folder, and what it is called. */
struct place {
    int dir;
    const char *name;          /* in it */
    const char *path, *source; /* as in struct walk_file */
};

static int one_file(struct walk *w, const struct place *at, struct err *e)
{
    struct stat st;
    w->files++;
    if (w->file == NULL) {
        return 0;
    }
    CLEANUP(fd_close)
    int fd = openat(at->dir, at->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        w->files--;
        return skip(w, at->source, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) { /* exchanged since it was looked at */
        w->files--;
        return skip(w, at->source, what_it_is(st.st_mode));
    }
    struct walk_file f = {fd, at->path, at->source, (uint64_t)st.st_size};
    return w->file(w->ctx, &f, e);
}

static int entry(struct walk *w, const struct place *at, int depth, struct err *e)
{
    struct stat st;
    if (fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return skip(w, at->source, strerror(errno));
    }
    if (S_ISREG(st.st_mode)) {
        return one_file(w, at, e);
    }
    if (!S_ISDIR(st.st_mode)) {
        return skip(w, at->source, what_it_is(st.st_mode));
    }
    if (depth >= DEPTH || strlen(at->source) > LIMIT_PATH) {
        return skip(w, at->source, "too deep");
    }
    CLEANUP(fd_close)
    int fd = openat(at->dir, at->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? skip(w, at->source, strerror(errno))
                  : walk_dir(w, fd, at->path, at->source, depth + 1, e);
}

/* Names of a folder; one that is a folder carries a '/' at its end, so that their order is that of
 * the whole paths. */
struct names {
    char **name;
    size_t n, cap;
};

static void names_clear(struct names *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->name[i]);
    }
    free(l->name);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_folder(int dir, const struct dirent *d)
{
    struct stat st;
    if (d->d_type != DT_UNKNOWN) {
        return d->d_type == DT_DIR;
    }
    return fstatat(dir, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int read_names(int dir, struct names *out)
{
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = again < 0 ? NULL : fdopendir(again);
    if (d == NULL) {
        fd_close(&again);
        return -1;
    }
    errno = 0;
    for (struct dirent *x = readdir(d); x != NULL; x = readdir(d)) {
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0) {
            continue;
        }
        if (out->n == out->cap) {
            out->cap = out->cap * 2 + 64;
            out->name = mem_resize(out->name, out->cap, sizeof *out->name);
        }
        out->name[out->n++] = mem_printf("%s%s", x->d_name, is_folder(dir, x) ? "/" : "");
    }
    int failed = errno;
    closedir(d);
    errno = failed;
    if (out->n > 0) {
        qsort(out->name, out->n, sizeof *out->name, by_bytes);
    }
    return failed == 0 ? 0 : -1;
}

static int walk_dir(struct walk *w, int dir, const char *path, const char *source, int depth,
                    struct err *e)
{
    CLEANUP(names_clear) struct names l = {0};
    int r = read_names(dir, &l) < 0 ? skip(w, source, strerror(errno)) : 0;
    for (size_t i = 0; i < l.n && r == 0; i++) {
        size_t len = strlen(l.name[i]);
        l.name[i][len - 1] = l.name[i][len - 1] == '/' ? 0 : l.name[i][len - 1];
        const char *name = l.name[i];
        CLEANUP(mem_free) char *below = mem_printf("%s%s%s", path, path[0] != 0 ? "/" : "", name);
        bool slash = source[0] != 0 && source[strlen(source) - 1] == '/';
        CLEANUP(mem_free) char *full = mem_printf("%s%s%s", source, slash ? "" : "/", name);
        struct place at = {dir, name, below, full};
        r = entry(w, &at, depth, e);
    }
    return r;
}

static int named(struct walk *w, const char *path, struct err *e)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? skip(w, path, strerror(errno)) : walk_dir(w, fd, "", path, 0, e);
    }
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL && slash[1] != 0 ? slash + 1 : path;
    struct place at = {AT_FDCWD, path, base, path};
    return entry(w, &at, 0, e);
}

int walk_paths(struct walk *w, char *const *paths, size_t n, struct err *e)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = named(w, paths[i], e);
    }
    return r;
}

uint64_t walk_count(char *const *paths, size_t n)
{
    struct walk w = {0};
    struct err e;
    return walk_paths(&w, paths, n, &e) == 0 ? w.files : 0;
}
