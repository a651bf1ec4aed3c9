/* fuzz_http_address.c - an address is read back from its text; a network holds its own address; a
 * claim of an untrusted peer changes nothing. */
#include "base/mem.h"
#include "serve/http_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct http_ip ip, again, peer = {{0}};
    struct http_net net;
    char text[HTTP_ADDRESS];
    if (http_ip_parse(in, &ip, NULL) == 0) {
        FUZZ_CHECK(http_ip_parse(span_str(http_ip_text(&ip, text)), &again, NULL) == 0);
        FUZZ_CHECK(memcmp(&ip, &again, sizeof ip) == 0);
    }
    if (http_net_parse(in, &net, NULL) == 0) {
        FUZZ_CHECK(net.bits <= 128 && http_in_net(&net.ip, &net));
    }
    char *header = mem_text(data, size);
    ip = http_client(&peer, header, NULL, 0);
    FUZZ_CHECK(memcmp(&ip, &peer, sizeof ip) == 0);
    net = (struct http_net){.bits = 0}; /* everybody is trusted: the left-most that can be read */
    (void)http_client(&peer, header, &net, 1);
    free(header);
    return 0;
}
