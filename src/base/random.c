#include "base/random.h"

#include <sys/random.h>

#include "base/banned.h"

void random_bytes(void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)p + done, n - done, 0);
        if (got < 0 && errno != EINTR) {
            abort();
        }
        done += got > 0 ? (size_t)got : 0;
    }
}
