#include "serve/http_text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <sodium.h>
#include <strings.h>

#include "base/limits.h"
#include "base/text.h"

void http_split(struct span target, struct span *path, struct span *query)
{
    const uint8_t *q = target.len > 0 ? memchr(target.p, '?', target.len) : NULL;
    *path = target;
    *query = SPAN_NONE;
    if (q != NULL) {
        path->len = (size_t)(q - target.p);
        *query = span_of(q + 1, target.len - path->len - 1);
    }
}

static int hex_of(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of the text at *i, decoded; negative if the escape is broken. */
static int decode_one(struct span t, size_t *i, bool form)
{
    uint8_t c = t.p[(*i)++];
    if (c == '+' && form) {
        return ' ';
    }
    if (c != '%') {
        return c;
    }
    if (t.len - *i < 2 || hex_of(t.p[*i]) < 0 || hex_of(t.p[*i + 1]) < 0) {
        return -1;
    }
    *i += 2;
    return hex_of(t.p[*i - 2]) * 16 + hex_of(t.p[*i - 1]);
}

int http_decode(struct span text, bool form, struct buf *out, struct err *e)
{
    size_t from = out->len;
    for (size_t i = 0; i < text.len;) {
        int c = decode_one(text, &i, form);
        if (c < 0) {
            return err_set(e, ERR_FORMAT, "a %% without two hex digits behind it");
        }
        bool line_break = c == '\r' || c == '\n' || c == '\t';
        if (c == 0x7f || (c < ' ' && !(form && line_break))) {
            return err_set(e, ERR_FORMAT, "a control character in an address");
        }
        buf_char(out, (char)c);
    }
    int r = buf_done(out, "an address", e);
    if (r == 0 && !text_is_utf8(span_of(out->p + from, out->len - from))) {
        return err_set(e, ERR_FORMAT, "an address that is no UTF-8");
    }
    return r;
}

void http_encode(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != 0 && strchr("/-._~", c) != NULL);
        if (plain) {
            buf_char(out, (char)c);
        } else {
            buf_fmt(out, "%%%02X", c);
        }
    }
}

bool http_pair(struct span *query, struct span *name, struct span *value)
{
    struct span pair;
    if (!span_cut(query, '&', &pair)) {
        return false;
    }
    *value = pair;
    if (!span_cut(value, '=', name)) {
        *name = SPAN_NONE;
    }
    return true;
}

static bool is_token(struct span s)
{
    size_t n = 0;
    while (n < s.len && isxdigit(s.p[n])) {
        n++;
    }
    return n == s.len && n == 64;
}

bool http_query_has_secret(struct span query)
{
    static const char *const names[] = {"token",  "access_token", "auth",    "password",
                                        "passwd", "secret",       "api_key", "apikey",
                                        "bearer", "authorization"};
    struct span name, value;
    while (http_pair(&query, &name, &value)) {
        const struct span bare = name.len == 0 ? value : name;
        if ((name.len == 0 || value.len == 0) && is_token(bare)) {
            return true;
        }
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            if (name.len == strlen(names[i]) &&
                strncasecmp((const char *)name.p, names[i], name.len) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* ---- ranges and tags ---- */

static struct span trim(struct span s)
{
    while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s = span_of(s.p + 1, s.len - 1);
    }
    while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

/* Digits only, leading zeros allowed; what is too large for us is the largest number. */
static bool number(struct span s, uint64_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        unsigned digit = s.p[i] - '0';
        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
    }
    *out = n;
    return s.len > 0;
}

static enum http_range suffix(struct span to, uint64_t size, uint64_t *first, uint64_t *last)
{
    uint64_t n = 0;
    if (!number(to, &n)) {
        return HTTP_RANGE_WHOLE;
    }
    if (n == 0 || size == 0) {
        return HTTP_RANGE_UNSATISFIED;
    }
    *first = n < size ? size - n : 0;
    *last = size - 1;
    return HTTP_RANGE_PART;
}

enum http_range http_range_parse(const char *header, uint64_t size, uint64_t *first, uint64_t *last)
{
    static const char unit[] = "bytes=";
    if (header == NULL || strncasecmp(header, unit, strlen(unit)) != 0) {
        return HTTP_RANGE_WHOLE;
    }
    struct span s = trim(span_str(header + strlen(unit))), from;
    if (s.len == 0 || memchr(s.p, ',', s.len) != NULL || memchr(s.p, '-', s.len) == NULL) {
        return HTTP_RANGE_WHOLE; /* several at once are answered with all of it */
    }
    (void)span_cut(&s, '-', &from);
    from = trim(from);
    s = trim(s);
    if (from.len == 0) {
        return suffix(s, size, first, last);
    }
    uint64_t a = 0, b = UINT64_MAX;
    if (!number(from, &a) || (s.len > 0 && !number(s, &b)) || b < a) {
        return HTTP_RANGE_WHOLE;
    }
    if (a >= size) {
        return HTTP_RANGE_UNSATISFIED;
    }
    *first = a;
    *last = b < size ? b : size - 1;
    return HTTP_RANGE_PART;
}

static bool is_tag(struct span s, const struct digest *d)
{
    char hex[DIGEST_TEXT + 1];
    digest_text(d, hex);
    return s.len == DIGEST_TEXT + 2 && s.p[0] == '"' && s.p[s.len - 1] == '"' &&
           memcmp(s.p + 1, hex, DIGEST_TEXT) == 0;
}

bool http_tag_listed(const char *header, const struct digest *d)
{
    struct span rest = header != NULL ? span_str(header) : SPAN_NONE, one;
    while (header != NULL && span_cut(&rest, ',', &one)) {
        one = trim(one);
        if (span_is(one, "*")) {
            return true;
        }
        if (one.len > 2 && one.p[0] == 'W' && one.p[1] == '/') {
            one = span_of(one.p + 2, one.len - 2);
        }
        if (is_tag(one, d)) {
            return true;
        }
    }
    return false;
}

bool http_if_range(const char *header, const struct digest *d)
{
    return header == NULL || is_tag(trim(span_str(header)), d);
}

/* ---- credentials ---- */

static int no_credential(struct http_credential *out, struct err *e, const char *why)
{
    sodium_memzero(out->user, sizeof out->user);
    sodium_memzero(out->secret, sizeof out->secret);
    return err_set(e, ERR_FORMAT, "the Authorization header %s", why);
}

static int take(char *to, struct span s)
{
    if (s.len > HTTP_SECRET || !text_is_utf8(s)) {
        return ERR_FORMAT;
    }
    memcpy(to, s.len > 0 ? s.p : (const uint8_t *)"", s.len);
    to[s.len] = 0;
    return 0;
}

static int basic(struct span text, struct http_credential *out)
{
    struct buf plain = BUF(2 * HTTP_SECRET + 1);
    int r = text_unbase64(text, &plain, NULL);
    struct span rest = buf_view(&plain), user = SPAN_NONE;
    if (r == 0 && (rest.len == 0 || memchr(rest.p, ':', rest.len) == NULL)) {
        r = ERR_FORMAT;
    }
    if (r == 0) {
        (void)span_cut(&rest, ':', &user);
        r = take(out->user, user);
        r = r < 0 ? r : take(out->secret, rest);
    }
    if (plain.p != NULL) {
        sodium_memzero(plain.p, plain.len);
    }
    buf_clear(&plain);
    return r;
}

int http_credential_parse(const char *header, struct http_credential *out, struct err *e)
{
    *out = (struct http_credential){.given = header != NULL};
    if (header == NULL) {
        return 0;
    }
    struct span s = trim(span_str(header)), scheme;
    if (!span_cut(&s, ' ', &scheme)) {
        return no_credential(out, e, "is empty");
    }
    s = trim(s);
    if (scheme.len == 5 && strncasecmp((const char *)scheme.p, "basic", 5) == 0) {
        out->basic = true;
        return basic(s, out) == 0 ? 0 : no_credential(out, e, "holds no USER:TOKEN in base64");
    }
    if (scheme.len == 6 && strncasecmp((const char *)scheme.p, "bearer", 6) == 0) {
        return s.len > 0 && take(out->secret, s) == 0 ? 0 : no_credential(out, e, "holds no token");
    }
    return no_credential(out, e, "is neither Basic nor Bearer");
}

/* ---- addresses ---- */

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int http_ip_parse(struct span text, struct http_ip *out, struct err *e)
{
    char name[INET6_ADDRSTRLEN];
    struct in_addr four;
    struct in6_addr six;
    if (text.len == 0 || text.len >= sizeof name || memchr(text.p, 0, text.len) != NULL) {
        return err_set(e, ERR_FORMAT, "no IP address");
    }
    memcpy(name, text.p, text.len);
    name[text.len] = 0;
    if (inet_pton(AF_INET, name, &four) == 1) {
        memcpy(out->b, mapped, sizeof mapped);
        memcpy(out->b + 12, &four, 4);
        return 0;
    }
    if (inet_pton(AF_INET6, name, &six) == 1) {
        memcpy(out->b, &six, 16);
        return 0;
    }
    return err_set(e, ERR_FORMAT, "\"%.60s\" is no IP address", name);
}

int http_net_parse(struct span text, struct http_net *out, struct err *e)
{
    struct span bits = trim(text), ip;
    uint64_t n = 128;
    bool slash = bits.len > 0 && memchr(bits.p, '/', bits.len) != NULL;
    if (!span_cut(&bits, '/', &ip)) {
        return err_set(e, ERR_FORMAT, "an empty network");
    }
    struct http_net net;
    int r = http_ip_parse(ip, &net.ip, e);
    if (r < 0) {
        return r;
    }
    unsigned skip =
        memcmp(net.ip.b, mapped, sizeof mapped) == 0 && memchr(ip.p, ':', ip.len) == NULL ? 96 : 0;
    if (slash) {
        r = text_u64(bits, 128 - skip, &n, e);
        n += skip;
    }
    if (r == 0) {
        net.bits = (unsigned)n;
        *out = net;
    }
    return r;
}

bool http_ip_of(const struct sockaddr *a, struct http_ip *out)
{
    if (a != NULL && a->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, a, sizeof in);
        memcpy(out->b, mapped, sizeof mapped);
        memcpy(out->b + 12, &in.sin_addr, 4);
        return true;
    }
    if (a != NULL && a->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, a, sizeof in6);
        memcpy(out->b, &in6.sin6_addr, 16);
        return true;
    }
    return false;
}

bool http_in_net(const struct http_ip *ip, const struct http_net *net)
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(ip->b, net->ip.b, whole) != 0) {
        return false;
    }
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return rest == 0 || ((ip->b[whole] ^ net->ip.b[whole]) & mask) == 0;
}

bool http_ip_loopback(const struct http_ip *ip)
{
    static const struct http_ip six = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
    return memcmp(ip, &six, sizeof six) == 0 ||
           (memcmp(ip->b, mapped, sizeof mapped) == 0 && ip->b[12] == 127);
}

const char *http_ip_text(const struct http_ip *ip, char out[static HTTP_ADDRESS])
{
    bool four = memcmp(ip->b, mapped, sizeof mapped) == 0;
    if (inet_ntop(four ? AF_INET : AF_INET6, four ? ip->b + 12 : ip->b, out, HTTP_ADDRESS) ==
        NULL) {
        out[0] = 0;
    }
    return out;
}

static bool trusted_ip(const struct http_ip *ip, const struct http_net *nets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (http_in_net(ip, &nets[i])) {
            return true;
        }
    }
    return false;
}

struct http_ip http_client(const struct http_ip *peer, const char *forwarded,
                           const struct http_net *trusted, size_t n)
{
    struct http_ip at = *peer;
    struct span rest = forwarded != NULL ? span_str(forwarded) : SPAN_NONE;
    while (rest.len > 0 && trusted_ip(&at, trusted, n)) {
        size_t from = rest.len;
        while (from > 0 && rest.p[from - 1] != ',') {
            from--;
        }
        struct http_ip next;
        if (http_ip_parse(trim(span_of(rest.p + from, rest.len - from)), &next, NULL) < 0) {
            break;
        }
        at = next;
        rest.len = from > 0 ? from - 1 : 0;
    }
    return at;
}

/* ---- status ---- */

int http_status(int code)
{
    static const struct {
        int code, status;
    } map[] = {{ERR_LIMIT, 413},    {ERR_FORMAT, 400},  {ERR_DENIED, 403}, {ERR_NOTFOUND, 404},
               {ERR_CONFLICT, 409}, {ERR_UNAVAIL, 503}, {ERR_TRUST, 422}};
    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (map[i].code == code) {
            return map[i].status;
        }
    }
    return 500;
}
