/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantities as people write them, in files and on command lines.
 *
 *   size      "512M", "2GiB", "4096"        K M G T are powers of 1024; bytes
 *   duration  "20ms", "1.5s", "250us", "2m" a unit is required; nanoseconds
 *   rate      "200Mbit", "1Gbit", "64kbit"  powers of 1000; bits a second
 *
 * All return 0, -EINVAL (not such a quantity) or -ERANGE.
 */
#ifndef COMMON_UNITS_H
#define COMMON_UNITS_H

#include <stddef.h>
#include <stdint.h>

int size_parse(const char *text, uint64_t *ret_bytes);
int duration_parse(const char *text, uint64_t *ret_ns);
int rate_parse(const char *text, uint64_t *ret_bits_per_s);

#define UNITS_TEXT_SIZE 32

/* For people, three significant digits: "1.50 GiB", "12.3 ms", "200 Mbit/s". */
const char *size_format(uint64_t bytes, char text[UNITS_TEXT_SIZE]);
const char *duration_format(uint64_t ns, char text[UNITS_TEXT_SIZE]);
const char *rate_format(uint64_t bits_per_s, char text[UNITS_TEXT_SIZE]);

/* "2026-12-01T02:00Z", with or without seconds, as nanoseconds UTC; -EINVAL. */
int instant_parse(const char *text, uint64_t *ret_utc_ns);

#endif
