/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/tcp_filter.h"

#include <assert.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "telemetry/tcp_segment.h"

#define GROUP 8 /* keys that are compared one by one; a jump is short */

/* Where things are in a frame without tags. The filter's X has what comes on top of that. */
#define AT_TYPE 12
#define AT_IP 14
#define AT_V4_FRAGMENT (AT_IP + 6)
#define AT_V4_PROTOCOL (AT_IP + 9)
#define AT_V4_FROM (AT_IP + 12)
#define AT_V4_TO (AT_IP + 16)
#define AT_V6_PROTOCOL (AT_IP + 6)
#define AT_V6_FROM_END (AT_IP + 20)
#define AT_V6_TO_END (AT_IP + 36)
#define V6_HEADER 40
#define AT_TCP_LENGTH 12 /* behind what X and AT_IP say */
/* In the upper four bits, in words: a TCP header with time stamps. */
#define LENGTH_WITH_STAMPS 0x80

/* The filter's memory. */
enum { KEY_FROM, KEY_TO };

struct program {
	struct sock_filter *code;
	size_t n;
};

/* ---- Instructions ------------------------------------------------------------------- */

static void put(struct program *p, uint16_t code, uint32_t k)
{
	assert(p->n < TCP_FILTER_SIZE);
	p->code[p->n++] = (struct sock_filter)BPF_STMT(code, k);
}

static void put_jump(struct program *p, uint16_t test, uint32_t k, uint8_t if_so, uint8_t if_not)
{
	put(p, BPF_JMP | BPF_K | test, k);
	p->code[p->n - 1].jt = if_so;
	p->code[p->n - 1].jf = if_not;
}

static void put_drop(struct program *p)
{
	put(p, BPF_RET | BPF_K, 0);
}

/* A jump to what is put next after land(); as long as it takes. */
static size_t put_far_jump(struct program *p)
{
	put(p, BPF_JMP | BPF_JA, 0);
	return p->n;
}

static void land(struct program *p, size_t jump)
{
	p->code[jump - 1].k = (uint32_t)(p->n - jump);
}

/* ---- What passes -------------------------------------------------------------------- */

static void put_type(struct program *p)
{
	put(p, BPF_LDX | BPF_IMM, 0);
	put(p, BPF_LD | BPF_H | BPF_ABS, AT_TYPE);
	for (uint32_t i = 1; i <= TCP_SEGMENT_TAGS; i++) {
		put_jump(p, BPF_JEQ, ETHERTYPE_VLAN, 1, 0);
		put_jump(p, BPF_JEQ, 0x88a8, 0, 2);
		put(p, BPF_LDX | BPF_IMM, 4 * i);
		put(p, BPF_LD | BPF_H | BPF_IND, AT_TYPE);
	}
}

static void put_keys(struct program *p, uint32_t at_from, uint32_t at_to)
{
	put(p, BPF_LD | BPF_W | BPF_IND, at_from);
	put(p, BPF_ST, KEY_FROM);
	put(p, BPF_LD | BPF_W | BPF_IND, at_to);
	put(p, BPF_ST, KEY_TO);
}

/* Both leave X where the IP header, less AT_IP, ends. */
static void put_v4(struct program *p)
{
	put(p, BPF_LD | BPF_B | BPF_IND, AT_V4_PROTOCOL);
	put_jump(p, BPF_JEQ, IPPROTO_TCP, 1, 0);
	put_drop(p);
	put(p, BPF_LD | BPF_H | BPF_IND, AT_V4_FRAGMENT);
	put_jump(p, BPF_JSET, 0x3fff, 0, 1);
	put_drop(p);
	put_keys(p, AT_V4_FROM, AT_V4_TO);
	put(p, BPF_LD | BPF_B | BPF_IND, AT_IP);
	put(p, BPF_ALU | BPF_AND | BPF_K, 15);
	put(p, BPF_ALU | BPF_LSH | BPF_K, 2);
	put(p, BPF_ALU | BPF_ADD | BPF_X, 0);
	put(p, BPF_MISC | BPF_TAX, 0);
}

static void put_v6(struct program *p)
{
	put(p, BPF_LD | BPF_B | BPF_IND, AT_V6_PROTOCOL);
	put_jump(p, BPF_JEQ, IPPROTO_TCP, 1, 0);
	put_drop(p);
	put_keys(p, AT_V6_FROM_END, AT_V6_TO_END);
	put(p, BPF_MISC | BPF_TXA, 0);
	put(p, BPF_ALU | BPF_ADD | BPF_K, V6_HEADER);
	put(p, BPF_MISC | BPF_TAX, 0);
}

static void put_pass(struct program *p)
{
	put(p, BPF_RET | BPF_K, TCP_SEGMENT_HEADERS);
}

static void put_begin(struct program *p)
{
	size_t over_v4, over_v6;

	put_type(p);
	put_jump(p, BPF_JEQ, ETHERTYPE_IP, 0, 1);
	over_v6 = put_far_jump(p);
	put_jump(p, BPF_JEQ, ETHERTYPE_IPV6, 1, 0);
	put_drop(p);
	put_v6(p);
	over_v4 = put_far_jump(p);
	land(p, over_v6);
	put_v4(p);
	land(p, over_v4);
	put(p, BPF_LD | BPF_B | BPF_IND, AT_IP + AT_TCP_LENGTH);
	put_jump(p, BPF_JGE, LENGTH_WITH_STAMPS, 1, 0);
	put_drop(p);
}

/* Goes on behind the search where the key is none of these; `ends` are the jumps to there. */
static void put_group(struct program *p, const uint32_t *keys, size_t n, size_t *ends,
		      size_t *n_ends)
{
	for (size_t i = 0; i < n; i++)
		put_jump(p, BPF_JEQ, keys[i], (uint8_t)(n - i), 0);
	ends[(*n_ends)++] = put_far_jump(p);
	put_pass(p);
}

static void put_tree(struct program *p, const uint32_t *keys, size_t n, size_t *ends,
		     size_t *n_ends)
{
	size_t half = n / 2, right;

	if (n <= GROUP) {
		put_group(p, keys, n, ends, n_ends);
		return;
	}
	put_jump(p, BPF_JGE, keys[half], 0, 1);
	right = put_far_jump(p);
	put_tree(p, keys, half, ends, n_ends);
	land(p, right);
	put_tree(p, keys + half, n - half, ends, n_ends);
}

static void put_search(struct program *p, uint32_t which, const uint32_t *keys, size_t n)
{
	size_t ends[TCP_FILTER_HOSTS], n_ends = 0;

	put(p, BPF_LD | BPF_MEM, which);
	put_tree(p, keys, n, ends, &n_ends);
	for (size_t i = 0; i < n_ends; i++)
		land(p, ends[i]);
}

/* ---- Filters ------------------------------------------------------------------------ */

uint32_t tcp_filter_key(const struct address *host)
{
	uint32_t key;

	if (host->any.sa_family == AF_INET)
		return ntohl(host->v4.sin_addr.s_addr);
	memcpy(&key, &host->v6.sin6_addr.s6_addr[12], sizeof(key));
	return ntohl(key);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

size_t tcp_filter_sort(uint32_t *keys, size_t n)
{
	size_t kept = 0;

	qsort(keys, n, sizeof(*keys), compare);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || keys[i] != keys[kept - 1])
			keys[kept++] = keys[i];
	return kept;
}

size_t tcp_filter_make(const uint32_t *keys, size_t n, struct sock_filter ret[TCP_FILTER_SIZE])
{
	struct program p = { .code = ret };

	assert(n <= TCP_FILTER_HOSTS);
	if (n > 0) {
		put_begin(&p);
		put_search(&p, KEY_FROM, keys, n);
		put_search(&p, KEY_TO, keys, n);
	}
	put_drop(&p);
	return p.n;
}

size_t tcp_filter_make_open(struct sock_filter ret[TCP_FILTER_SIZE])
{
	struct program p = { .code = ret };

	put_begin(&p);
	put_pass(&p);
	return p.n;
}
