/* web_files.c - what anybody may read: metadata, log, attestations; and which address is which
 * target. */
#include "serve/web.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "tlog/tlog.h"
#include "tuf/tuf.h"

#define FOREVER "public, max-age=31536000, immutable"
#define EACH_TIME "no-cache"
#define BUNDLE ((size_t)17 << 20) /* 256 entries of the greatest length */

static void not_here(struct visit *v)
{
    reply_error(v, 404, "nothing is at this address");
}

/* Reads a file of the site for everybody. False: it was answered. */
static bool read_public(struct visit *v, int dir, const char *name, struct buf *out)
{
    struct err e;
    int r = file_read(dir, name, out->max, out, &e);
    if (r == 0) {
        return true;
    }
    if (r == ERR_NOTFOUND || (r == ERR_SYS && (e.sys == ENOENT || e.sys == ENOTDIR))) {
        not_here(v);
    } else {
        log_error("web.file", "%s", e.text);
        reply_unavailable(v, &e);
    }
    return false;
}

/* The rest of the path behind its route. */
static const char *rest_of(const struct visit *v)
{
    return buf_text(&v->path) + strlen(v->route->path);
}

/* "4.bin-0.json": digits, a role, .json; or timestamp.json. */
static bool is_metadata(const char *name, bool *versioned)
{
    static const char role[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t digits = strspn(name, "0123456789");
    *versioned = digits > 0;
    if (digits == 0) {
        return strcmp(name, "timestamp.json") == 0;
    }
    const char *p = name + digits;
    size_t n = *p == '.' ? strspn(p + 1, role) : 0;
    return n > 0 && strcmp(p + 1 + n, ".json") == 0;
}

void serve_metadata(struct visit *v)
{
    CLEANUP(buf_clear) struct buf file = BUF(LIMIT_TUF_ROLE);
    bool versioned = false;
    if (!is_metadata(rest_of(v), &versioned)) {
        not_here(v);
    } else if (read_public(v, v->w->metadata, rest_of(v), &file)) {
        reply_public(v, "application/json", versioned ? FOREVER : EACH_TIME, buf_view(&file));
    }
}

/* Takes HASH. off the front of a name. */
static bool cut_digest(const char *name, struct digest *d, const char **rest)
{
    if (strnlen(name, DIGEST_TEXT + 1) <= DIGEST_TEXT || name[DIGEST_TEXT] != '.' ||
        digest_parse(span_of(name, DIGEST_TEXT), d, NULL) < 0) {
        return false;
    }
    *rest = name + DIGEST_TEXT + 1;
    return **rest != 0;
}

/* A document of a recall: public, but still what its name says or nothing. */
static void recall_file(struct visit *v, const char *file)
{
    struct digest name, is;
    const char *rest;
    CLEANUP(buf_clear) struct buf bytes = BUF(LIMIT_TUF_ROLE);
    CLEANUP(mem_free) char *path = mem_printf("recall/%s", file);
    if (strchr(file, '/') != NULL || !cut_digest(file, &name, &rest) ||
        tuf_check_name(span_str(rest), NULL, NULL) < 0) {
        not_here(v);
        return;
    }
    if (!read_public(v, v->w->metadata, path, &bytes)) {
        return;
    }
    is = digest_of(buf_view(&bytes));
    if (!digest_eq(&is, &name)) {
        struct err e;
        err_set(&e, ERR_TRUST, "metadata/%.100s on this server is not what its name says", path);
        log_error("web.file", "%s", e.text);
        reply_unavailable(v, &e);
        return;
    }
    reply_public(v, "application/json", FOREVER, buf_view(&bytes));
}

void serve_targets(struct visit *v)
{
    const char *path = rest_of(v), *slash = strrchr(path, '/'), *name = NULL;
    struct digest d;
    if (strncmp(path, "recall/", strlen("recall/")) == 0) {
        recall_file(v, path + strlen("recall/"));
        return;
    }
    if (slash == NULL || !cut_digest(slash + 1, &d, &name)) {
        reply_error(v, 404, "files here are named DIGEST.NAME; /d/PRODUCT/VERSION/FILE needs none");
        return;
    }
    CLEANUP(mem_free) char *target = mem_printf("%.*s/%s", (int)(slash - path), path, name);
    if (tuf_check_name(span_str(target), NULL, NULL) < 0) {
        not_here(v);
        return;
    }
    download(v, target, &d);
}

static bool is_sums(const char *file)
{
    return strcmp(file, "SHA256SUMS") == 0 || strcmp(file, "SHA256SUMS.sig") == 0 ||
           strcmp(file, "SHA256SUMS.pub") == 0;
}

/* /d/PRODUCT/VERSION/FILE, where FILE may lie in folders and VERSION may be "latest". */
void serve_plain(struct visit *v)
{
    struct span rest = span_str(rest_of(v)), product, version;
    char newest[LIMIT_NAME + 1];
    struct web_target t;
    struct err e;
    if (!span_cut(&rest, '/', &product) || !span_cut(&rest, '/', &version) || rest.len == 0 ||
        product.len > LIMIT_NAME || version.len > LIMIT_NAME) {
        reply_error(v, 404, "files are at /d/PRODUCT/VERSION/FILE; VERSION may be latest");
        return;
    }
    CLEANUP(mem_free) char *p = mem_text(product.p, product.len);
    CLEANUP(mem_free) char *n = mem_text(version.p, version.len);
    CLEANUP(mem_free) char *file = mem_text(rest.p, rest.len);
    if (strcmp(n, "latest") == 0) {
        int r = web_db_latest(v->w->db, p, newest, &e);
        if (r < 0) {
            r == ERR_NOTFOUND ? reply_error(v, 404, "no version of %.200s is published", p)
                              : reply_unavailable(v, &e);
            return;
        }
        http_add(v->call, "X-Cordon-Version", newest);
        mem_free(&n);
        n = mem_str(newest);
    }
    CLEANUP(mem_free) char *target = mem_printf("%s/%s/%s", p, n, file);
    if (tuf_check_name(span_str(target), NULL, NULL) < 0) {
        not_here(v);
    } else if (is_sums(file) && web_db_target(v->w->db, target, &t, &e) == ERR_NOTFOUND) {
        serve_sums(v, p, n, file);
    } else {
        download(v, target, NULL);
    }
}

void serve_log(struct visit *v)
{
    struct tlog_tile tile;
    char path[TLOG_PATH];
    CLEANUP(buf_clear) struct buf file = BUF(BUNDLE);
    if (strcmp(rest_of(v), "checkpoint") == 0) {
        if (read_public(v, v->w->log, "checkpoint", &file)) {
            reply_public(v, "text/plain; charset=utf-8", EACH_TIME, buf_view(&file));
        }
    } else if (tlog_tile_parse(span_str(rest_of(v)), &tile, NULL) < 0) {
        not_here(v);
    } else if (read_public(v, v->w->log, tlog_tile_path(&tile, path), &file)) {
        reply_public(v, "application/octet-stream", FOREVER, buf_view(&file));
    }
}

/* Attestations are blobs too, but not every blob is one: only digests that a published target names
 * as its attestation, and no target's own, come out here. */
void serve_verdicts(struct visit *v)
{
    struct digest d;
    struct err e;
    uint64_t size = 0;
    struct blob_reader *reader = NULL;
    struct span view = SPAN_NONE;
    static const struct digest no_root;
    int r = digest_parse(span_str(rest_of(v)), &d, &e);
    r = r < 0 ? ERR_NOTFOUND : web_db_attestation(v->w->db, &d, &e);
    if (r == ERR_NOTFOUND || (r == 0 && !blobstore_has(v->w->store, &d, &size))) {
        not_here(v);
        return;
    }
    if (r == 0 && size > LIMIT_DSSE) {
        r = err_set(&e, ERR_TRUST, "the attestation is too long");
    }
    /* no longer than what is verified whole, so no root of chunks is needed */
    r = r < 0 ? r : blob_open(v->w->cache, &d, size, &no_root, &reader, &e);
    r = r < 0 ? r : blob_read(reader, 0, &view, &e);
    if (r < 0 || view.len != size) {
        reply_unavailable(v, &e);
    } else {
        reply_public(v, "application/json", FOREVER, view);
    }
    blob_close(&reader);
}
