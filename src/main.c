/* main.c - cordon: a command, or one of the processes that a command started. */
#include <locale.h>
#include <sodium.h>

#include "base/proc.h"
#include "cli/cli.h"
#include "serve/boot.h"

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    proc_init();
    if (sodium_init() < 0) {
        fputs("cordon: the system gives no random numbers\n", stderr);
        return CLI_FAILED;
    }
    int status = serve_role(argc, argv);
    return status >= 0 ? status : cli_main(argc, argv);
}
