/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/webhook.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/uuid.h"

#define SECRET_MAX ((size_t)4096)
#define SECRET_PREFIX "whsec_"
#define HEADERS_SIZE 256
#define ACCURACY_US 10000
#define MAC_SIZE crypto_auth_hmacsha256_BYTES

struct telling {
	char id[UUID_TEXT_SIZE]; /* the same for each attempt */
	char *body;
	uint64_t number; /* of a post */
};

struct hook {
	struct hook *next;
	struct webhooks *all;
	const struct webhook_config *config;
	char *receiver;             /* of posts; NULL: the configuration names it */
	struct webhook_config post; /* `config` of posts */
	char *url;                  /* post.url */
	uint8_t *secret;
	size_t secret_len;
	struct telling queue[WEBHOOK_QUEUE]; /* a ring */
	size_t first, n;
	unsigned attempts; /* of the first */
	CURL *curl;        /* while an attempt is under way */
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	sd_event_source *timer; /* until the next attempt */
};

struct webhooks {
	sd_event *loop;
	CURLM *multi;
	sd_event_source *timer; /* of libcurl */
	struct hook *hooks;
	size_t n; /* of the configuration */
	struct webhook_counters counters;
	const char *posts_cacert;
	webhook_told_fn told;
	void *told_userdata;
};

static void attempt(struct hook *h);

/* ---- The queue ------------------------------------------------------------------ */

static void forget_first(struct hook *h)
{
	free(h->queue[h->first].body);
	h->queue[h->first].body = NULL;
	h->first = (h->first + 1) % WEBHOOK_QUEUE;
	h->n--;
	h->attempts = 0;
}

/* Takes the body over. */
static void enqueue(struct hook *h, const char *id, uint64_t number, char *body)
{
	struct telling *t = &h->queue[(h->first + h->n) % WEBHOOK_QUEUE];

	if (h->n == WEBHOOK_QUEUE || !body) {
		h->all->counters.lost++;
		free(body);
		return;
	}
	strcpy(t->id, id);
	t->body = body;
	t->number = number;
	if (++h->n == 1)
		attempt(h);
}

static void end_attempt(struct hook *h)
{
	if (h->curl) {
		curl_multi_remove_handle(h->all->multi, h->curl);
		curl_easy_cleanup(h->curl);
	}
	curl_slist_free_all(h->headers);
	h->curl = NULL;
	h->headers = NULL;
}

static void end_hook(struct hook *h)
{
	struct hook **at = &h->all->hooks;

	while (*at && *at != h)
		at = &(*at)->next;
	if (*at)
		*at = h->next;
	end_attempt(h);
	while (h->n > 0)
		forget_first(h);
	sd_event_source_disable_unref(h->timer);
	if (h->secret)
		explicit_bzero(h->secret, h->secret_len);
	free(h->secret);
	free(h->receiver);
	free(h->url);
	free(h);
}

/* The first is dealt with. Whoever is told may end all posts: nothing of the hook is looked at
 * behind that. */
static void finish_first(struct hook *h)
{
	struct webhooks *w = h->all;
	uint64_t number = h->queue[h->first].number;
	bool is_post = h->receiver;

	forget_first(h);
	if (is_post && h->n == 0)
		end_hook(h);
	if (is_post && w->told)
		w->told(w->told_userdata, number);
}

/* Waits before the next attempt, or gives the event up. */
static void fail(struct hook *h, const char *why)
{
	uint64_t wait_s = WEBHOOK_WAIT_S << h->attempts;
	bool lost = ++h->attempts == WEBHOOK_ATTEMPTS;

	h->all->counters.failed_attempts++;
	if (lost) {
		log_warning("webhook", "url=%s event %s is lost: %s", h->config->url,
			    h->queue[h->first].id, why);
		h->all->counters.lost++;
	}
	if (lost && h->n == 1) {
		finish_first(h);
		return;
	}
	if (wait_s > WEBHOOK_WAIT_MAX_S)
		wait_s = WEBHOOK_WAIT_MAX_S;
	/* Up to a quarter more, so that not all come back at the same instant. */
	(void)sd_event_source_set_time_relative(
		h->timer, wait_s * NS_PER_S / NS_PER_US + randombytes_uniform(250000) * wait_s);
	(void)sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
	if (lost)
		finish_first(h);
}

static void finish(struct hook *h, CURLcode code)
{
	char why[CURL_ERROR_SIZE + 32];
	long status = 0;

	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK)
		snprintf(why, sizeof(why), "%s", h->error[0] ? h->error : curl_easy_strerror(code));
	else
		snprintf(why, sizeof(why), "it answers %ld", status);
	end_attempt(h);
	if (code != CURLE_OK || status < 200 || status > 299) {
		fail(h, why);
		return;
	}
	h->all->counters.delivered++;
	/* The next one goes out by the timer, at once, but not from within what is told. */
	if (h->n > 1) {
		(void)sd_event_source_set_time_relative(h->timer, 0);
		(void)sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
	}
	finish_first(h);
}

static int on_hook_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	(void)source, (void)due_us;
	attempt(userdata);
	return 0;
}

/* ---- One attempt ---------------------------------------------------------------- */

static int read_secret(struct hook *h, struct mg_error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = file_read_secret(h->config->secret_file, SECRET_MAX, &text, &len, err);

	if (r < 0)
		return r;
	text[strcspn(text, "\r\n")] = '\0';
	len = strlen(text);
	h->secret = malloc(len + 1);
	if (!h->secret)
		return mg_error_set(err, -ENOMEM, "out of memory");
	h->secret_len = len;
	memcpy(h->secret, text, len);
	if (strncmp(text, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0 &&
	    sodium_base642bin(h->secret, len, text + strlen(SECRET_PREFIX),
			      len - strlen(SECRET_PREFIX), NULL, &h->secret_len, NULL,
			      sodium_base64_VARIANT_ORIGINAL) < 0)
		h->secret_len = 0;
	explicit_bzero(text, len);
	if (h->secret_len == 0)
		return mg_error_set(err, -EINVAL, "%s: its first line is no secret",
				    h->config->secret_file);
	return 0;
}

/* Of "ID.TIMESTAMP.BODY", in base64. */
static void sign(const struct hook *h, const struct telling *t, const char *timestamp, char *ret,
		 size_t size)
{
	crypto_auth_hmacsha256_state state;
	const char *const parts[] = { t->id, ".", timestamp, ".", t->body };
	uint8_t mac[MAC_SIZE];

	crypto_auth_hmacsha256_init(&state, h->secret, h->secret_len);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		crypto_auth_hmacsha256_update(&state, (const uint8_t *)parts[i], strlen(parts[i]));
	crypto_auth_hmacsha256_final(&state, mac);
	sodium_bin2base64(ret, size, mac, sizeof(mac), sodium_base64_VARIANT_ORIGINAL);
}

static bool add_header(struct hook *h, const char *name, const char *value)
{
	char line[HEADERS_SIZE];
	struct curl_slist *longer;

	snprintf(line, sizeof(line), "%s: %s", name, value);
	longer = curl_slist_append(h->headers, line);
	if (longer)
		h->headers = longer;
	return longer;
}

static bool make_headers(struct hook *h, const struct telling *t)
{
	char timestamp[24], signature[64] = "v1,";

	if (!h->secret)
		return add_header(h, "Content-Type", "application/json");
	snprintf(timestamp, sizeof(timestamp), "%" PRIu64, clock_utc_ns() / NS_PER_S);
	sign(h, t, timestamp, signature + 3, sizeof(signature) - 3);
	return add_header(h, "Content-Type", "application/json") &&
	       add_header(h, "webhook-id", t->id) &&
	       add_header(h, "webhook-timestamp", timestamp) &&
	       add_header(h, "webhook-signature", signature);
}

static size_t discard(char *data, size_t size, size_t n, void *userdata)
{
	(void)data, (void)userdata;
	return size * n;
}

static bool prepare(struct hook *h, const struct telling *t)
{
	CURL *curl = h->curl = curl_easy_init();

	if (!curl || !make_headers(h, t))
		return false;
	h->error[0] = '\0';
	curl_easy_setopt(curl, CURLOPT_URL, h->config->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)WEBHOOK_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, t->body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, h->headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, (char *)h);
	if (h->config->cacert)
		curl_easy_setopt(curl, CURLOPT_CAINFO, h->config->cacert);
	return curl_multi_add_handle(h->all->multi, curl) == CURLM_OK;
}

static void attempt(struct hook *h)
{
	if (prepare(h, &h->queue[h->first]))
		return;
	end_attempt(h);
	fail(h, "out of memory");
}

/* ---- libcurl on the loop -------------------------------------------------------- */

static void take_results(struct webhooks *w)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(w->multi, &left))) {
		CURLcode code = message->data.result;
		char *hook = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &hook);
		finish((struct hook *)hook, code);
	}
}

static int on_socket_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct webhooks *w = userdata;
	int running, flags = (revents & EPOLLIN ? CURL_CSELECT_IN : 0) |
			     (revents & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			     (revents & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

	(void)source;
	curl_multi_socket_action(w->multi, fd, flags, &running);
	take_results(w);
	return 0;
}

/* libcurl has another wish about one of its sockets; `known` is our source of it. */
static int on_socket_wish(CURL *curl, curl_socket_t fd, int what, void *userdata, void *known)
{
	struct webhooks *w = userdata;
	sd_event_source *source = known;
	uint32_t events =
		(what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);

	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		sd_event_source_disable_unref(source);
		return 0;
	}
	if (source)
		return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
	if (sd_event_add_io(w->loop, &source, fd, events, on_socket_ready, w) < 0)
		return -1;
	(void)sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IDLE);
	curl_multi_assign(w->multi, fd, source);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	struct webhooks *w = userdata;
	int running;

	(void)source, (void)due_us;
	curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_results(w);
	return 0;
}

/* 0 is at once, but not from within. */
static int on_timer_wish(CURLM *multi, long wait_ms, void *userdata)
{
	struct webhooks *w = userdata;

	(void)multi;
	if (wait_ms < 0)
		return sd_event_source_set_enabled(w->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
	if (sd_event_source_set_time_relative(w->timer, (uint64_t)wait_ms * 1000) < 0)
		return -1;
	return sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

/* ---- Life ----------------------------------------------------------------------- */

void webhooks_tell(struct webhooks *w, const char *type, const char *data)
{
	uint64_t now = clock_utc_ns();
	time_t seconds = (time_t)(now / NS_PER_S);
	_cleanup_free_ char *body = NULL;
	char id[UUID_TEXT_SIZE], instant[32];
	struct uuid uuid = uuid_random();
	struct tm tm;

	strftime(instant, sizeof(instant), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
	if (asprintf(&body, "{\"type\":\"%s\",\"timestamp\":\"%s.%09" PRIu64 "Z\",\"data\":%s}",
		     type, instant, now % NS_PER_S, data) < 0) {
		body = NULL;
		w->counters.lost += w->n;
		return;
	}
	uuid_format(&uuid, id);
	for (struct hook *h = w->hooks; h; h = h->next)
		if (!h->receiver)
			enqueue(h, id, 0, strdup(body));
}

static int start_timer(struct hook *h)
{
	int r = sd_event_add_time(h->all->loop, &h->timer, CLOCK_MONOTONIC, 0, ACCURACY_US,
				  on_hook_timer, h);

	return r < 0 ? r : sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
}

/* NULL: no memory. */
static struct hook *new_hook(struct webhooks *w, const struct webhook_config *config)
{
	struct hook *h = calloc(1, sizeof(*h)), **end = &w->hooks;

	if (!h)
		return NULL;
	h->all = w;
	h->config = config;
	while (*end)
		end = &(*end)->next;
	*end = h;
	return h;
}

static struct hook *find_receiver(struct webhooks *w, const char *receiver, const char *url)
{
	struct hook *h = w->hooks;

	/* A receiver that has moved is another one until the old URL has all that was for it. */
	while (h &&
	       (!h->receiver || strcmp(h->receiver, receiver) != 0 || strcmp(h->url, url) != 0))
		h = h->next;
	if (h || !(h = new_hook(w, NULL)))
		return h;
	h->receiver = strdup(receiver);
	h->url = strdup(url);
	h->post = (struct webhook_config){ .url = h->url, .cacert = w->posts_cacert };
	h->config = &h->post;
	if (h->receiver && h->url && start_timer(h) >= 0)
		return h;
	end_hook(h);
	return NULL;
}

void webhooks_post(struct webhooks *w, const char *receiver, const char *url, uint64_t number,
		   char *body)
{
	struct hook *h = find_receiver(w, receiver, url);
	char id[UUID_TEXT_SIZE];
	struct uuid uuid = uuid_random();

	if (h) {
		enqueue(h, uuid_format(&uuid, id), number, body);
		return;
	}
	w->counters.lost++;
	free(body);
}

void webhooks_forget_posts(struct webhooks *w)
{
	struct hook *next;

	for (struct hook *h = w->hooks; h; h = next) {
		next = h->next;
		if (h->receiver)
			end_hook(h);
	}
}

void webhooks_set_posts(struct webhooks *w, const char *cacert, webhook_told_fn told,
			void *userdata)
{
	w->posts_cacert = cacert;
	w->told = told;
	w->told_userdata = userdata;
}

void webhooks_count(const struct webhooks *w, struct webhook_counters *ret)
{
	*ret = w->counters;
	for (const struct hook *h = w->hooks; h; h = h->next)
		ret->queued += h->n;
}

static int start_hook(struct webhooks *w, const struct webhook_config *config, struct mg_error *err)
{
	struct hook *h = new_hook(w, config);
	int r;

	if (!h)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = read_secret(h, err);
	if (r < 0)
		return r;
	r = start_timer(h);
	return r < 0 ? mg_error_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static int start_curl(struct webhooks *w, struct mg_error *err)
{
	int r = sd_event_add_time(w->loop, &w->timer, CLOCK_MONOTONIC, 0, 1, on_timer, w);

	if (r >= 0)
		r = sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	curl_global_init(CURL_GLOBAL_DEFAULT);
	w->multi = curl_multi_init();
	if (!w->multi)
		return mg_error_set(err, -ENOMEM, "out of memory");
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wish);
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
	return 0;
}

int webhooks_new(sd_event *loop, const struct webhook_config *configs, size_t n,
		 struct webhooks **ret, struct mg_error *err)
{
	_cleanup_(webhooks_free_p) struct webhooks *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return mg_error_set(err, -ENOMEM, "out of memory");
	w->loop = sd_event_ref(loop);
	r = start_curl(w, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		w->n = i + 1;
		r = start_hook(w, &configs[i], err);
	}
	if (r < 0) {
		mg_error_prefix(err, "webhooks");
		return r;
	}
	*ret = TAKE_PTR(w);
	return 0;
}

void webhooks_free(struct webhooks *w)
{
	if (!w)
		return;
	while (w->hooks)
		end_hook(w->hooks);
	if (w->multi)
		curl_multi_cleanup(w->multi);
	sd_event_source_disable_unref(w->timer);
	sd_event_unref(w->loop);
	free(w);
}
