/* cmd_key.c - the keys of a site: list, rotate, the log's verifier key, another passphrase. */
#include "cli/commands.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/note.h"
#include "base/text.h"
#include "cli/print.h"
#include "tuf/tuf.h"

static int open_keys(const struct app *app, int *out, struct err *e)
{
    return file_open_dir(app->site, "keys", out, e);
}

/* ---- key list ---- */

static int add_key(void *ctx, const struct key_info *info)
{
    CLEANUP(buf_clear) struct buf hex = BUF(128);
    json_t *j = js_new();
    js_set_str(j, "name", info->name);
    js_set_str(j, "role", info->role);
    js_set_str(j, "purpose", key_purpose_name(info->purpose));
    text_hex(&hex, span_of(info->public.b, sizeof info->public.b));
    js_set_str(j, "public", buf_text(&hex));
    js_add(ctx, j);
    return 0;
}

static int list_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    static const struct print_column columns[] = {
        {"key", "name", PRINT_PLAIN},
        {"role", "role", PRINT_PLAIN},
        {"held by", "purpose", PRINT_PLAIN},
        {"public key", "public", PRINT_PLAIN},
    };
    CLEANUP(fd_close) int keys = -1;
    CLEANUP(js_free) json_t *list = js_list();
    int r = app_operands(argc, 0, 0, "nothing more", e);
    r = r != 0 ? r : open_keys(app, &keys, e);
    r = r != 0 ? r : key_each(keys, add_key, list, e);
    if (r == 0) {
        print_list(app, list, columns, ARRAY_LEN(columns), "This site holds no signing key.");
    }
    return r;
}

const struct command cmd_key_list = {
    .group = "key",
    .name = "list",
    .need = CLI_SITE,
    .usage = "",
    .summary = "List the signing keys that the site holds",
    .text = "Needs no passphrase. JSON: an object a key: name role purpose public.",
    .run = list_run,
};

/* ---- key vkey ---- */

static int vkey_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    struct sig_public public;
    CLEANUP(fd_close) int keys = -1;
    CLEANUP(buf_clear) struct buf vkey = BUF(1024);
    const char *name = settings_text(app->settings, SETTING_REPOSITORY_NAME);
    int r = app_operands(argc, 0, 0, "nothing more", e);
    r = r != 0 ? r : open_keys(app, &keys, e);
    r = r != 0 ? r : key_public(keys, "log", &public, e);
    if (r != 0) {
        return r;
    }
    note_vkey(&vkey, name, &public);
    if (app->json) {
        CLEANUP(js_free) json_t *j = js_new();
        js_set_str(j, "vkey", buf_text(&vkey));
        app_print_json(j);
    } else {
        puts(buf_text(&vkey));
    }
    return CLI_DONE;
}

const struct command cmd_key_vkey = {
    .group = "key",
    .name = "vkey",
    .need = CLI_SITE,
    .usage = "",
    .summary = "Print the key that verifies the log",
    .text = "Give it to whoever shall check the log: cordon log verify --url URL --vkey KEY. "
            "JSON: vkey.",
    .run = vkey_run,
};

/* ---- key rotate ---- */

static int rotate_run(struct app *app, int argc, char **argv, struct err *e)
{
    CLEANUP(js_free) json_t *answer = NULL;
    enum tuf_role role;
    int r = app_operands(argc, 1, 1, "one role", e);
    if (r == 0 && tuf_role_of(argv[0], &role, e) < 0) {
        r = CLI_USAGE;
    }
    r = r != 0 ? r : app_connect(app, true, e);
    if (r != 0) {
        return r;
    }
    json_t *q = js_new();
    js_set_str(q, "role", argv[0]);
    r = app_call(app, "key.rotate", q, &answer, e);
    if (r == 0 && app->json) {
        app_print_json(answer);
    } else if (r == 0) {
        print_line("%s has a new key, in version %lld of the metadata that names it.",
                   js_str_or(answer, "role", argv[0]), (long long)js_int_or(answer, "version", 0));
    }
    return r;
}

const struct command cmd_key_rotate = {
    .group = "key",
    .name = "rotate",
    .need = CLI_SITE,
    .usage = "ROLE",
    .summary = "Give a role of the repository a new key",
    .text = "ROLE is root, targets, recalls, releases, bins, snapshot or timestamp. Stop the "
            "server first: the root key is not given to a running one. Clients follow by "
            "themselves.\n\nJSON: role version.",
    .run = rotate_run,
};

/* ---- key passphrase ---- */

static const char *fresh_file;
static const struct option_def passphrase_options[] = {
    {"new-passphrase-file", 0, OPTION_TEXT, "FILE", "holds the new one; else it is asked for",
     &fresh_file},
};

static int passphrase_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    CLEANUP(key_pass_clear) struct key_pass old = {0};
    CLEANUP(key_pass_clear) struct key_pass fresh = {0};
    CLEANUP(fd_close) int keys = -1;
    int r = app_operands(argc, 0, 0, "nothing more", e);
    r = r != 0 ? r : open_keys(app, &keys, e);
    r = r != 0 ? r : app_passphrase(app, false, &old, e);
    if (r != 0) {
        return r;
    }
    unsetenv("CORDON_PASSPHRASE_FILE"); /* both name the old one */
    unsetenv("CREDENTIALS_DIRECTORY");
    r = key_passphrase(fresh_file, true, &fresh, e);
    if (r < 0) {
        return err_wrap(e, r, "the new passphrase (--new-passphrase-file)");
    }
    r = key_site_rewrap(keys, &old, &fresh, KEY_COST_DEFAULT, e);
    if (r == 0 && app->json) {
        CLEANUP(js_free) json_t *j = js_new();
        js_set_bool(j, "changed", true);
        app_print_json(j);
    } else if (r == 0) {
        puts("The passphrase was changed. Backups keep the old one.");
    }
    return r;
}

const struct command cmd_key_passphrase = {
    .group = "key",
    .name = "passphrase",
    .need = CLI_SITE,
    .usage = "[--new-passphrase-file FILE]",
    .summary = "Change the passphrase of the site's keys",
    .text = "A running server goes on and wants the new one at its next start.\n\nJSON: changed.",
    .options = passphrase_options,
    .n_options = ARRAY_LEN(passphrase_options),
    .run = passphrase_run,
};
