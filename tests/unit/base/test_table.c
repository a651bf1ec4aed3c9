#include "base/table.h"

#include "check.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

static char *printed(const struct table *t)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    table_print(t, f);
    fclose(f);
    return text;
}

static void columns_are_as_wide_as_they_must(void **state)
{
    (void)state;
    CLEANUP(table_free) struct table *t = table_new((const char *[]){"name", ">bytes", "note"}, 3);
    table_row(t, (const char *[]){"a", "12", "x"});
    table_row(t, (const char *[]){"caf\xC3\xA9-long", "1234567", NULL});
    table_row(t, (const char *[]){"\xE6\xBC\xA2\xE5\xAD\x97", "3", "wide"}); /* two columns each */
    char *text = printed(t);
    CHECK_STR(text, "name         bytes  note\n"
                    "a               12  x\n"
                    "caf\xC3\xA9-long  1234567  \n"
                    "\xE6\xBC\xA2\xE5\xAD\x97             3  wide\n");
    free(text);
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    CLEANUP(table_free) struct table *t = table_new((const char *[]){"name"}, 1);
    table_row(t, (const char *[]){"a\x1b[31m\nb\xFF"});
    char *text = printed(t);
    CHECK_STR(text, "name\na\\x1b[31m\\x0ab\\xff\n");
    free(text);
}

/* A terminal hands over what was written in pieces. */
static void read_until(int fd, const char *last, char *got, size_t room)
{
    for (size_t at = 0; strstr(got, last) == NULL;) {
        ssize_t n = read(fd, got + at, room - 1 - at);
        CHECK(n > 0);
        at += (size_t)n;
    }
}

static void the_last_column_is_cut_to_the_terminal(void **state)
{
    (void)state;
    int pty = -1, tty = -1;
    struct winsize ws = {.ws_row = 24, .ws_col = 12};
    CHECK(openpty(&pty, &tty, NULL, NULL, &ws) == 0);
    FILE *f = fdopen(tty, "w");
    CLEANUP(table_free) struct table *t = table_new((const char *[]){"n", "text"}, 2);
    table_row(t, (const char *[]){"1", "abcdefghi"});
    table_row(t, (const char *[]){"2", "abcdefghij"});
    table_print(t, f);
    fflush(f);
    char got[200] = "";
    read_until(pty, "\xE2\x80\xA6\r\n", got, sizeof got);
    CHECK_STR(got, "n  text\r\n1  abcdefghi\r\n2  abcdefgh\xE2\x80\xA6\r\n");
    fclose(f);
    close(pty);
}

static void sizes_are_short(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        const char *want;
    } cases[] = {{0, "0 B"},
                 {999, "999 B"},
                 {1000, "1.0 kB"},
                 {1234567, "1.2 MB"},
                 {99950000, "99.9 MB"},
                 {123456789, "123 MB"},
                 {1000000000, "1.0 GB"},
                 {UINT64_MAX, "18.4 EB"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[16];
        CHECK_STR(table_bytes(cases[i].n, text), cases[i].want);
    }
}

static void progress_is_for_terminals(void **state)
{
    (void)state;
    int pty = -1, tty = -1, ends[2];
    struct winsize ws = {.ws_row = 24, .ws_col = 20};
    CHECK(openpty(&pty, &tty, NULL, NULL, &ws) == 0 && pipe2(ends, O_NONBLOCK) == 0);
    int old = dup(2);
    dup2(ends[1], 2);
    progress("admit", 1, 2, "a.exe");
    progress_end();
    dup2(tty, 2);
    progress("admit", 120, 200, "a\x1b.exe");
    progress_end();
    dup2(old, 2);
    char got[200] = "";
    CHECK(read(ends[0], got, sizeof got) < 0 && errno == EAGAIN);
    read_until(pty, "\x1b[K\r\x1b[K", got, sizeof got);
    CHECK_STR(got, "\radmit 120 of 200 \xC2\xB7 \x1b[K\r\x1b[K");
    close(ends[0]);
    close(ends[1]);
    close(pty);
    close(tty);
    close(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(columns_are_as_wide_as_they_must),
        TEST(control_characters_do_not_reach_the_terminal),
        TEST(the_last_column_is_cut_to_the_terminal),
        TEST(sizes_are_short),
        TEST(progress_is_for_terminals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
