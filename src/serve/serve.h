/* serve.h - the processes of a running site. */
#pragma once
#include "base/settings.h"
#include "key/key.h"

/* The supervisor. With `local` there is no web, and it ends when the last control connection
 * closes: what a command starts for itself when no server runs. */
struct serve_opts {
    int site;         /* folder, borrowed */
    const char *path; /* of the site, for messages */
    const struct settings *settings;
    const char *settings_text; /* the file's text, handed to the children */
    const struct key_kek *kek; /* only subkeys are passed on */
    bool local, with_root;
    const char *listen, *tls_cert; /* NULL: as settings say */
    int ready;                     /* descriptor to close when everything answers; -1 none */
};
/* Runs until SIGTERM or SIGINT; 0, or an error that hindered the start. */
MUST_CHECK int serve_run(const struct serve_opts *o, struct err *e);

/* run/lock of a site: at most one supervisor. ERR_CONFLICT if another holds it. *lock stays open.
 */
MUST_CHECK int serve_lock(int site, int *lock, struct err *e);

/* Connects to run/control.sock. ERR_UNAVAIL when nothing listens. */
MUST_CHECK int serve_connect(int site, int *sock, struct err *e);
