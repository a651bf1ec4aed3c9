#include "db/db_priv.h"

/* SQLite numbers $n by first appearance, so that in SELECT $2, $1 the first value would go to $2;
 * ?n is what other databases mean by $n. */

#define MOST_VALUES 999

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80) != 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* How long the literal, quoted name or comment at `s` is; 0 if there is none. A doubled quote
 * inside ends one literal and begins the next, which comes to the same. */
static size_t quoted(const char *s)
{
    const char *end = NULL;
    size_t last = 1;
    if (*s == '\'' || *s == '"' || *s == '`') {
        end = strchr(s + 1, *s);
    } else if (*s == '[') {
        end = strchr(s + 1, ']');
    } else if (s[0] == '-' && s[1] == '-') {
        end = strchr(s, '\n');
    } else if (s[0] == '/' && s[1] == '*') {
        end = strstr(s + 2, "*/");
        last = 2;
    } else {
        return 0;
    }
    return end == NULL ? strlen(s) : (size_t)(end - s) + last;
}

/* Writes the placeholder at `s` and returns its length, or ERR_BUG. */
static int number(const char *s, struct buf *out, struct err *e)
{
    int value = 0, n = 1;
    while (is_digit(s[n]) && value <= MOST_VALUES) {
        value = value * 10 + (s[n++] - '0');
    }
    if (value < 1 || value > MOST_VALUES || is_word(s[n]) || s[1] == '0') {
        return err_set(e, ERR_BUG, "SQL: a placeholder is $1 to $%d, not %.12s", MOST_VALUES, s);
    }
    buf_fmt(out, "?%d", value);
    return n;
}

int db_number_placeholders(const char *sql, struct buf *out, struct err *e)
{
    bool in_word = false; /* x$1 is a name */
    for (const char *s = sql; *s != '\0';) {
        size_t skip = quoted(s);
        if (skip > 0) {
            buf_add(out, s, skip);
            s += skip;
            in_word = false;
            continue;
        }
        if (*s == '?' || (!in_word && (*s == ':' || *s == '@'))) {
            return err_set(e, ERR_BUG, "SQL: write values as $1, not as %.12s", s);
        }
        if (*s == '$' && !in_word) {
            int n = number(s, out, e);
            if (n < 0) {
                return n;
            }
            s += n;
            continue;
        }
        in_word = is_word(*s) || (in_word && *s == '$');
        buf_char(out, *s++);
    }
    return buf_done(out, "an SQL statement", e);
}
