#include "serve/roles.h"

#include <signal.h>
#include <sys/prctl.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "scan/scan.h"
#include "serve/local.h"
#include "signer/signer.h"

int role_settings(const struct boot *b, struct settings **out, struct err *e)
{
    const char *text = NULL;
    struct settings *s = settings_new();
    int r = js_str(b->args, "settings", &text, e);
    r = r < 0 ? r : settings_parse(s, span_str(text), e);
    if (r < 0) {
        settings_free(&s);
        return r;
    }
    *out = s;
    return 0;
}

int role_db(const struct boot *b, unsigned flags, struct db **out, struct err *e)
{
    CLEANUP(mem_free) char *path = mem_printf("%s/cordon.db", js_str_or(b->args, "path", "."));
    return db_open(path, flags, out, e);
}

void role_failed(const struct boot *b, const struct err *e)
{
    CLEANUP(js_free) json_t *j = ipc_error(e);
    if (ipc_send(b->sock, 0, j, NULL, 0, NULL) < 0) {
        log_error("start", "%s", e->text);
    }
}

void role_lives(const struct settings *s, int64_t life[TUF_ROLES])
{
    static const enum setting_id id[TUF_ROLES] = {
        [TUF_ROOT] = SETTING_ROOT_LIFE,           [TUF_TARGETS] = SETTING_TARGETS_LIFE,
        [TUF_RECALLS] = SETTING_BINS_LIFE,        [TUF_RELEASES] = SETTING_BINS_LIFE,
        [TUF_BINS] = SETTING_BINS_LIFE,           [TUF_SNAPSHOT] = SETTING_SNAPSHOT_LIFE,
        [TUF_TIMESTAMP] = SETTING_TIMESTAMP_LIFE,
    };
    for (size_t i = 0; i < TUF_ROLES; i++) {
        life[i] = settings_number(s, id[i]);
    }
}

static int signer_role(struct boot *b)
{
    struct err e;
    struct settings *s = NULL;
    struct signer_boot sb = {
        .repository = strcmp(js_str_or(b->args, "role", ""), "signer-repository") == 0,
        .site = b->site,
        .boot = b->sock,
    };
    int r = role_settings(b, &s, &e);
    r = r < 0 ? r : boot_secret(b, sb.repository ? "repository" : "log", sb.sub.b, &e);
    if (r < 0) {
        role_failed(b, &e);
        return 3;
    }
    sb.with_root = boot_secret(b, "root", sb.root.b, NULL) == 0;
    sb.name = settings_text(s, SETTING_REPOSITORY_NAME);
    role_lives(s, sb.life);
    sb.peers[0] = boot_peer(b, "gate");
    sb.peers[1] = boot_peer(b, "recorder");
    r = signer_main(&sb);
    settings_free(&s);
    return r;
}

static const struct {
    const char *arg;
    int (*run)(struct boot *b);
} table[] = {{"serve-recorder", recorder_main},
             {"serve-gate", gate_main},
             {"serve-web", web_main},
             {"serve-signer", signer_role},
             {"serve-local", local_main}};

int serve_role(int argc, char **argv)
{
    if (argc < 2) {
        return -1;
    }
    if (strcmp(argv[1], "worker") == 0) {
        return scan_worker_main(argc, argv);
    }
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (strcmp(argv[1], table[i].arg) == 0) {
            struct err e;
            struct boot b;
            signal(SIGPIPE, SIG_IGN);
            signal(SIGINT, SIG_IGN); /* the supervisor decides when we stop */
            prctl(PR_SET_DUMPABLE, 0);
            if (boot_receive(PROC_FIRST_FD, &b, &e) < 0) {
                log_error(table[i].arg, "%s", e.text);
                return 3;
            }
            log_name(js_str_or(b.args, "role", argv[1]));
            log_quiet(js_bool_or(b.args, "local", false));
            return table[i].run(&b);
        }
    }
    return -1;
}
