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
enum setting_type { SETTING_TEXT, SETTING_NUMBER, SETTING_BYTES, SETTING_TIME, SETTING_BOOL, SETTING_LIST };

struct settings;
struct settings *settings_new(void); /* all defaults */
void settings_free(struct settings **s);
MUST_CHECK int settings_parse(struct settings *s, struct span yaml, struct err *e);

const char *settings_text(const struct settings *s, enum setting_id id); /* borrowed, never NULL */
int64_t settings_number(const struct settings *s, enum setting_id id); /* count, bytes or us */
bool settings_bool(const struct settings *s, enum setting_id id);
size_t settings_list(const struct settings *s, enum setting_id id, const char *const **out);

/* The commented file with every default, as `init` writes it; appended. */
void settings_write(struct buf *out);
/* {name, value, default, changed, text} per setting, new reference. */
json_t *settings_show(const struct settings *s);
