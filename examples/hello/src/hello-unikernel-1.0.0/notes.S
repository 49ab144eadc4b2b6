/* SPDX-License-Identifier: ISC
 *
 * The notes that a Solo5 tender reads: formats of Solo5's include/elf_abi.h and include/mft_abi.h.
 */
        .macro  device name, type
1:      .asciz  "\name"
        .org    1b + 68
        .4byte  \type
        .org    1b + 104
        .endm

        .section .interp, "a"
        .asciz  "/nonexistent/solo5/"

        .section .note.solo5.not_openbsd, "a", @note
        .balign 4
        .4byte  8, 4, 1
        .asciz  "OpenBSD"
        .4byte  0

        .section .note.solo5.manifest, "a", @note
        .balign 8
        .4byte  6, 3f - 2f, 0x3154464d  /* MFT1 */
        .asciz  "Solo5"
        .balign 4
2:      .balign 8                       /* the tender counts this padding */
        .4byte  1, 3                    /* version, entries */
        device  "", 1 << 30             /* always the first, reserved */
        device  "service", 2            /* NET_BASIC */
        device  "storage", 1            /* BLOCK_BASIC */
3:

        .section .note.solo5.abi, "a", @note
        .balign 4
        .4byte  6, 16, 0x31494241       /* ABI1 */
        .asciz  "Solo5"
        .balign 4
        .4byte  1, 2, 0, 0              /* hvt, version 2, reserved */

        .section .note.GNU-stack, "", @progbits
