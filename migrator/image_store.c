/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/image_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/units.h"
#include "migrator/flow.h"
#include "migrator/ram_idle.h"

#define SUFFIX ".image"
#define AGE_CHECK_NS (10 * NS_PER_S)
#define WRITER_NICE 10

static const uint8_t base_key[IMAGE_KEY_SIZE]; /* no secret: see image_store.h */

struct job { /* RAM that waits to be written, or is being written */
	TAILQ_ENTRY(job) link;
	struct flow flow;
	bool started;
	char *path;
	char vm[VM_NAME_MAX + 1];
	uint8_t key[IMAGE_KEY_SIZE];
	struct image_source source;
	uint64_t max_bytes;
	uint64_t begun_mono_ns;
	struct image_store *store;
	image_done_fn done; /* NULL: nobody is told */
	void *userdata;
	/* its result */
	int r;
	struct image_header header;
	struct mg_error error;
};

struct image_store {
	sd_event *loop;
	char *directory;
	uint64_t budget_bytes, max_age_ns;
	struct image_info *images; /* newest first */
	size_t n_images;
	TAILQ_HEAD(, job) jobs; /* the first one runs */
	sd_event_source *timer;
};

static void start_next(struct image_store *s);

/* ---- Files -------------------------------------------------------------------- */

static char *path_of(const struct image_store *s, const struct uuid *id)
{
	char text[UUID_TEXT_SIZE], *path;

	uuid_format(id, text);
	return asprintf(&path, "%s/%s" SUFFIX, s->directory, text) < 0 ? NULL : path;
}

/* Newest first. */
static int insert(struct image_store *s, const struct image_info *info)
{
	struct image_info *more = reallocarray(s->images, s->n_images + 1, sizeof(*more));
	size_t at = 0;

	if (!more)
		return -ENOMEM;
	s->images = more;
	while (at < s->n_images && more[at].header.made_utc_ns > info->header.made_utc_ns)
		at++;
	memmove(more + at + 1, more + at, (s->n_images - at) * sizeof(*more));
	more[at] = *info;
	s->n_images++;
	return 0;
}

bool image_is_base(const struct image_header *h)
{
	struct uuid base = image_key_id(base_key);

	return uuid_equal(&h->key_id, &base);
}

static void drop(struct image_store *s, size_t i, const char *why)
{
	_cleanup_free_ char *path = path_of(s, &s->images[i].header.id);

	if (path && unlink(path) < 0 && errno != ENOENT)
		log_warning("images", "%s: %s", path, strerror(errno));
	log_info("images", "vm=%s image dropped: %s", s->images[i].header.name, why);
	memmove(s->images + i, s->images + i + 1, (s->n_images - i - 1) * sizeof(*s->images));
	s->n_images--;
}

/* One that cannot be opened. Only what is damaged goes: a host that has no descriptors left for a
 * moment has a good image. */
static int drop_damaged(struct image_store *s, size_t i, const struct mg_error *err)
{
	if (err->code == -EBADMSG || err->code == -ENOENT) {
		drop(s, i, err->text);
		return -ENOENT;
	}
	log_warning("images", "vm=%s image is not used: %s", s->images[i].header.name, err->text);
	return err->code;
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && strcmp(name + n - m, suffix) == 0;
}

/* One file of the directory: an image, or of no use. */
static void load_file(struct image_store *s, const char *name)
{
	_cleanup_free_ char *path = NULL, *expected = NULL;
	struct image_info info = { 0 };
	struct mg_error err = { 0 };
	struct stat st;

	if (asprintf(&path, "%s/%s", s->directory, name) < 0)
		return;
	if (ends_with(name, SUFFIX) && image_header_read(path, &info.header, &err) == 0 &&
	    (s->budget_bytes || image_is_base(&info.header)) && stat(path, &st) == 0) {
		info.bytes = (uint64_t)st.st_size;
		info.used_utc_ns = (uint64_t)st.st_mtim.tv_sec * NS_PER_S;
		expected = path_of(s, &info.header.id);
		if (expected && strcmp(expected, path) == 0 && insert(s, &info) == 0)
			return;
	}
	log_info("images", "%s removed: %s", path, err.code ? err.text : "it is not a whole image");
	(void)unlink(path);
}

static int load_all(struct image_store *s, struct mg_error *err)
{
	DIR *dir = opendir(s->directory);
	const struct dirent *e;

	if (!dir)
		return mg_error_set(err, -errno, "%s: %s", s->directory, strerror(errno));
	while ((e = readdir(dir)))
		if (ends_with(e->d_name, SUFFIX) || ends_with(e->d_name, SUFFIX IMAGE_PART_SUFFIX))
			load_file(s, e->d_name);
	closedir(dir);
	return 0;
}

/* ---- Room and age ---------------------------------------------------------------- */

static uint64_t used_bytes(const struct image_store *s)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->n_images; i++)
		if (!image_is_base(&s->images[i].header))
			bytes += s->images[i].bytes;
	return bytes;
}

static void make_room(struct image_store *s, uint64_t bytes)
{
	while (used_bytes(s) && used_bytes(s) + bytes > s->budget_bytes) {
		size_t oldest = s->n_images;

		for (size_t i = 0; i < s->n_images; i++)
			if (!image_is_base(&s->images[i].header) &&
			    (oldest == s->n_images ||
			     s->images[i].used_utc_ns < s->images[oldest].used_utc_ns))
				oldest = i;
		drop(s, oldest, "others need its room");
	}
}

static void drop_aged(struct image_store *s)
{
	uint64_t now = clock_utc_ns();

	if (!s->max_age_ns)
		return;
	for (size_t i = s->n_images; i-- > 0;)
		if (!image_is_base(&s->images[i].header) &&
		    now - s->images[i].header.made_utc_ns > s->max_age_ns &&
		    now > s->images[i].header.made_utc_ns)
			drop(s, i, "it is too old");
}

static int on_timer(sd_event_source *source, uint64_t now, void *userdata)
{
	(void)now;
	drop_aged(userdata);
	sd_event_source_set_time_relative(source, AGE_CHECK_NS / NS_PER_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

/* ---- Writing ----------------------------------------------------------------------- */

static void job_free(struct job *j)
{
	if (j->started)
		flow_exit(&j->flow);
	if (j->source.ram_fd >= 0)
		close(j->source.ram_fd);
	sodium_memzero(j->key, sizeof(j->key));
	free(j->path);
	free(j);
}

/* The thread: what is kept for later must not slow down what happens now. */
static void run_job(struct flow *flow)
{
	struct job *j = ring_container(flow, struct job, flow);

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), WRITER_NICE);
	j->r = image_write(&j->source, j->path, j->max_bytes, &flow->ring, &flow->stopping,
			   &j->header, &j->error);
	if (j->source.release) /* here, because freeing it takes a while */
		(void)ftruncate(j->source.ram_fd, 0);
	flow_post(flow, 0);
}

static void drop_base(struct image_store *s, const char *name)
{
	for (size_t i = s->n_images; i-- > 0;)
		if (image_is_base(&s->images[i].header) &&
		    strcmp(s->images[i].header.name, name) == 0)
			drop(s, i, "it is replaced");
}

static void take_result(struct image_store *s, const struct job *j)
{
	struct image_info info = { .header = j->header, .used_utc_ns = j->header.made_utc_ns };
	char size[UNITS_TEXT_SIZE], took[UNITS_TEXT_SIZE];

	if (j->r < 0) {
		log_warning("images", "vm=%s is not kept: %s", j->vm, j->error.text);
		return;
	}
	info.bytes = image_file_bytes(j->header.guest_pages, j->header.slots);
	if (image_is_base(&j->header))
		drop_base(s, j->vm);
	else
		make_room(s, info.bytes);
	if (insert(s, &info) < 0) {
		(void)unlink(j->path);
		return;
	}
	log_info("images", "vm=%s kept: %s in %s", j->vm, size_format(info.bytes, size),
		 duration_format(clock_mono_ns() - j->begun_mono_ns, took));
}

static void on_job_event(struct flow *flow, unsigned event)
{
	struct job *j = ring_container(flow, struct job, flow);
	struct image_store *s = j->store;

	(void)event;
	flow_stop(flow);
	take_result(s, j);
	TAILQ_REMOVE(&s->jobs, j, link);
	if (j->done)
		j->done(j->r, &j->error, j->userdata);
	job_free(j);
	start_next(s);
}

static void start_next(struct image_store *s)
{
	struct job *j;

	while ((j = TAILQ_FIRST(&s->jobs)) && !j->started) {
		struct mg_error err = { 0 };

		j->started = true;
		j->begun_mono_ns = clock_mono_ns();
		if (flow_init(&j->flow, s->loop, run_job, on_job_event, &err) == 0 &&
		    flow_start(&j->flow, &err) == 0)
			return;
		log_warning("images", "vm=%s is not kept: %s", j->vm, err.text);
		TAILQ_REMOVE(&s->jobs, j, link);
		if (j->done)
			j->done(err.code, &err, j->userdata);
		job_free(j);
	}
}

/* As far as it is whole, a job's file stays: it was renamed before the thread ended. */
static void cancel(struct image_store *s, struct job *j)
{
	if (j->started)
		flow_stop(&j->flow);
	if (j->started && j->r == 0)
		(void)unlink(j->path);
	TAILQ_REMOVE(&s->jobs, j, link);
	if (j->done) {
		mg_error_set(&j->error, -ECANCELED, "it was removed while it was made");
		j->done(-ECANCELED, &j->error, j->userdata);
	}
	job_free(j);
}

static uint64_t job_bytes(const struct job *j)
{
	struct stat st;

	return fstat(j->source.ram_fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

/* Takes the descriptor over. */
static struct job *job_new(struct image_store *s, const struct uuid *id, const char *name,
			   const uint8_t *key, int ram_fd, uint64_t ram_bytes)
{
	struct job *j = ram_bytes % PAGE_SIZE_BYTES == 0 ? calloc(1, sizeof(*j)) : NULL;

	if (!j) {
		close(ram_fd);
		return NULL;
	}
	j->store = s;
	j->r = -ECANCELED;
	snprintf(j->vm, sizeof(j->vm), "%s", name);
	memcpy(j->key, key, sizeof(j->key));
	j->source = (struct image_source){ .id = *id,
					   .name = j->vm,
					   .key = j->key,
					   .ram_fd = ram_fd,
					   .ram_bytes = ram_bytes };
	j->max_bytes = UINT64_MAX;
	j->path = path_of(s, &j->source.id);
	if (!j->path) {
		job_free(j);
		return NULL;
	}
	return j;
}

void image_store_keep(struct image_store *s, const struct uuid *id, const char *vm,
		      const uint8_t key[IMAGE_KEY_SIZE], int ram_fd, uint64_t ram_bytes)
{
	struct uuid key_id = image_key_id(key);
	struct job *j;

	(void)image_store_remove_key(s, &key_id);
	if (!s->budget_bytes) {
		ram_release(ram_fd);
		return;
	}
	j = job_new(s, id, vm, key, ram_fd, ram_bytes);
	if (!j)
		return;
	j->source.release = true;
	j->max_bytes = s->budget_bytes;
	TAILQ_INSERT_TAIL(&s->jobs, j, link);
	start_next(s);
}

uint64_t image_store_waiting_bytes(const struct image_store *s)
{
	const struct job *j;
	uint64_t bytes = 0;

	TAILQ_FOREACH(j, &s->jobs, link) {
		if (j->source.release) /* else it is a VM's that runs */
			bytes += job_bytes(j);
	}
	return bytes;
}

void image_store_give_way(struct image_store *s)
{
	struct job *j, *next;

	for (j = TAILQ_FIRST(&s->jobs); j; j = next) {
		next = TAILQ_NEXT(j, link);
		if (!j->source.release)
			continue;
		log_info("images", "vm=%s is not kept: its memory is needed", j->vm);
		cancel(s, j);
	}
	start_next(s);
}

/* ---- Finding and removing ------------------------------------------------------------ */

int image_store_find(struct image_store *s, const uint8_t key[IMAGE_KEY_SIZE], struct image **ret)
{
	struct uuid key_id = image_key_id(key);
	struct mg_error err = { 0 };

	drop_aged(s);
	for (size_t i = 0; i < s->n_images; i++) {
		_cleanup_free_ char *path = NULL;

		if (!uuid_equal(&s->images[i].header.key_id, &key_id))
			continue;
		path = path_of(s, &s->images[i].header.id);
		if (!path)
			return -ENOMEM;
		if (image_open(path, key, ret, &err) == 0) {
			s->images[i].used_utc_ns = clock_utc_ns();
			(void)utimensat(AT_FDCWD, path, NULL, 0);
			return 0;
		}
		return drop_damaged(s, i, &err);
	}
	return -ENOENT;
}

bool image_store_is_writing(const struct image_store *s, const uint8_t key[IMAGE_KEY_SIZE])
{
	const struct job *j;

	TAILQ_FOREACH(j, &s->jobs, link)
		if (memcmp(j->key, key, IMAGE_KEY_SIZE) == 0)
			return true;
	return false;
}

static unsigned remove_where(struct image_store *s, const struct uuid *id,
			     const struct uuid *key_id)
{
	struct job *j, *next;
	unsigned n = 0;

	for (j = TAILQ_FIRST(&s->jobs); j; j = next) {
		struct uuid job_key_id = image_key_id(j->key);

		next = TAILQ_NEXT(j, link);
		if ((id && uuid_equal(&j->source.id, id)) ||
		    (key_id && uuid_equal(&job_key_id, key_id))) {
			cancel(s, j);
			n++;
		}
	}
	for (size_t i = s->n_images; i-- > 0;) {
		const struct image_header *h = &s->images[i].header;

		if ((id && uuid_equal(&h->id, id)) || (key_id && uuid_equal(&h->key_id, key_id))) {
			drop(s, i, "it is no longer wanted");
			n++;
		}
	}
	start_next(s);
	return n;
}

unsigned image_store_remove(struct image_store *s, const struct uuid *id)
{
	return remove_where(s, id, NULL);
}

unsigned image_store_remove_key(struct image_store *s, const struct uuid *key_id)
{
	return remove_where(s, NULL, key_id);
}

const struct image_info *image_store_at(const struct image_store *s, size_t i)
{
	return i < s->n_images ? &s->images[i] : NULL;
}

/* ---- Base images ------------------------------------------------------------------------ */

int image_store_add_base(struct image_store *s, const char *name, int ram_fd, uint64_t ram_bytes,
			 image_done_fn done, void *userdata, struct mg_error *err)
{
	const struct uuid id = uuid_random();
	struct job *j = job_new(s, &id, name, base_key, ram_fd, ram_bytes);

	if (!j)
		return mg_error_set(err, -ENOMEM, "out of memory");
	j->done = done;
	j->userdata = userdata;
	TAILQ_INSERT_TAIL(&s->jobs, j, link);
	start_next(s);
	return 0;
}

static size_t find_base(const struct image_store *s, const char *name)
{
	size_t i = 0;

	while (i < s->n_images && (!image_is_base(&s->images[i].header) ||
				   strcmp(s->images[i].header.name, name) != 0))
		i++;
	return i;
}

int image_store_find_base(struct image_store *s, const char *name, struct image **ret)
{
	size_t i = find_base(s, name);
	_cleanup_free_ char *path = i < s->n_images ? path_of(s, &s->images[i].header.id) : NULL;
	struct mg_error err = { 0 };

	if (!path)
		return -ENOENT;
	if (image_open(path, base_key, ret, &err) < 0)
		return drop_damaged(s, i, &err);
	s->images[i].used_utc_ns = clock_utc_ns();
	return 0;
}

ssize_t image_store_read_base(struct image_store *s, const char *name, uint64_t offset,
			      uint8_t *data, size_t size, struct uuid *ret_id, uint64_t *ret_total)
{
	size_t i = find_base(s, name);
	_cleanup_free_ char *path = i < s->n_images ? path_of(s, &s->images[i].header.id) : NULL;
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n;

	if (fd < 0 || offset > INT64_MAX)
		return -ENOENT;
	*ret_id = s->images[i].header.id;
	*ret_total = s->images[i].bytes;
	n = pread(fd, data, size, (off_t)offset);
	return n < 0 ? -errno : n;
}

struct image_part {
	struct image_store *store;
	struct uuid id;
	char *path, *part;
	int fd;
};

void image_part_free(struct image_part *p)
{
	if (!p)
		return;
	if (p->fd >= 0) {
		close(p->fd);
		(void)unlink(p->part);
	}
	free(p->path);
	free(p->part);
	free(p);
}

int image_part_new(struct image_store *s, const struct uuid *id, uint64_t total,
		   struct image_part **ret, struct mg_error *err)
{
	struct image_part *p = calloc(1, sizeof(*p));

	if (!p)
		return mg_error_set(err, -ENOMEM, "out of memory");
	*p = (struct image_part){ .store = s, .id = *id, .path = path_of(s, id), .fd = -1 };
	if (!p->path || asprintf(&p->part, "%s" IMAGE_PART_SUFFIX, p->path) < 0) {
		p->part = NULL;
		image_part_free(p);
		return mg_error_set(err, -ENOMEM, "out of memory");
	}
	p->fd = open(p->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (p->fd < 0 || posix_fallocate(p->fd, 0, (off_t)total) != 0) {
		int r = p->fd < 0 ? -errno : -ENOSPC;

		mg_error_set(err, r, "%s: %s", p->part, strerror(-r));
		image_part_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int image_part_write(struct image_part *p, const uint8_t *data, size_t len, struct mg_error *err)
{
	while (len) {
		ssize_t n = write(p->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int r = n < 0 ? -errno : -EIO;

			return mg_error_set(err, r, "%s: %s", p->part, strerror(-r));
		}
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int check_part(const struct image_part *p, const char *name, struct image_info *ret,
		      struct mg_error *err)
{
	struct image *image;
	int r = image_open(p->part, base_key, &image, err);

	if (r < 0)
		return r;
	ret->header = *image_header(image);
	image_free(image);
	if (strcmp(ret->header.name, name) != 0 || !uuid_equal(&ret->header.id, &p->id))
		return mg_error_set(err, -EBADMSG, "%s: another image than was asked for", p->part);
	ret->bytes = image_file_bytes(ret->header.guest_pages, ret->header.slots);
	ret->used_utc_ns = clock_utc_ns();
	return 0;
}

int image_part_finish(struct image_part *p, const char *name, struct mg_error *err)
{
	struct image_info info = { 0 };
	int r = check_part(p, name, &info, err);

	if (r == 0) {
		drop_base(p->store, name);
		if (rename(p->part, p->path) < 0)
			r = mg_error_set(err, -errno, "%s: %s", p->path, strerror(errno));
	}
	if (r == 0) {
		close(TAKE_FD(p->fd));
		r = insert(p->store, &info);
	}
	image_part_free(p);
	return r;
}

/* ---- Opening and closing --------------------------------------------------------------- */

int image_store_open(sd_event *loop, const struct image_store_config *config,
		     struct image_store **ret, struct mg_error *err)
{
	_cleanup_(image_store_free_p) struct image_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return mg_error_set(err, -ENOMEM, "out of memory");
	TAILQ_INIT(&s->jobs);
	s->loop = sd_event_ref(loop);
	s->budget_bytes = config->budget_bytes;
	s->max_age_ns = config->max_age_ns;
	s->directory = strdup(config->directory);
	if (!s->directory)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = directory_make(s->directory, 0700, err);
	if (r == 0)
		r = load_all(s, err);
	if (r < 0)
		return r;
	make_room(s, 0);
	r = sd_event_add_time_relative(loop, &s->timer, CLOCK_MONOTONIC, 0, NS_PER_S / NS_PER_US,
				       on_timer, s);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	*ret = TAKE_PTR(s);
	return 0;
}

void image_store_free(struct image_store *s)
{
	if (!s)
		return;
	while (!TAILQ_EMPTY(&s->jobs)) {
		TAILQ_FIRST(&s->jobs)->done = NULL;
		cancel(s, TAILQ_FIRST(&s->jobs));
	}
	sd_event_source_disable_unref(s->timer);
	sd_event_unref(s->loop);
	free(s->images);
	free(s->directory);
	free(s);
}
