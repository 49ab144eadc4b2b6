/* SPDX-License-Identifier: 0BSD */
extern const char greeting[];
extern const unsigned long greeting_length;
