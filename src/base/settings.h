/* settings.h - cordon.yaml: one table gives parser, defaults, comments and the manual page.
 *
 * Rows stand in settings.def: SETTING(name, TYPE, default, min, max, sentence). Dotted names are
 * nested maps in the file. An unknown key is an error that names the nearest one. */
#pragma once
#include "base/json.h"

enum setting_id {
#define SETTING(id, name, type, dflt, min, max, text) SETTING_##id,
#include "base/settings.def"
#undef SETTING
    SETTING_COUNT
};
enum setting_type {
    SETTING_TEXT,
    SETTING_NUMBER,
    SETTING_BYTES,
    SETTING_TIME,
    SETTING_BOOL,
    SETTING_LIST
};

struct settings;
struct settings *settings_new(void); /* all defaults */
void settings_free(struct settings **s);
/* Takes every value of the file or, on any error, none. What the file does not name is kept. A list
 * is a YAML sequence or one text with commas; a yes is yes, true or on. */
MUST_CHECK int settings_parse(struct settings *s, struct span yaml, struct err *e);
/* One value as the file would hold it; a list with commas. */
MUST_CHECK int settings_set(struct settings *s, enum setting_id id, const char *text,
                            struct err *e);
const char *settings_name(enum setting_id id); /* "serve.listen" */

const char *settings_text(const struct settings *s, enum setting_id id); /* borrowed, never NULL */
int64_t settings_number(const struct settings *s, enum setting_id id);   /* count, bytes or us */
bool settings_bool(const struct settings *s, enum setting_id id);
size_t settings_list(const struct settings *s, enum setting_id id, const char *const **out);

/* The commented file with every default, as `init` writes it; appended. */
void settings_write(struct buf *out);
/* The same with the values of `s`. */
void settings_save(const struct settings *s, struct buf *out);
/* A list of {name, value, default, changed, text} per setting, values as texts,
 * new reference. */
json_t *settings_show(const struct settings *s);
