/* SPDX-License-Identifier: ISC
 *
 * Prints the greeting and stops. The hypercalls are those of Solo5's include/hvt_abi.h, version 2:
 * the guest-physical address of the arguments is written to port 0x500 + number.
 */
#include <stdint.h>

#include <greeting.h>

enum { PORTS = 0x500, PUTS = 2, HALT = 8 };

struct puts {
    uint64_t data;
    uint64_t length;
};

struct halt {
    uint64_t cookie;
    int32_t exit_status;
};

static void hypercall(unsigned number, volatile void *arguments)
{
    __asm__ volatile("outl %0, %w1"
                     :
                     : "a"((uint32_t)(uintptr_t)arguments), "d"(PORTS + number)
                     : "memory");
}

_Noreturn void _start(void)
{
    struct puts text = {(uintptr_t)greeting, greeting_length};
    struct halt end = {0, 0};

    hypercall(PUTS, &text);
    for (;;)
        hypercall(HALT, &end);
}
