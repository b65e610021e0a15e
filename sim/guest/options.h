/* SPDX-License-Identifier: Apache-2.0
 *
 * What the test guest is told, on the kernel's command line
 * (tagguest.rate=10M …) and later through its control port (rate=10M …).
 */
#ifndef SIM_GUEST_OPTIONS_H
#define SIM_GUEST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_options {
	uint64_t mem;      /* bytes of pattern */
	uint64_t seed;
	double ratio;      /* what LZ4 makes of a page, 1 to 10 */
	unsigned bits;     /* of information in a byte that LZ4 cannot compress, 1 to 8 */
	uint64_t rate;     /* bytes rewritten a second */
	uint64_t ws;       /* bytes that rewriting touches: the first of `mem` */
	uint64_t verify;   /* bytes verified a second */
	uint64_t touch;    /* bytes of a page that rewriting it changes; 0: all of them */
	char disk[32];     /* block device to write and read back; "" for none */
};

void guest_options_init(struct guest_options *o);

/* Takes one KEY=VALUE. With `running` only what can change at run time is
 * known. 0, -ENOENT for an unknown key, -EINVAL or -ERANGE for a bad value. */
int guest_options_set(struct guest_options *o, const char *text, bool running);

/* Takes every word "tagguest.KEY=VALUE" of a kernel command line; keys that
 * init handles (ip, gw, mtu) are passed over. On error the word is copied to
 * ret_bad. */
int guest_options_cmdline(struct guest_options *o, const char *cmdline, char *ret_bad, size_t size);

/* Takes the words of a "set" command, all or none of them. */
int guest_options_update(struct guest_options *o, const char *words, char *ret_bad, size_t size);

/* Fills in what was left open and checks the whole. 0 or -EINVAL. */
int guest_options_finish(struct guest_options *o);

#endif
