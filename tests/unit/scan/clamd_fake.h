/* clamd_fake.h - a socket that misbehaves as a broken clamd may. */
#pragma once
#include "check.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct clamd_fake {
    char path[260];
    int listener;
    pthread_t thread;
    /* What it says on each connection in turn, the last one for ever; NULL says nothing and keeps
     * the connection open, "" closes it at once. */
    const struct span *says;
    size_t n_says;
    int open[64];
    size_t n_open;
};

static inline void *clamd_fake_run(void *arg)
{
    struct clamd_fake *f = arg;
    for (size_t turn = 0;; turn++) {
        int c = accept(f->listener, NULL, NULL);
        if (c < 0 || f->n_open == 64) {
            return NULL;
        }
        struct span say = f->says[turn < f->n_says ? turn : f->n_says - 1];
        char request[64];
        if (say.p == NULL) {
            f->open[f->n_open++] = c;
            continue;
        }
        if (say.len == 0 || read(c, request, sizeof request) < 0 ||
            send(c, say.p, say.len, MSG_NOSIGNAL) < 0) {
            close(c);
            continue;
        }
        shutdown(c, SHUT_WR);
        f->open[f->n_open++] = c;
    }
}

static inline void clamd_fake_start(struct clamd_fake *f, const char *dir, const struct span *says,
                                    size_t n)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memset(f, 0, sizeof *f);
    snprintf(f->path, sizeof f->path, "%s/fake", dir);
    unlink(f->path);
    CHECK(strlen(f->path) < sizeof a.sun_path);
    memcpy(a.sun_path, f->path, strlen(f->path));
    f->says = says;
    f->n_says = n;
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(f->listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(f->listener, 8) == 0);
    CHECK(pthread_create(&f->thread, NULL, clamd_fake_run, f) == 0);
}

static inline void clamd_fake_stop(struct clamd_fake *f)
{
    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    for (size_t i = 0; i < f->n_open; i++) {
        close(f->open[i]);
    }
}
