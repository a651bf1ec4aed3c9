#include "serve/http_line.h"

#include "base/clock.h"
#include "base/mem.h"

#define HEAD_TIME (30 * CLOCK_SECOND)
#define BODY_TIME (60 * CLOCK_SECOND)
#define BODY_RATE 16384u /* bytes a second of an upload, on average, after BODY_TIME */
#define SEND_TIME (60 * CLOCK_SECOND)
#define SEND_LEAST 32768u /* bytes acknowledged within SEND_TIME by who wants to be kept */

struct line {
    struct line *next, *before;
    struct conn *conn;
    enum line_phase phase;
    int64_t since; /* of the phase, or of the last look at a sender */
    uint64_t bytes;
};

struct lines {
    pthread_mutex_t lock; /* of all below */
    struct line *first;
    unsigned open;
};

struct lines *lines_new(void)
{
    struct lines *l = mem_new(struct lines);
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void lines_free(struct lines **l)
{
    if (*l != NULL) {
        pthread_mutex_destroy(&(*l)->lock);
        free(*l);
        *l = NULL;
    }
}

unsigned lines_open(struct lines *l)
{
    pthread_mutex_lock(&l->lock);
    unsigned n = l->open;
    pthread_mutex_unlock(&l->lock);
    return n;
}

struct line *line_new(struct lines *l, int fd, bool tls)
{
    struct line *line = mem_new(struct line);
    line->conn = fd >= 0 ? conn_new(fd, tls) : NULL;
    line->since = clock_boot();
    pthread_mutex_lock(&l->lock);
    line->next = l->first;
    if (line->next != NULL) {
        line->next->before = line;
    }
    l->first = line;
    l->open++;
    pthread_mutex_unlock(&l->lock);
    return line;
}

void line_free(struct lines *l, struct line *line)
{
    pthread_mutex_lock(&l->lock);
    *(line->before != NULL ? &line->before->next : &l->first) = line->next;
    if (line->next != NULL) {
        line->next->before = line->before;
    }
    l->open--;
    pthread_mutex_unlock(&l->lock);
    conn_unref(&line->conn);
    free(line);
}

struct conn *line_conn(const struct line *line)
{
    return line != NULL && line->conn != NULL ? conn_ref(line->conn) : NULL;
}

void line_phase(struct lines *l, struct line *line, enum line_phase p)
{
    if (line != NULL) {
        pthread_mutex_lock(&l->lock);
        line->phase = p;
        line->since = clock_boot();
        line->bytes = 0;
        pthread_mutex_unlock(&l->lock);
    }
}

void line_took(struct lines *l, struct line *line, uint64_t bytes, enum line_phase p)
{
    if (line != NULL) {
        pthread_mutex_lock(&l->lock);
        line->bytes += bytes;
        line->phase = p;
        pthread_mutex_unlock(&l->lock);
    }
}

/* Is it time to end this connection? Called under the lock. */
static bool too_slow(struct line *line, int64_t now)
{
    int64_t age = now - line->since;
    if (line->phase == PHASE_HEAD) {
        return age > HEAD_TIME;
    }
    if (line->phase == PHASE_BODY) {
        return age > BODY_TIME &&
               line->bytes / BODY_RATE < (uint64_t)((age - BODY_TIME) / CLOCK_SECOND);
    }
    if (line->phase == PHASE_WAIT || age < SEND_TIME) {
        return false;
    }
    struct conn_count n = conn_count(line->conn);
    bool slow = n.acked - line->bytes < SEND_LEAST && n.written > n.acked;
    line->since = now;
    line->bytes = n.acked;
    return slow;
}

void lines_sweep(struct lines *l)
{
    int64_t now = clock_boot();
    pthread_mutex_lock(&l->lock);
    for (struct line *line = l->first; line != NULL; line = line->next) {
        if (line->conn == NULL || !too_slow(line, now)) {
            continue;
        }
        if (line->phase == PHASE_HEAD) {
            conn_end(line->conn); /* it may still be reading the last reply */
        } else {
            conn_reset(line->conn);
        }
    }
    pthread_mutex_unlock(&l->lock);
}
