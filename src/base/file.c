#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/random.h"

int file_read(int dir, const char *name, size_t max, struct buf *out, struct err *e)
{
    CLEANUP(fd_close) int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? err_set(e, ERR_NOTFOUND, "%s does not exist", name)
                               : err_sys(e, "open %s", name);
    }
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return err_sys(e, "look at %s", name);
    }
    if (S_ISDIR(st.st_mode)) {
        return err_set(e, ERR_FORMAT, "%s is a folder", name);
    }
    size_t start = out->len;
    for (;;) {
        uint8_t *p = buf_room(out, 64 * 1024);
        uint8_t small[4096];
        size_t room = p != NULL ? 64 * 1024 : sizeof small;
        if (p == NULL) { /* near the ceiling: read through a small window */
            out->fault = 0;
        }
        ssize_t n = fd_read(fd, p != NULL ? p : small, room);
        if (n < 0) {
            return err_sys(e, "read %s", name);
        }
        if (n == 0) {
            break;
        }
        if (p != NULL) {
            buf_added(out, (size_t)n);
        } else {
            buf_add(out, small, (size_t)n);
        }
        if (out->fault != 0 || out->len - start > max) {
            return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", name, max);
        }
    }
    return 0;
}

/* Makes "NAME.tmp-RANDOM" beside `name`. */
static int temporary(int dir, const char *name, mode_t mode, char *tmp, size_t room, struct err *e)
{
    uint32_t salt;
    random_bytes(&salt, sizeof salt);
    int n = snprintf(tmp, room, "%s.tmp-%08x", name, salt);
    if (n < 0 || (size_t)n >= room) {
        return err_set(e, ERR_LIMIT, "the name %.40s… is too long", name);
    }
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    return fd < 0 ? err_sys(e, "make %s", tmp) : fd;
}

static int write_via_rename(int dir, const char *name, struct span data, mode_t mode, bool sync,
                            struct err *e)
{
    char tmp[LIMIT_PATH];
    CLEANUP(fd_close) int fd = temporary(dir, name, mode, tmp, sizeof tmp, e);
    if (fd < 0) {
        return fd;
    }
    int r = fd_write(fd, data, e);
    if (r == 0 && fchmod(fd, mode) < 0) {
        r = err_sys(e, "set the mode of %s", tmp);
    }
    if (r == 0 && sync && fsync(fd) < 0) {
        r = err_sys(e, "sync %s", tmp);
    }
    if (r == 0 && renameat(dir, tmp, dir, name) < 0) {
        r = err_sys(e, "rename %s", tmp);
    }
    if (r < 0) {
        unlinkat(dir, tmp, 0);
        return err_wrap(e, r, "write %s", name);
    }
    return 0;
}

static int sync_parent(int dir, const char *name, struct err *e)
{
    const char *slash = strrchr(name, '/');
    CLEANUP(mem_free)
    char *path = slash == NULL ? mem_str(".") : mem_text(name, (size_t)(slash - name));
    CLEANUP(fd_close) int fd = -1;
    int r = file_open_dir(dir, path[0] == 0 ? "/" : path, &fd, e);
    return r < 0 ? r : file_sync_dir(fd, e);
}

int file_write(int dir, const char *name, struct span data, mode_t mode, struct err *e)
{
    int r = write_via_rename(dir, name, data, mode, true, e);
    return r < 0 ? r : sync_parent(dir, name, e);
}

int file_write_lazy(int dir, const char *name, struct span data, mode_t mode, struct err *e)
{
    return write_via_rename(dir, name, data, mode, false, e);
}

int file_sync_dir(int dir, struct err *e)
{
    return fsync(dir) < 0 ? err_sys(e, "sync a folder") : 0;
}

int file_sync_fs(int dir, struct err *e)
{
    return syncfs(dir) < 0 ? err_sys(e, "sync the file system") : 0;
}

int file_mkdirs(int dir, const char *path, mode_t mode, struct err *e)
{
    CLEANUP(mem_free) char *p = mem_str(path);
    for (char *at = p + 1; p[0] != 0; at++) {
        if (*at != '/' && *at != 0) {
            continue;
        }
        char keep = *at;
        *at = 0;
        if (mkdirat(dir, p, mode) < 0 && errno != EEXIST) {
            return err_sys(e, "make the folder %s", p);
        }
        *at = keep;
        if (keep == 0 || at[1] == 0) {
            break;
        }
    }
    return 0;
}

int file_open_dir(int dir, const char *path, int *out, struct err *e)
{
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? err_set(e, ERR_NOTFOUND, "the folder %s does not exist", path)
                               : err_sys(e, "open the folder %s", path);
    }
    *out = fd;
    return 0;
}

bool file_exists(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *d)
{
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

int file_each(int dir, const char *path, int (*each)(void *ctx, const char *name), void *ctx,
              struct err *e)
{
    struct dirent **list = NULL;
    int n = scandirat(dir, path, &list, not_dots, by_bytes);
    if (n < 0) {
        return errno == ENOENT ? err_set(e, ERR_NOTFOUND, "the folder %s does not exist", path)
                               : err_sys(e, "list the folder %s", path);
    }
    int r = 0;
    for (int i = 0; i < n; i++) {
        if (r == 0) {
            r = each(ctx, list[i]->d_name);
        }
        free(list[i]);
    }
    free(list);
    return r;
}
