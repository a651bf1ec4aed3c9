/* banned.h - calls that are too easy to get wrong fail to compile.
 *
 * Include after the system headers that declare them; err.h includes it for everybody. */
#pragma once
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strncpy strcat strncat sprintf vsprintf strtok atoi atol atoll sscanf \
    gmtime localtime mktemp tmpnam system popen alloca gets
