#include "base/curl_lib.h"

#include <dlfcn.h>
#include <pthread.h>

static struct curl_lib lib;
static char fault[200];

static void *find(void *so, const char *name)
{
    void *p = dlsym(so, name);
    if (p == NULL && fault[0] == 0) {
        snprintf(fault, sizeof fault, "libcurl.so.4 lacks %s", name);
    }
    return p;
}

/* POSIX lets a pointer from dlsym() be one to a function; ISO C wants it said by way of a copy. */
#define FIND(member, name)                                                                         \
    do {                                                                                           \
        void *p = find(so, name);                                                                  \
        memcpy(&lib.member, &p, sizeof p);                                                         \
    } while (0)

static void load(void)
{
    CURLcode (*global_init)(long) = NULL;
    void *so = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (so == NULL) {
        snprintf(fault, sizeof fault, "%s; install libcurl4", dlerror());
        return;
    }
    FIND(easy_init, "curl_easy_init");
    FIND(easy_cleanup, "curl_easy_cleanup");
    FIND(easy_setopt, "curl_easy_setopt");
    FIND(easy_perform, "curl_easy_perform");
    FIND(easy_getinfo, "curl_easy_getinfo");
    FIND(easy_strerror, "curl_easy_strerror");
    FIND(slist_append, "curl_slist_append");
    FIND(slist_free_all, "curl_slist_free_all");
    void *p = find(so, "curl_global_init");
    memcpy(&global_init, &p, sizeof p);
    if (fault[0] == 0 && global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        snprintf(fault, sizeof fault, "libcurl does not start");
    }
}

int curl_lib(const struct curl_lib **out, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (fault[0] != 0) {
        return err_set(e, ERR_UNAVAIL, "ask another server: %s", fault);
    }
    *out = &lib;
    return 0;
}
