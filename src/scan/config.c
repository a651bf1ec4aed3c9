#include "scan/scan_priv.h"

#include "base/mem.h"

void scan_config_from(struct scan_config *c, const struct settings *s)
{
    *c = (struct scan_config){
        .limits = {.memory = (uint64_t)settings_number(s, SETTING_SCAN_MEMORY),
                   .time = settings_number(s, SETTING_SCAN_TIME),
                   .max_file = (uint64_t)settings_number(s, SETTING_SCAN_MAX_FILE),
                   .unpacked = (uint64_t)settings_number(s, SETTING_SCAN_UNPACKED),
                   .members = (uint64_t)settings_number(s, SETTING_SCAN_MEMBERS),
                   .depth = (uint64_t)settings_number(s, SETTING_SCAN_DEPTH),
                   .ratio = (uint64_t)settings_number(s, SETTING_SCAN_RATIO)},
        .workers = (size_t)settings_number(s, SETTING_SCAN_WORKERS),
        .batch = SCAN_BATCH,
        .own_rules = true,
        .rules_max_age = settings_number(s, SETTING_RULES_MAX_AGE),
        .clamd_socket = "",
        .clamd_max_age = settings_number(s, SETTING_CLAMD_MAX_AGE),
        .clamd_time = settings_number(s, SETTING_CLAMD_TIME)};
    c->n_required = settings_list(s, SETTING_ENGINES, &c->required);
    if (scan_listed(c->required, c->n_required, "clamd")) {
        c->clamd_socket = settings_text(s, SETTING_CLAMD_SOCKET);
    }
}

bool scan_listed(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static const char *const *copy_list(const char *const *list, size_t n)
{
    const char **copy = mem_array(const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        copy[i] = mem_str(list[i]);
    }
    return copy;
}

static void free_list(const char *const *list, size_t n)
{
    for (size_t i = 0; list != NULL && i < n; i++) {
        free((void *)(uintptr_t)list[i]);
    }
    free((void *)(uintptr_t)list);
}

void scan_config_copy(struct scan_config *to, const struct scan_config *from)
{
    *to = *from;
    to->required = copy_list(from->required, from->n_required);
    to->rules = copy_list(from->rules, from->n_rules);
    to->engines = from->engines != NULL ? copy_list(from->engines, from->n_engines) : NULL;
    to->names = from->names != NULL ? copy_list(from->names, from->n_names) : NULL;
    to->clamd_socket = mem_str(from->clamd_socket != NULL ? from->clamd_socket : "");
    to->workers = from->workers == 0 ? 1 : from->workers;
    to->batch = from->batch == 0 || from->batch > SCAN_BATCH ? SCAN_BATCH : from->batch;
}

void scan_config_clear(struct scan_config *c)
{
    free_list(c->required, c->n_required);
    free_list(c->rules, c->n_rules);
    free_list(c->engines, c->n_engines);
    free_list(c->names, c->n_names);
    free((void *)(uintptr_t)c->clamd_socket);
    *c = (struct scan_config){0};
}
