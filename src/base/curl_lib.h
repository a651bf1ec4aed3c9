/* curl_lib.h - libcurl, loaded when first needed.
 *
 * Every scan worker is a fresh process of this program, and libcurl with the libraries behind it
 * took a third of the time that one needs to start; only few commands ever ask another server. It
 * also keeps all that code out of the processes that hold keys or parse untrusted bytes. */
#pragma once
#include "base/err.h"

#include <curl/curl.h>

struct curl_lib {
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *);
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_perform)(CURL *);
    CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
    const char *(*easy_strerror)(CURLcode);
    struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
    void (*slist_free_all)(struct curl_slist *);
};

/* Any thread. ERR_UNAVAIL if the library is not there. *out lives as long as the process. */
MUST_CHECK int curl_lib(const struct curl_lib **out, struct err *e);
