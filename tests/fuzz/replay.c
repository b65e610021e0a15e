/* SPDX-License-Identifier: Apache-2.0
 *
 * The main of a fuzzer that is built without libFuzzer: it runs every file of
 * the corpus that belongs to the program's name (fuzz_NAME), then a number of
 * mutations of each, the same in every run. Files named as arguments are run
 * alone. FUZZ_MUTATIONS sets the number for each file.
 *
 * What is wrong shows as an abort, a sanitizer's report or the alarm.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"

#define FILE_MAX ((size_t)1 << 20)
#define MUTATED_MAX ((size_t)64 << 10) /* larger seeds are cut before they are changed */
#define MUTATIONS 200
#define INPUT_SECONDS 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	char *data;
	size_t len;
};

static char running[512];

static void on_signal(int signal_number)
{
	(void)!write(STDERR_FILENO, running, strlen(running));
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

/* In memory of exactly its size, so that a sanitizer sees any step outside. */
static void run_input(const char *data, size_t len, const char *name, unsigned mutation)
{
	uint8_t *exact = malloc(len ? len : 1);

	if (!exact)
		abort();
	memcpy(exact, data, len);
	snprintf(running, sizeof(running), "while running %.400s, mutation %u\n", name, mutation);
	alarm(INPUT_SECONDS);
	LLVMFuzzerTestOneInput(exact, len);
	alarm(0);
	free(exact);
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* One change in place; `room` is what the buffer holds. */
static void mutate(char *data, size_t *len, size_t room, uint64_t *state)
{
	static const unsigned char telling[] = { 0, 1, 0x7f, 0x80, 0xff, '\n', '"', '{', ':', '-' };
	uint64_t r = next_random(state);
	size_t at = *len ? (size_t)(next_random(state) % *len) : 0;
	size_t n = *len ? (size_t)(next_random(state) % (*len - at)) % 64 + 1 : 0;

	if (*len == 0) {
		data[(*len)++] = (char)r;
		return;
	}
	switch (r % 6) {
	case 0:
		data[at] = (char)(data[at] ^ (1 << (r >> 8) % 8));
		break;
	case 1:
		data[at] = (char)telling[(r >> 8) % sizeof(telling)];
		break;
	case 2:
		data[at] = (char)(r >> 8);
		break;
	case 3: /* cut the end off */
		*len = at;
		break;
	case 4: /* take something out */
		if (n > *len - at)
			n = *len - at;
		memmove(data + at, data + at + n, *len - at - n);
		*len -= n;
		break;
	default: /* repeat something */
		if (n > *len - at)
			n = *len - at;
		if (*len + n > room)
			break;
		memmove(data + at + n, data + at, *len - at);
		*len += n;
	}
}

static void run_mutations(const struct input *in, const char *name, unsigned mutations)
{
	char *buffer = malloc(MUTATED_MAX);
	uint64_t state = 1;

	if (!buffer)
		abort();
	for (unsigned i = 1; i <= mutations; i++) {
		size_t len = in->len < MUTATED_MAX ? in->len : MUTATED_MAX;

		memcpy(buffer, in->data, len);
		for (uint64_t changes = 1 + next_random(&state) % 4; changes; changes--)
			mutate(buffer, &len, MUTATED_MAX, &state);
		run_input(buffer, len, name, i);
	}
	free(buffer);
}

static int run_file(const char *path, unsigned mutations)
{
	struct input in;
	struct mg_error err = { 0 };

	if (file_read(path, FILE_MAX, &in.data, &in.len, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	run_input(in.data, in.len, path, 0);
	run_mutations(&in, path, mutations);
	free(in.data);
	return 0;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int run_corpus(const char *dir, unsigned mutations)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, is_visible, alphasort), failed = 0;

	if (n <= 0) {
		fprintf(stderr, "%s: %s\n", dir, n == 0 ? "no seeds" : strerror(errno));
		return 1;
	}
	for (int i = 0; i < n; i++) {
		char path[4096 + 256 + 2];

		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		failed |= run_file(path, mutations);
		free(entries[i]);
	}
	free(entries);
	printf("%d seeds, %u mutations of each\n", n, mutations);
	return failed;
}

int main(int argc, char **argv)
{
	const char *wish = getenv("FUZZ_MUTATIONS"), *top = getenv("top_srcdir");
	unsigned mutations = wish ? (unsigned)strtoul(wish, NULL, 10) : MUTATIONS;
	const char *name = strstr(program_invocation_short_name, "fuzz_");
	char dir[4096];
	int failed = 0;

	signal(SIGABRT, on_signal);
	signal(SIGALRM, on_signal);
	for (int i = 1; i < argc; i++)
		failed |= run_file(argv[i], 0);
	if (argc > 1)
		return failed;
	snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", top ? top : ".",
		 name ? name + strlen("fuzz_") : "");
	return run_corpus(dir, mutations);
}
