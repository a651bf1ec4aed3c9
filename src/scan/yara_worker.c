/* YARA through libyara 4.2. Texts become compiled rules once, in a caged worker; every other worker
 * loads those bytes. Compiled rules are code with pointers, so no foreign ones are ever taken. */
#include <yara.h>

#include "scan/yara_init.h"

#include "base/clock.h"
#include "base/mem.h"
#include "scan/bundle.h"

static const char *const externals[] = {"filename", "filepath", "extension", "filetype", "owner"};
/* They parse with libraries that are not made for hostile bytes. */
static const char *const forbidden[] = {"magic", "cuckoo"};

struct yara {
    YR_RULES *rules;
    YR_SCANNER *scanner;
    struct scan_run *run; /* while a scan runs */
    const struct scan_object *object;
    bool crowded;
};

int yara_init(struct err *e)
{
    int r = yr_initialize();
    if (r != ERROR_SUCCESS) {
        return err_set(e, ERR_UNAVAIL, "yara: libyara does not start (error %d)", r);
    }
    return 0;
}

static const char *yara_version(void)
{
    return YR_VERSION;
}

/* ---- compiling ---- */

struct compiling {
    const char *file;
    int lines; /* in it: libyara calls the end of the text line 0 */
    struct err *e;
    bool failed;
};

static void note_error(int level, const char *file, int line, const YR_RULE *rule,
                       const char *message, void *user)
{
    struct compiling *c = user;
    (void)file;
    if (level != YARA_ERROR_LEVEL_ERROR || c->failed) {
        return; /* the first error is the cause, the rest follow from it */
    }
    c->failed = true;
    line = line > 0 ? line : c->lines;
    if (rule != NULL) {
        err_set(c->e, ERR_FORMAT, "%s:%d: rule %s: %s", c->file, line, rule->identifier, message);
    } else {
        err_set(c->e, ERR_FORMAT, "%s:%d: %s", c->file, line, message);
    }
}

static void destroy_compiler(YR_COMPILER **c)
{
    if (*c != NULL) {
        yr_compiler_destroy(*c);
    }
}

static void destroy_rules(YR_RULES **r)
{
    if (*r != NULL) {
        yr_rules_destroy(*r);
    }
}

static int count_lines(struct span text)
{
    int n = 0;
    struct span line;
    while (span_cut(&text, '\n', &line)) {
        n += line.len > 0 || text.p != NULL ? 1 : 0;
    }
    return n > 0 ? n : 1;
}

static int compile_one(YR_COMPILER *compiler, const struct rule_file *f, struct err *e)
{
    struct compiling c = {.file = f->name, .lines = count_lines(f->text), .e = e};
    if (f->text.len != 0 && memchr(f->text.p, 0, f->text.len) != NULL) {
        return err_set(e, ERR_FORMAT, "%s:1: holds a NUL byte, so it is no YARA source text",
                       f->name);
    }
    CLEANUP(mem_free) char *text = mem_text(f->text.p, f->text.len);
    yr_compiler_set_callback(compiler, note_error, &c);
    if (yr_compiler_add_string(compiler, text, f->name) > 0) {
        return c.failed ? ERR_FORMAT
                        : err_set(e, ERR_FORMAT, "%s:1: libyara gives no reason", f->name);
    }
    return 0;
}

static int compile_all(const struct rule_file *files, size_t n, YR_RULES **out, struct err *e)
{
    CLEANUP(destroy_compiler) YR_COMPILER *compiler = NULL;
    if (yr_compiler_create(&compiler) != ERROR_SUCCESS) {
        return err_set(e, ERR_NOMEM, "yara: make a compiler");
    }
    yr_compiler_set_include_callback(compiler, NULL, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(externals); i++) {
        yr_compiler_define_string_variable(compiler, externals[i], "");
    }
    for (size_t i = 0; i < n; i++) {
        int r = files[i].kind == RULE_YARA ? compile_one(compiler, &files[i], e) : 0;
        if (r < 0) {
            return r;
        }
    }
    int r = yr_compiler_get_rules(compiler, out);
    if (r != ERROR_SUCCESS) {
        return err_set(e, ERR_FORMAT, "yara: put the rules together: error %d", r);
    }
    return 0;
}

static int see_import(YR_SCAN_CONTEXT *context, int message, void *data, void *user)
{
    (void)context;
    const char **bad = user;
    if (message != CALLBACK_MSG_IMPORT_MODULE) {
        return CALLBACK_CONTINUE;
    }
    const char *name = ((YR_MODULE_IMPORT *)data)->module_name;
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
        if (strcmp(name, forbidden[i]) == 0) {
            *bad = forbidden[i];
            return CALLBACK_ERROR; /* before the module is loaded */
        }
    }
    return CALLBACK_CONTINUE;
}

static const char *forbidden_import(YR_RULES *rules)
{
    const char *bad = NULL;
    uint8_t nothing = 0;
    (void)yr_rules_scan_mem(rules, &nothing, 0, SCAN_FLAGS_NO_TRYCATCH, see_import, &bad, 10);
    return bad;
}

static unsigned line_of(struct span text, const char *word)
{
    unsigned line = 1;
    struct span one;
    for (; span_cut(&text, '\n', &one); line++) {
        const uint8_t *at = memmem(one.p, one.len, word, strlen(word));
        if (at != NULL && memmem(one.p, one.len, "import", 6) != NULL) {
            return line;
        }
    }
    return 1;
}

/* Asks libyara itself what is imported, so no way of writing it gets past. */
static int check_imports(YR_RULES *rules, const struct rule_file *files, size_t n, struct err *e)
{
    const char *bad = forbidden_import(rules);
    for (size_t i = 0; bad != NULL && i < n; i++) {
        CLEANUP(destroy_rules) YR_RULES *alone = NULL;
        if (files[i].kind == RULE_YARA && compile_all(&files[i], 1, &alone, e) == 0 &&
            (bad = forbidden_import(alone)) != NULL) {
            return err_set(e, ERR_FORMAT,
                           "%s:%u: imports the module \"%s\", which is not allowed: it hands "
                           "untrusted bytes to a library outside our checks",
                           files[i].name, line_of(files[i].text, bad), bad);
        }
        bad = forbidden[0];
    }
    return 0;
}

static size_t save_some(const void *p, size_t size, size_t count, void *user)
{
    struct buf *out = user;
    if (size != 0 && count > SIZE_MAX / size) {
        return 0;
    }
    buf_add(out, p, size * count);
    return out->fault == 0 ? count : 0;
}

static void name_rules(YR_RULES *rules, json_t *about)
{
    YR_RULE *rule;
    yr_rules_foreach(rules, rule)
    {
        json_t *list = json_object_get(about, rule->ns->name);
        if (list != NULL) {
            js_add_str(list, rule->identifier);
        }
    }
}

static int yara_compile(const struct rule_file *files, size_t n, struct buf *out, json_t *about,
                        struct err *e)
{
    CLEANUP(destroy_rules) YR_RULES *rules = NULL;
    int r = compile_all(files, n, &rules, e);
    r = r < 0 ? r : check_imports(rules, files, n, e);
    if (r < 0) {
        return r;
    }
    name_rules(rules, about);
    YR_STREAM stream = {.user_data = out, .write = save_some};
    int saved = yr_rules_save_stream(rules, &stream);
    if (saved != ERROR_SUCCESS) {
        return err_set(e, ERR_LIMIT, "yara: save compiled rules: error %d", saved);
    }
    return buf_done(out, "compiled YARA rules", e);
}

/* ---- scanning ---- */

static size_t load_some(void *p, size_t size, size_t count, void *user)
{
    struct span *left = user;
    if (size == 0 || count > left->len / size) {
        return 0;
    }
    memcpy(p, left->p, size * count);
    *left = span_of(left->p + size * count, left->len - size * count);
    return count;
}

static enum verdict severity_of(const YR_RULE *rule, const char **description)
{
    enum verdict severity = VERDICT_MALICIOUS;
    const char *tag;
    yr_rule_tags_foreach(rule, tag)
    {
        severity = strcmp(tag, "suspicious") == 0 ? VERDICT_SUSPICIOUS : severity;
    }
    YR_META *meta;
    yr_rule_metas_foreach(rule, meta)
    {
        if (meta->type != META_TYPE_STRING) {
            continue;
        }
        if (strcmp(meta->identifier, "severity") == 0 && strcmp(meta->string, "suspicious") == 0) {
            severity = VERDICT_SUSPICIOUS;
        } else if (strcmp(meta->identifier, "description") == 0) {
            *description = meta->string;
        }
    }
    return severity;
}

/* libyara packs its matches without regard to alignment, so its own loop over them is undefined
 * behaviour in our code: each is copied out instead. */
static int64_t first_offset(YR_SCAN_CONTEXT *context, const YR_RULE *rule)
{
    int64_t first = -1;
    YR_STRING *string;
    yr_rule_strings_foreach(rule, string)
    {
        YR_MATCH match;
        for (const void *p = context->matches[string->idx].head; p != NULL; p = match.next) {
            memcpy(&match, p, sizeof match);
            int64_t at = match.base + match.offset;
            first = !match.is_private && (first < 0 || at < first) ? at : first;
        }
    }
    return first;
}

static void on_match(struct yara *y, YR_SCAN_CONTEXT *context, const YR_RULE *rule)
{
    const char *description = NULL;
    enum verdict severity = severity_of(rule, &description);
    scan_run_find(y->run, y->object, "yara", rule->identifier, severity,
                  first_offset(context, rule), "%s (%s)",
                  description != NULL ? description : "rule matches", rule->ns->name);
}

static int on_message(YR_SCAN_CONTEXT *context, int message, void *data, void *user)
{
    struct yara *y = user;
    if (message == CALLBACK_MSG_RULE_MATCHING) {
        on_match(y, context, data);
    } else if (message == CALLBACK_MSG_TOO_MANY_MATCHES && !y->crowded) {
        /* libyara goes on without that string, so what it says from here on is not complete */
        y->crowded = true;
        scan_run_refuse(y->run, y->object, "yara", "too-many-matches",
                        "string %s matches too often for libyara to judge its rule",
                        ((YR_STRING *)data)->identifier);
    } else if (message == CALLBACK_MSG_IMPORT_MODULE) {
        const char *bad = NULL;
        return see_import(context, message, data, &bad);
    }
    return CALLBACK_CONTINUE;
}

static void yara_free(void *state)
{
    struct yara *y = state;
    if (y != NULL && y->scanner != NULL) {
        yr_scanner_destroy(y->scanner);
    }
    if (y != NULL) {
        destroy_rules(&y->rules);
    }
    free(y);
}

static int yara_load(struct span compiled, void **state, struct err *e)
{
    struct yara *y = mem_new(struct yara);
    YR_STREAM stream = {.user_data = &compiled, .read = load_some};
    int r = yr_rules_load_stream(&stream, &y->rules);
    r = r != ERROR_SUCCESS ? r : yr_scanner_create(y->rules, &y->scanner);
    if (r != ERROR_SUCCESS) {
        yara_free(y);
        return err_set(e, ERR_UNAVAIL, "yara: load compiled rules: error %d", r);
    }
    yr_scanner_set_callback(y->scanner, on_message, y);
    /* no handlers of SIGBUS and SIGSEGV: a fault ends the worker, and that is noticed */
    yr_scanner_set_flags(y->scanner, SCAN_FLAGS_NO_TRYCATCH);
    *state = y;
    return 0;
}

/* The words that public rule sets use for `filetype`. */
static const char *file_type(struct span s)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *type;
    } known[] = {{"MZ", 2, "EXE"},        {"\177ELF", 4, "ELF"},  {"PK\3\4", 4, "ZIP"},
                 {"%PDF", 4, "PDF"},      {"MSCF", 4, "CAB"},     {"Rar!", 4, "RAR"},
                 {"7z\274\257", 4, "7Z"}, {"\37\213", 2, "GZIP"}, {"{\\rtf", 5, "RTF"}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (s.len >= known[i].len && memcmp(s.p, known[i].magic, known[i].len) == 0) {
            return known[i].type;
        }
    }
    return "";
}

static void set_externals(struct yara *y, const struct scan_object *o)
{
    const char *slash = strrchr(o->name, '/');
    const char *base = slash != NULL ? slash + 1 : o->name;
    const char *dot = strrchr(base, '.');
    const char *const values[] = {base, o->name, dot != NULL ? dot : "", file_type(o->bytes), ""};
    for (size_t i = 0; i < ARRAY_LEN(externals); i++) {
        yr_scanner_define_string_variable(y->scanner, externals[i], values[i]);
    }
}

static int yara_scan(void *state, struct scan_run *run, const struct scan_object *o, struct err *e)
{
    struct yara *y = state;
    static const uint8_t nothing;
    y->run = run;
    y->object = o;
    y->crowded = false;
    set_externals(y, o);
    /* whole seconds; zero would mean for ever */
    yr_scanner_set_timeout(y->scanner, (int)(scan_run_left(run) / CLOCK_SECOND) + 1);
    int r = yr_scanner_scan_mem(y->scanner, o->bytes.len > 0 ? o->bytes.p : &nothing, o->bytes.len);
    if (r == ERROR_SCAN_TIMEOUT) {
        scan_run_refuse(run, o, "yara", "limit-time", "the rules took longer than scan.time");
    } else if (r == ERROR_TOO_MANY_MATCHES) {
        scan_run_refuse(run, o, "yara", "too-many-matches", "more matches than libyara can keep");
    } else if (r != ERROR_SUCCESS) {
        return err_set(e, ERR_UNAVAIL, "yara: scan: error %d", r);
    }
    return 0;
}

const struct engine engine_yara = {.name = "yara",
                                   .version = yara_version,
                                   .kind = RULE_YARA,
                                   .compile = yara_compile,
                                   .load = yara_load,
                                   .scan = yara_scan,
                                   .free = yara_free};
