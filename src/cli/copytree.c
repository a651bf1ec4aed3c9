#include "cli/copytree.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"

#define PIECE ((size_t)1 << 20)

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int copy_bytes(int in, int out, const char *name, uint64_t *copied, struct err *e)
{
    for (;;) {
        ssize_t n = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0);
        if (n == 0) {
            return 0;
        }
        if (n > 0) {
            *copied += (uint64_t)n;
            continue;
        }
        if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
            return err_sys(e, "copy %s", name);
        }
        break; /* not between these two file systems */
    }
    CLEANUP(mem_free) uint8_t *piece = mem_zeroed(1, PIECE);
    ssize_t n;
    while ((n = fd_read(in, piece, PIECE)) > 0) {
        int r = fd_write(out, span_of(piece, (size_t)n), e);
        if (r < 0) {
            return err_wrap(e, r, "copy %s", name);
        }
        *copied += (uint64_t)n;
    }
    return n < 0 ? err_sys(e, "read %s", name) : 0;
}

static int copy_opened(struct copytree *t, int in, const struct stat *st, int to, const char *name,
                       struct err *e)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    (void)unlinkat(to, name, 0); /* its mode may forbid writing */
    CLEANUP(fd_close)
    int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0) {
        return err_sys(e, "make %s in the copy", name);
    }
    int r = copy_bytes(in, out, name, &t->bytes, e);
    if (r == 0 && (fchmod(out, st->st_mode & 07777) < 0 || futimens(out, times) < 0)) {
        r = err_sys(e, "finish %s in the copy", name);
    }
    t->files += r == 0;
    return r;
}

static int copy_one(struct copytree *t, int from, int to, const char *name, struct err *e)
{
    struct stat st, have;
    CLEANUP(fd_close) int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (in < 0 || fstat(in, &st) < 0) {
        return errno == ENOENT ? err_set(e, ERR_NOTFOUND, "there is no %s", name)
                               : err_sys(e, "open %s", name);
    }
    if (!S_ISREG(st.st_mode)) {
        return 0;
    }
    if (fstatat(to, name, &have, AT_SYMLINK_NOFOLLOW) == 0 && same(&st, &have)) {
        return 0;
    }
    if (t->link && linkat(from, name, to, name, 0) == 0) {
        t->files++;
        return 0;
    }
    return copy_opened(t, in, &st, to, name, e);
}

/* A link stays a link: rules/ may hold some. */
static int copy_link(struct copytree *t, int from, int to, const char *name, struct err *e)
{
    char where[PATH_MAX];
    ssize_t n = readlinkat(from, name, where, sizeof where - 1);
    if (n < 0) {
        return err_sys(e, "read the link %s", name);
    }
    where[n] = 0;
    (void)unlinkat(to, name, 0);
    if (symlinkat(where, to, name) < 0) {
        return err_sys(e, "make the link %s in the copy", name);
    }
    t->files++;
    return 0;
}

struct level {
    struct copytree *t;
    int from, to;
    struct err *e;
};

static int copy_level(struct copytree *t, int from, int to, struct err *e);

static int copy_entry(void *ctx, const char *name)
{
    struct level *l = ctx;
    struct stat st;
    if (fstatat(l->from, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || strstr(name, ".tmp") != NULL) {
        return 0;
    }
    if (S_ISDIR(st.st_mode)) {
        CLEANUP(fd_close) int from = -1;
        CLEANUP(fd_close) int to = -1;
        int r = file_mkdirs(l->to, name, st.st_mode & 07777, l->e);
        r = r < 0 ? r : file_open_dir(l->from, name, &from, l->e);
        r = r < 0 ? r : file_open_dir(l->to, name, &to, l->e);
        return r < 0 ? r : copy_level(l->t, from, to, l->e);
    }
    int r = S_ISLNK(st.st_mode) ? copy_link(l->t, l->from, l->to, name, l->e)
                                : copy_one(l->t, l->from, l->to, name, l->e);
    return r == ERR_NOTFOUND ? 0 : r;
}

static int copy_level(struct copytree *t, int from, int to, struct err *e)
{
    struct level l = {t, from, to, e};
    return file_each(from, ".", copy_entry, &l, e);
}

int copytree_folder(struct copytree *t, const char *name, struct err *e)
{
    CLEANUP(fd_close) int from = -1;
    CLEANUP(fd_close) int to = -1;
    struct stat st;
    if (fstatat(t->from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return errno == ENOENT ? 0 : err_sys(e, "look at %s", name);
    }
    int r = file_mkdirs(t->to, name, st.st_mode & 07777, e);
    r = r < 0 ? r : file_open_dir(t->from, name, &from, e);
    r = r < 0 ? r : file_open_dir(t->to, name, &to, e);
    if (r == 0 && t->first != NULL) {
        r = copy_one(t, from, to, t->first, e);
        r = r == ERR_NOTFOUND ? 0 : r;
    }
    r = r < 0 ? r : copy_level(t, from, to, e);
    return r < 0 ? err_wrap(e, r, "%s/", name) : 0;
}

int copytree_file(struct copytree *t, const char *name, struct err *e)
{
    return copy_one(t, t->from, t->to, name, e);
}

static int prune_entry(void *ctx, const char *name)
{
    struct level *l = ctx;
    if (!file_exists(l->from, name) && unlinkat(l->to, name, 0) < 0 && errno != ENOENT) {
        return err_sys(l->e, "remove %s from the copy", name);
    }
    return 0;
}

int copytree_prune(struct copytree *t, const char *name, struct err *e)
{
    struct level l = {t, -1, -1, e};
    int r = file_open_dir(t->from, name, &l.from, e);
    r = r < 0 ? r : file_open_dir(t->to, name, &l.to, e);
    r = r < 0 ? r : file_each(l.to, ".", prune_entry, &l, e);
    fd_close(&l.from);
    fd_close(&l.to);
    return r;
}
