/* The table of commands is the only place that dispatch, help and manual come from. */
#include "cli/help.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"

#define WIDTH 80

static char *captured(void (*print)(FILE *out, const struct command *c), const struct command *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    CHECK(f != NULL);
    print(f, c);
    fclose(f);
    return text;
}

static char *name_of(const struct command *c)
{
    return mem_printf("%s%s%s", c->group != NULL ? c->group : "", c->group != NULL ? " " : "",
                      c->name);
}

static void commands_are_sorted_and_unique(void **state)
{
    (void)state;
    for (size_t i = 1; cli_commands[i] != NULL; i++) {
        CLEANUP(mem_free) char *a = name_of(cli_commands[i - 1]);
        CLEANUP(mem_free) char *b = name_of(cli_commands[i]);
        if (strcmp(a, b) >= 0) {
            print_error("%s stands before %s\n", a, b);
        }
        CHECK(strcmp(a, b) < 0);
    }
}

static void each_is_found_under_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        CHECK(cli_find(cli_commands[i]->group, cli_commands[i]->name) == cli_commands[i]);
    }
    CHECK(cli_find(NULL, "org") == NULL && cli_find("org", "nothing") == NULL);
}

static void fits(const char *text, const char *of)
{
    struct span rest = span_str(text), line;
    while (span_cut(&rest, '\n', &line)) {
        if (line.len > WIDTH) {
            print_error("%s: %.*s\n", of, (int)line.len, (const char *)line.p);
        }
        CHECK(line.len <= WIDTH);
    }
}

static void all_and_usage(FILE *out, const struct command *c)
{
    (void)c;
    help_all(out);
}

static void help_fits_eighty_columns(void **state)
{
    (void)state;
    CLEANUP(mem_free) char *all = captured(all_and_usage, NULL);
    fits(all, "cordon --help");
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        CLEANUP(mem_free) char *text = captured(help_command, cli_commands[i]);
        fits(text, cli_commands[i]->name);
    }
}

static void help_names_every_option_and_each_option_has_a_meaning(void **state)
{
    (void)state;
    size_t n_common = 0;
    const struct option_def *common = cli_common(&n_common);
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct command *c = cli_commands[i];
        CLEANUP(mem_free) char *text = captured(help_command, c);
        for (size_t k = 0; k < c->n_options; k++) {
            CLEANUP(mem_free) char *option = mem_printf("--%s", c->options[k].name);
            CHECK(strstr(text, option) != NULL && c->options[k].help[0] != 0);
            CHECK((c->options[k].arg == NULL) == (c->options[k].kind == OPTION_FLAG));
            for (size_t m = 0; m < n_common; m++) { /* the last of two equal names would be lost */
                CHECK(strcmp(common[m].name, c->options[k].name) != 0);
                CHECK(common[m].letter == 0 || common[m].letter != c->options[k].letter);
            }
        }
        for (size_t k = 0; k < n_common; k++) {
            CLEANUP(mem_free) char *option = mem_printf("--%s", common[k].name);
            CHECK(strstr(text, option) != NULL);
        }
    }
}

static void the_overview_names_every_command_but_hidden_ones(void **state)
{
    (void)state;
    CLEANUP(mem_free) char *all = captured(all_and_usage, NULL);
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        CLEANUP(mem_free) char *name = name_of(cli_commands[i]);
        CLEANUP(mem_free) char *row = mem_printf("\n  %s ", name);
        CHECK((strstr(all, row) != NULL) == !cli_commands[i]->hidden);
    }
}

static void the_nearest_command_is_suggested(void **state)
{
    (void)state;
    static const struct {
        const char *said, *want;
    } cases[] = {{"admti", "admit"}, {"log verfy", "log verify"}, {"xyzzyplugh", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(mem_free) char *near = help_nearest(cases[i].said);
        CHECK((near == NULL) == (cases[i].want == NULL));
        if (near != NULL) {
            CHECK_STR(near, cases[i].want);
        }
    }
}

static int lint(const char *path)
{
    int status = -1;
    char *const argv[] = {mem_str("mandoc"), mem_str("-Tlint"), mem_str("-Wwarning"), mem_str(path),
                          NULL};
    char *const env[] = {NULL};
    pid_t pid;
    CHECK(posix_spawn(&pid, "/usr/bin/mandoc", NULL, NULL, argv, env) == 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    for (size_t i = 0; argv[i] != NULL; i++) {
        free(argv[i]);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* mandoc where the machine has it: the whole page, and each command's. */
static void manual_pages_are_good_roff(void **state)
{
    (void)state;
    if (access("/usr/bin/mandoc", X_OK) != 0) {
        skip();
    }
    struct check_dir t = check_dir();
    for (size_t i = 0;; i++) {
        CLEANUP(mem_free) char *text = captured(help_man, i == 0 ? NULL : cli_commands[i - 1]);
        CLEANUP(mem_free) char *path = mem_printf("%s/page.1", t.path);
        FILE *f = fopen(path, "we");
        CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
        CHECK(lint(path) == 0);
        if (cli_commands[i] == NULL) {
            break;
        }
    }
    check_dir_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_are_sorted_and_unique),
        TEST(each_is_found_under_its_name),
        TEST(help_fits_eighty_columns),
        TEST(help_names_every_option_and_each_option_has_a_meaning),
        TEST(the_overview_names_every_command_but_hidden_ones),
        TEST(the_nearest_command_is_suggested),
        TEST(manual_pages_are_good_roff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
