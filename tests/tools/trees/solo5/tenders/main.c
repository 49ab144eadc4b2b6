#define _POSIX_C_SOURCE 200809L
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include "version.h"
#if defined(DEBUG) && !defined(HVT_DROP_PRIVILEGES)
#error "flags were replaced, not extended"
#endif
const char where[] = __FILE__;

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--version")) {
        fprintf(stderr, NAME " " SOLO5_VERSION "\nABI version 2\n");
        return 0;
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    char copy[16];
    memcpy(copy, where, argc < 16 ? (size_t)argc : 1);
    printf("%s runs %s\n", argv[0], argc > 1 ? argv[argc - 1] : "nothing");
    seccomp_release(filter);
    return 0;
}
