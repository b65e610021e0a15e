/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "migrator/image_store.h"

#define PAGES 256
#define IMAGE_BYTES image_file_bytes(PAGES, PAGES)

static char dir[] = "/tmp/test-store-XXXXXX";
static sd_event *loop;
static uint8_t keys[8][IMAGE_KEY_SIZE];

static void setup(void)
{
	cr_assert_geq(sodium_init(), 0);
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(sd_event_new(&loop), 0);
	randombytes_buf(keys, sizeof(keys));
}

static void teardown(void)
{
	char command[80];

	sd_event_unref(loop);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(image_store, .init = setup, .fini = teardown);

static struct image_store *open_store(uint64_t budget, uint64_t max_age_ns)
{
	const struct image_store_config config = { dir, budget, max_age_ns };
	struct image_store *s = NULL;
	struct mg_error err = { 0 };

	cr_assert_eq(image_store_open(loop, &config, &s, &err), 0, "%s", err.text);
	return s;
}

static int make_ram(uint8_t fill)
{
	uint8_t page[PAGE_SIZE_BYTES];
	int fd = memfd_create("ram", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	for (unsigned i = 0; i < PAGES; i++) {
		memset(page, fill, sizeof(page));
		page[0] = (uint8_t)i;
		cr_assert_eq(write(fd, page, sizeof(page)), (ssize_t)sizeof(page));
	}
	return fd;
}

static void begin(struct image_store *s, unsigned vm)
{
	const struct uuid id = uuid_random();
	char name[16];

	snprintf(name, sizeof(name), "vm%u", vm);
	image_store_keep(s, &id, name, keys[vm], make_ram((uint8_t)(vm + 1)),
			 PAGES * PAGE_SIZE_BYTES);
}

static void finish(struct image_store *s)
{
	while (image_store_waiting_bytes(s))
		sd_event_run(loop, 100000);
	while (sd_event_run(loop, 0) > 0)
		;
}

/* The result comes as an event after the memory has been given back. */
static void keep(struct image_store *s, unsigned vm)
{
	struct uuid key_id = image_key_id(keys[vm]);
	size_t i;

	begin(s, vm);
	do {
		sd_event_run(loop, 100000);
		for (i = 0; image_store_at(s, i); i++)
			if (uuid_equal(&image_store_at(s, i)->header.key_id, &key_id))
				break;
	} while (!image_store_at(s, i));
}

static bool has(struct image_store *s, unsigned vm)
{
	struct image *image;

	if (image_store_find(s, keys[vm], &image) < 0)
		return false;
	image_free(image);
	return true;
}

static size_t count(const struct image_store *s)
{
	size_t n = 0;

	while (image_store_at(s, n))
		n++;
	return n;
}

static size_t count_files(void)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	size_t n = 0;

	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

Test(image_store, keeps_and_finds_after_a_restart)
{
	struct image_store *s = open_store(UINT64_MAX, 0);
	uint8_t page[PAGE_SIZE_BYTES];
	struct image *image;

	keep(s, 0);
	keep(s, 1);
	cr_assert_str_eq(image_store_at(s, 0)->header.name, "vm1", "the newest comes first");
	image_store_free(s);
	s = open_store(UINT64_MAX, 0);
	cr_assert_eq(count(s), 2);
	cr_assert_eq(image_store_find(s, keys[1], &image), 0);
	cr_assert_eq(image_read(image, 7, page), 0);
	cr_assert_eq(page[0], 7);
	cr_assert_eq(page[1], 2);
	image_free(image);
	cr_assert_not(has(s, 2));
	image_store_free(s);
}

Test(image_store, a_vm_has_one_image)
{
	struct image_store *s = open_store(UINT64_MAX, 0);

	keep(s, 0);
	keep(s, 0);
	cr_assert_eq(count(s), 1);
	cr_assert_eq(count_files(), 1);
	image_store_free(s);
}

Test(image_store, what_was_not_used_for_longest_makes_room)
{
	struct image_store *s = open_store(3 * IMAGE_BYTES, 0);

	keep(s, 0);
	keep(s, 1);
	keep(s, 2);
	cr_assert(has(s, 0)); /* used: now 1 is the oldest */
	keep(s, 3);
	cr_assert_not(has(s, 1));
	cr_assert(has(s, 2));
	cr_assert(has(s, 0));
	cr_assert(has(s, 3));
	cr_assert_eq(count_files(), 3);
	image_store_free(s);
	s = open_store(IMAGE_BYTES, 0); /* a smaller budget after a restart */
	cr_assert_eq(count(s), 1);
	image_store_free(s);
}

Test(image_store, one_beyond_the_budget_is_not_kept)
{
	struct image_store *s = open_store(IMAGE_BYTES - 1, 0);

	begin(s, 0);
	finish(s);
	cr_assert_eq(count(s), 0);
	image_store_free(s);
	cr_assert_eq(count_files(), 0);
}

Test(image_store, without_a_budget_nothing_is_kept)
{
	struct image_store *s = open_store(UINT64_MAX, 0);

	keep(s, 0);
	image_store_free(s);
	s = open_store(0, 0);
	cr_assert_eq(count_files(), 0);
	begin(s, 1);
	cr_assert_eq(image_store_waiting_bytes(s), 0);
	cr_assert_eq(count(s), 0);
	image_store_free(s);
}

Test(image_store, what_is_too_old_goes)
{
	struct image_store *s = open_store(UINT64_MAX, 3600 * NS_PER_S);

	keep(s, 0);
	cr_assert(has(s, 0));
	image_store_free(s);
	s = open_store(UINT64_MAX, 1);
	cr_assert_not(has(s, 0));
	cr_assert_eq(count_files(), 0);
	image_store_free(s);
}

static void damage(const struct image_store *s, off_t at, bool cut)
{
	char path[128], id[UUID_TEXT_SIZE];
	uint8_t byte;
	int fd;

	snprintf(path, sizeof(path), "%s/%s.image", dir,
		 uuid_format(&image_store_at(s, 0)->header.id, id));
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	if (at < 0)
		at += (off_t)IMAGE_BYTES;
	if (cut) {
		cr_assert_eq(ftruncate(fd, at), 0);
	} else {
		cr_assert_eq(pread(fd, &byte, 1, at), 1);
		byte ^= 1;
		cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
}

Test(image_store, a_damaged_one_is_dropped)
{
	struct image_store *s = open_store(UINT64_MAX, 0);
	const struct {
		off_t at;
		bool cut;
	} cases[] = { { 100, false }, { -1, false }, { -100, true }, { 0, true } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		keep(s, 0);
		damage(s, cases[i].at, cases[i].cut);
		cr_assert_not(has(s, 0), "case %zu", i);
		cr_assert_eq(count(s), 0);
		cr_assert_eq(count_files(), 0);
	}
	image_store_free(s);
}

static void put_file(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_eq(write(fd, "tagimage", 8), 8);
	close(fd);
}

Test(image_store, one_that_cannot_be_opened_for_a_moment_stays)
{
	struct image_store *s = open_store(8 * IMAGE_BYTES, 0);
	struct rlimit files, none;
	struct image *image;

	keep(s, 0);
	finish(s);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = (struct rlimit){ 3, files.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_assert_eq(image_store_find(s, keys[0], &image), -EMFILE);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	cr_assert(has(s, 0));
	image_store_free(s);
}

Test(image_store, what_a_crash_left_is_swept)
{
	struct image_store *s = open_store(UINT64_MAX, 0);

	keep(s, 0);
	image_store_free(s);
	put_file("0b0e7e1c-1111-4111-8111-0123456789ab.image.part");
	put_file("0b0e7e1c-2222-4111-8111-0123456789ab.image");
	put_file("not-ours.txt");
	s = open_store(UINT64_MAX, 0);
	cr_assert_eq(count(s), 1);
	cr_assert_eq(count_files(), 2, "the image, and what is not ours");
	image_store_free(s);
}

Test(image_store, removing_reaches_what_is_being_written)
{
	struct image_store *s = open_store(UINT64_MAX, 0);
	struct uuid key_id = image_key_id(keys[1]), id;

	keep(s, 0);
	begin(s, 1);
	begin(s, 2);
	cr_assert_eq(image_store_remove_key(s, &key_id), 1);
	id = image_store_at(s, count(s) - 1)->header.id;
	cr_assert_eq(image_store_remove(s, &id), 1);
	cr_assert_eq(image_store_remove(s, &id), 0);
	while (!has(s, 2))
		sd_event_run(loop, 100000);
	cr_assert_eq(count(s), 1);
	cr_assert_eq(count_files(), 1);
	image_store_free(s);
}

Test(image_store, memory_that_is_needed_is_given_back)
{
	struct image_store *s = open_store(UINT64_MAX, 0);

	begin(s, 0);
	begin(s, 1);
	cr_assert_geq(image_store_waiting_bytes(s), PAGES * PAGE_SIZE_BYTES);
	image_store_give_way(s);
	cr_assert_eq(image_store_waiting_bytes(s), 0);
	cr_assert_eq(count_files(), 0);
	keep(s, 2);
	image_store_free(s);
}

/* As much disk as half an image takes, in a mount namespace of this test alone. */
Test(image_store, a_full_disk_loses_the_image_only)
{
	struct image_store *s;

	if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) < 0)
		cr_skip_test("no mount namespace: %s", strerror(errno));
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("tmpfs", dir, "tmpfs", 0, "size=512k"), 0);
	s = open_store(UINT64_MAX, 0);
	begin(s, 0);
	finish(s);
	cr_assert_eq(count(s), 0);
	image_store_free(s);
	cr_assert_eq(count_files(), 0);
	cr_assert_eq(umount2(dir, MNT_DETACH), 0);
}

/* The disk cannot be written at all. */
Test(image_store, a_disk_that_fails_loses_the_image_only)
{
	struct image_store *s = open_store(UINT64_MAX, 0);
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
	begin(s, 0);
	begin(s, 1);
	finish(s);
	cr_assert_eq(count(s), 0);
	cr_assert_eq(mkdir(dir, 0700), 0);
	keep(s, 2);
	cr_assert(has(s, 2));
	image_store_free(s);
}

static int added = 1;

static void on_added(int r, const struct mg_error *err, void *userdata)
{
	(void)err;
	(void)userdata;
	added = r;
}

static void add_base(struct image_store *s, const char *name, uint8_t fill)
{
	added = 1;
	cr_assert_eq(image_store_add_base(s, name, make_ram(fill), PAGES * PAGE_SIZE_BYTES,
					  on_added, NULL, NULL),
		     0);
	while (added == 1)
		sd_event_run(loop, 100000);
}

/* Base images have no budget and no age, and there is one of a name. */
Test(image_store, base_images_stay)
{
	struct image_store *s = open_store(IMAGE_BYTES, 1);
	uint8_t page[PAGE_SIZE_BYTES];
	struct image *image;

	add_base(s, "debian", 1);
	add_base(s, "debian", 2);
	add_base(s, "alpine", 3);
	cr_assert_eq(added, 0);
	cr_assert_eq(count(s), 2);
	keep(s, 0);
	image_store_free(s);
	s = open_store(0, 0);
	cr_assert_eq(count(s), 2);
	cr_assert(image_is_base(&image_store_at(s, 0)->header));
	cr_assert_eq(image_store_find_base(s, "nothing", &image), -ENOENT);
	cr_assert_eq(image_store_find_base(s, "debian", &image), 0);
	cr_assert_eq(image_read(image, 5, page), 0);
	cr_assert_eq(page[1], 2, "the newer one");
	image_free(image);
	image_store_free(s);
}

Test(image_store, a_base_image_that_is_removed_while_it_is_made_is_told)
{
	struct image_store *s = open_store(UINT64_MAX, 0);
	struct uuid key_id = image_key_id((const uint8_t[IMAGE_KEY_SIZE]){ 0 });

	added = 1;
	cr_assert_eq(image_store_add_base(s, "debian", make_ram(1), PAGES * PAGE_SIZE_BYTES,
					  on_added, NULL, NULL),
		     0);
	image_store_give_way(s);
	cr_assert_eq(added, 1, "it holds no memory that a VM could have");
	cr_assert_eq(image_store_remove_key(s, &key_id), 1);
	cr_assert_eq(added, -ECANCELED);
	image_store_free(s);
}

/* Copies what one store has into another, as two nodes do, by pieces of this size. */
static int copy_base(struct image_store *from, const char *name, struct image_store *to,
		     const char *as, off_t damage_at)
{
	uint8_t piece[5000];
	struct image_part *part;
	uint64_t at = 0, total;
	struct uuid id;
	ssize_t n;

	n = image_store_read_base(from, name, 0, piece, sizeof(piece), &id, &total);
	cr_assert_gt(n, 0);
	cr_assert_eq(image_part_new(to, &id, total, &part, NULL), 0);
	while (n > 0) {
		if (damage_at >= (off_t)at && damage_at < (off_t)at + n)
			piece[damage_at - (off_t)at] ^= 1;
		cr_assert_eq(image_part_write(part, piece, (size_t)n, NULL), 0);
		at += (uint64_t)n;
		n = image_store_read_base(from, name, at, piece, sizeof(piece), &id, &total);
	}
	cr_assert_eq(at, total);
	return image_part_finish(part, as, NULL);
}

Test(image_store, a_base_image_goes_from_node_to_node)
{
	struct image_store *a = open_store(UINT64_MAX, 0), *b;
	static char other[] = "/tmp/test-store-b-XXXXXX";
	const struct image_store_config config = { other, UINT64_MAX, 0 };
	char command[80];
	struct image *image;

	cr_assert_not_null(mkdtemp(other));
	cr_assert_eq(image_store_open(loop, &config, &b, NULL), 0);
	add_base(a, "debian", 9);
	cr_assert_eq(copy_base(a, "debian", b, "debian", 20), -EBADMSG, "the header");
	cr_assert_eq(copy_base(a, "debian", b, "debian", (off_t)IMAGE_BYTES - 3), -EBADMSG);
	cr_assert_eq(copy_base(a, "debian", b, "alpine", -1), -EBADMSG, "another name");
	cr_assert_eq(count(b), 0);
	cr_assert_eq(copy_base(a, "debian", b, "debian", -1), 0);
	cr_assert_eq(image_store_find_base(b, "debian", &image), 0);
	cr_assert(uuid_equal(&image_header(image)->id, &image_store_at(a, 0)->header.id));
	image_free(image);
	image_store_free(a);
	image_store_free(b);
	snprintf(command, sizeof(command), "rm -r %s", other);
	cr_assert_eq(system(command), 0);
}
