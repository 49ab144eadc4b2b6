/* SPDX-License-Identifier: 0BSD */
#include "greeting.h"

const char greeting[] = "Hello from a unikernel\n";
const unsigned long greeting_length = sizeof greeting - 1;
