#include "key/key_priv.h"

#include "base/fd.h"
#include "base/limits.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define CREDENTIAL "cordon-passphrase"

void key_pass_clear(struct key_pass *p)
{
    key_free_secret(p->p);
    *p = (struct key_pass){0};
}

static void begin(struct key_pass *p, const char *source)
{
    *p = (struct key_pass){.p = key_alloc(KEY_PASSPHRASE + 3), .source = source};
}

static int too_long(struct err *e, const char *source)
{
    return err_set(e, ERR_LIMIT, "the passphrase from %s is longer than %zu bytes", source,
                   KEY_PASSPHRASE);
}

int key_pass_set(struct key_pass *p, struct span text, struct err *e)
{
    if (text.len > KEY_PASSPHRASE) {
        return too_long(e, "the caller");
    }
    begin(p, "the caller");
    if (text.len > 0) {
        memcpy(p->p, text.p, text.len);
    }
    p->len = text.len;
    return 0;
}

/* ---- from a file ---- */

static void cut_line_end(struct key_pass *p)
{
    if (p->len > 0 && p->p[p->len - 1] == '\n') {
        p->len--;
        if (p->len > 0 && p->p[p->len - 1] == '\r') {
            p->len--;
        }
    }
}

/* A pipe (/dev/fd/N) will do as well, and a link may lead to it. */
static int read_file(const char *path, const char *source, bool warn, struct key_pass *p,
                     struct err *e)
{
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return err_sys(e, "read the passphrase file %s (%s)", path, source);
    }
    begin(p, source);
    size_t room = KEY_PASSPHRASE + 3;
    ssize_t n = 0;
    while (p->len < room && (n = fd_read(fd, p->p + p->len, room - p->len)) > 0) {
        p->len += (size_t)n;
    }
    if (n < 0) {
        return err_sys(e, "read the passphrase file %s (%s)", path, source);
    }
    cut_line_end(p);
    if (p->len > KEY_PASSPHRASE) {
        return too_long(e, path);
    }
    if (p->len == 0) {
        return err_set(e, ERR_DENIED, "the passphrase file %s (%s) is empty", path, source);
    }
    if (warn && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
        snprintf(p->warning, sizeof p->warning,
                 "others can read the passphrase file %.100s (mode %03o): chmod 600", path,
                 (unsigned)(st.st_mode & 0777));
    }
    return 0;
}

/* ---- from the terminal ---- */

static int say(int tty, const char *text, struct err *e)
{
    return fd_write(tty, span_str(text), e);
}

/* Takes one key stroke; 1 at the end of the line. The terminal sends no signals meanwhile, because
 * one would leave it without echo. */
static int take(struct key_pass *p, char c, struct err *e)
{
    switch (c) {
    case '\r':
    case '\n':
        return 1;
    case 3:  /* ^C */
    case 4:  /* ^D */
    case 28: /* ^\ */
        return err_set(e, ERR_DENIED, "no passphrase was given");
    case 8:
    case 127:
        while (p->len > 0 && ((uint8_t)p->p[--p->len] & 0xc0) == 0x80) {
            /* the rest of one character of UTF-8 */
        }
        return 0;
    case 21: /* ^U */
        p->len = 0;
        return 0;
    default:
        break;
    }
    if (p->len == KEY_PASSPHRASE) {
        return too_long(e, "the terminal");
    }
    p->p[p->len++] = c;
    return 0;
}

static int type_line(int tty, const char *prompt, struct key_pass *p, struct err *e)
{
    struct termios usual, quiet;
    if (tcgetattr(tty, &usual) != 0) {
        return err_sys(e, "ask the terminal");
    }
    quiet = usual;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    if (tcsetattr(tty, TCSAFLUSH, &quiet) != 0) {
        return err_sys(e, "ask the terminal without echo");
    }
    int r = say(tty, prompt, e);
    while (r == 0) {
        char c = 0;
        ssize_t n = fd_read(tty, &c, 1);
        r = n == 1 ? take(p, c, e) : err_set(e, ERR_DENIED, "no passphrase was given");
        sodium_memzero(&c, 1);
    }
    tcsetattr(tty, TCSAFLUSH, &usual);
    int last = say(tty, "\n", e);
    return r < 0 ? r : last;
}

static int ask(bool fresh, struct key_pass *p, struct err *e)
{
    CLEANUP(fd_close) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0) {
        return err_sys(e, "open the terminal");
    }
    begin(p, "the terminal");
    int r = type_line(tty, fresh ? "New passphrase: " : "Passphrase: ", p, e);
    if (r < 0 || !fresh) {
        return r;
    }
    CLEANUP(key_pass_clear) struct key_pass again;
    begin(&again, "the terminal");
    r = type_line(tty, "The same again: ", &again, e);
    if (r < 0) {
        return r;
    }
    if (p->len != again.len || sodium_memcmp(p->p, again.p, p->len) != 0) {
        return err_set(e, ERR_DENIED, "the two passphrases differ: nothing was done, try again");
    }
    return 0;
}

static int find(const char *file, bool fresh, struct key_pass *p, struct err *e)
{
    const char *env = getenv("CORDON_PASSPHRASE_FILE");
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (file != NULL) {
        return read_file(file, "--passphrase-file", true, p, e);
    }
    if (env != NULL && env[0] != '\0') {
        return read_file(env, "CORDON_PASSPHRASE_FILE", true, p, e);
    }
    if (folder != NULL && folder[0] != '\0') {
        char path[LIMIT_PATH];
        int n = snprintf(path, sizeof path, "%s/" CREDENTIAL, folder);
        if (n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0) {
            return read_file(path, "the systemd credential " CREDENTIAL, false, p, e);
        }
    }
    if (isatty(STDIN_FILENO) == 1) {
        return ask(fresh, p, e);
    }
    return err_set(e, ERR_DENIED,
                   "no passphrase: run this on a terminal, name a file with --passphrase-file or "
                   "CORDON_PASSPHRASE_FILE, or give the systemd credential " CREDENTIAL);
}

int key_passphrase(const char *file, bool fresh, struct key_pass *out, struct err *e)
{
    CLEANUP(key_pass_clear) struct key_pass p = {0};
    int r = find(file, fresh, &p, e);
    if (r == 0) {
        *out = p;
        p = (struct key_pass){0};
    }
    return r;
}
