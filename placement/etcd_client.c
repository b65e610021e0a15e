/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/etcd_client.h"

#include <curl/curl.h>
#include <string.h>

#include "common/clock.h"
#include "placement/etcd_message.h"

#define ANSWER_MAX ((size_t)64 << 20)
#define URL_SIZE 512
#define PASSWORD_MAX 256
#define CONNECT_SHARE 2 /* of the time for a call, to make a connection */

struct buffer {
	char *data;
	size_t len;
};

struct etcd {
	const struct etcd_config *config;
	CURL *curl;
	size_t endpoint;
	char password[PASSWORD_MAX + 2];
	char *token; /* of our user; NULL: none yet */
};

struct etcd_stream {
	struct etcd *etcd;
	CURLM *multi;
	CURL *curl;
	struct curl_slist *headers;
	char *body;
	struct buffer got;
	char error[CURL_ERROR_SIZE];
};

const char *etcd_endpoint(const struct etcd *e)
{
	return e->config->endpoints[e->endpoint];
}

/* ---- One request ----------------------------------------------------------------- */

static size_t take(char *data, size_t size, size_t n, void *userdata)
{
	struct buffer *b = userdata;
	char *grown;

	(void)size; /* 1 */
	if (n > ANSWER_MAX - b->len)
		return 0;
	grown = realloc(b->data, b->len + n + 1);
	if (!grown)
		return 0;
	memcpy(grown + b->len, data, n);
	b->data = grown;
	b->len += n;
	return n;
}

static void free_buffer(struct buffer *b)
{
	free(b->data);
}

static struct curl_slist *make_headers(const struct etcd *e)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct curl_slist *more = NULL;
	char line[600];

	if (headers && e->token) {
		snprintf(line, sizeof(line), "Authorization: %s", e->token);
		more = curl_slist_append(headers, line);
		if (!more)
			curl_slist_free_all(headers);
		return more;
	}
	return headers;
}

static void prepare(const struct etcd *e, CURL *curl, const char *path, const char *body,
		    struct curl_slist *headers, struct buffer *got, char *error)
{
	const struct etcd_config *c = e->config;
	char url[URL_SIZE];

	snprintf(url, sizeof(url), "%s%s", etcd_endpoint(e), path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, got);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(c->timeout_ns / NS_PER_MS / CONNECT_SHARE));
	if (c->cacert)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->cacert);
	if (c->cert)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, c->cert);
	if (c->key)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, c->key);
}

/* Whether the request has certainly not left. */
static bool never_left(CURLcode code)
{
	return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
	       code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
	       code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM;
}

/* One endpoint, once. *ret_left: the request may have been carried out. */
static int post(struct etcd *e, const char *path, const char *body, json_t **ret, bool *ret_left,
		struct mg_error *err)
{
	_cleanup_(free_buffer) struct buffer got = { 0 };
	struct curl_slist *headers = make_headers(e);
	char error[CURL_ERROR_SIZE] = "";
	json_t *answer;
	long status = 0;
	CURLcode code;
	int r;

	*ret_left = false;
	if (!headers)
		return mg_error_set(err, -ENOMEM, "out of memory");
	prepare(e, e->curl, path, body, headers, &got, error);
	curl_easy_setopt(e->curl, CURLOPT_TIMEOUT_MS, (long)(e->config->timeout_ns / NS_PER_MS));
	code = curl_easy_perform(e->curl);
	curl_easy_setopt(e->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	*ret_left = !never_left(code);
	if (code != CURLE_OK)
		return mg_error_set(err, -EIO, "etcd at %s: %s", etcd_endpoint(e),
				    error[0] ? error : curl_easy_strerror(code));
	curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
	answer = json_loadb(got.data ? got.data : "", got.len, JSON_REJECT_DUPLICATES, NULL);
	if (status == 200 && json_is_object(answer)) {
		*ret = answer;
		return 0;
	}
	r = etcd_refusal_read(answer, status, err);
	mg_error_prefix(err, "etcd at %s", etcd_endpoint(e));
	json_decref(answer);
	/* What was refused with a reason was not done; a member without a leader
	 * may have passed it on, though. */
	*ret_left = r == -EIO || r == -EBUSY;
	return r;
}

/* ---- Who we are -------------------------------------------------------------------- */

static int authenticate(struct etcd *e, struct mg_error *err)
{
	json_t *request = json_pack("{ssss}", "name", e->config->user, "password",
				    e->password);
	_cleanup_free_ char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_t *answer = NULL;
	const char *token;
	bool left;
	int r;

	json_decref(request);
	free(e->token);
	e->token = NULL;
	if (!body)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = post(e, "/v3/auth/authenticate", body, &answer, &left, err);
	explicit_bzero(body, strlen(body));
	if (r < 0)
		return r;
	token = json_string_value(json_object_get(answer, "token"));
	e->token = token && strlen(token) < 512 ? strdup(token) : NULL;
	json_decref(answer);
	return e->token ? 0 : mg_error_set(err, -EIO, "etcd at %s gives no token",
					   etcd_endpoint(e));
}

/* Tokens run out; then the request was refused, and is made again with another. */
static int post_as_user(struct etcd *e, const char *path, const char *body, json_t **ret,
			bool *ret_left, struct mg_error *err)
{
	bool had_token = e->token != NULL;
	int r = 0;

	*ret_left = false;
	if (e->config->user && !had_token)
		r = authenticate(e, err);
	if (r == 0)
		r = post(e, path, body, ret, ret_left, err);
	if (r != -EACCES || !had_token)
		return r;
	r = authenticate(e, err);
	return r < 0 ? r : post(e, path, body, ret, ret_left, err);
}

/* ---- Calls ----------------------------------------------------------------------------- */

int etcd_call(struct etcd *e, enum etcd_call_kind kind, const char *path, json_t *request,
	      json_t **ret, struct mg_error *err)
{
	_cleanup_free_ char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
	bool left = false;
	int r = -EIO;

	json_decref(request);
	if (!body)
		return mg_error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < e->config->n_endpoints; i++) {
		r = post_as_user(e, path, body, ret, &left, err);
		if (r != -EIO && r != -EBUSY)
			return r;
		if (left && kind == ETCD_WRITE)
			break;
		e->endpoint = (e->endpoint + 1) % e->config->n_endpoints;
	}
	return r;
}

static int read_password(struct etcd *e, struct mg_error *err)
{
	const char *path = e->config->password_file;
	_cleanup_fclose_ FILE *file = fopen(path, "re");

	if (!file || !fgets(e->password, sizeof(e->password), file))
		return mg_error_set(err, file ? -EINVAL : -errno, "%s: no password can be read from "
				    "it", path);
	e->password[strcspn(e->password, "\n")] = 0;
	if (!e->password[0] || strlen(e->password) > PASSWORD_MAX)
		return mg_error_set(err, -EINVAL, "%s: the first line is no password of 1 to %d "
				    "characters", path, PASSWORD_MAX);
	return 0;
}

int etcd_new(const struct etcd_config *config, struct etcd **ret, struct mg_error *err)
{
	_cleanup_(etcd_free_p) struct etcd *e = calloc(1, sizeof(*e));
	int r = 0;

	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (e)
		e->curl = curl_easy_init();
	if (!e || !e->curl)
		return mg_error_set(err, -ENOMEM, "out of memory");
	e->config = config;
	if (config->password_file)
		r = read_password(e, err);
	if (r == 0)
		*ret = TAKE_PTR(e);
	return r;
}

void etcd_free(struct etcd *e)
{
	if (!e)
		return;
	curl_easy_cleanup(e->curl);
	explicit_bzero(e->password, sizeof(e->password));
	free(e->token);
	free(e);
}

/* ---- Streams --------------------------------------------------------------------------- */

int etcd_stream_new(struct etcd *e, const char *path, json_t *request, struct etcd_stream **ret,
		    struct mg_error *err)
{
	struct etcd_stream *s = calloc(1, sizeof(*s));
	int running;

	if (s) {
		s->etcd = e;
		s->body = request ? json_dumps(request, JSON_COMPACT) : NULL;
		s->headers = make_headers(e);
		s->curl = curl_easy_init();
		s->multi = curl_multi_init();
	}
	json_decref(request);
	if (!s || !s->body || !s->headers || !s->curl || !s->multi) {
		etcd_stream_free(s);
		return mg_error_set(err, -ENOMEM, "out of memory");
	}
	prepare(e, s->curl, path, s->body, s->headers, &s->got, s->error);
	curl_multi_add_handle(s->multi, s->curl);
	curl_multi_perform(s->multi, &running);
	*ret = s;
	return 0;
}

void etcd_stream_free(struct etcd_stream *s)
{
	if (!s)
		return;
	if (s->multi && s->curl)
		curl_multi_remove_handle(s->multi, s->curl);
	curl_easy_cleanup(s->curl);
	curl_multi_cleanup(s->multi);
	curl_slist_free_all(s->headers);
	free(s->body);
	free(s->got.data);
	free(s);
}

/* One line is one answer: {"result": …} or {"error": …}. */
static int read_line(struct etcd_stream *s, const char *line, size_t len, etcd_answer_fn fn,
		     void *userdata, struct mg_error *err)
{
	json_t *answer = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *result = json_object_get(answer, "result");
	int r;

	if (json_is_object(result)) {
		r = fn(result, userdata, err);
	} else {
		r = etcd_refusal_read(answer, 0, err);
		mg_error_prefix(err, "etcd at %s", etcd_endpoint(s->etcd));
	}
	json_decref(answer);
	return r;
}

static int read_lines(struct etcd_stream *s, etcd_answer_fn fn, void *userdata,
		      struct mg_error *err)
{
	size_t at = 0;
	char *end;
	int r = 0;

	while (r == 0 && at < s->got.len &&
	       (end = memchr(s->got.data + at, '\n', s->got.len - at))) {
		size_t len = (size_t)(end - s->got.data) - at;

		r = read_line(s, s->got.data + at, len, fn, userdata, err);
		at += len + 1;
	}
	if (at > 0)
		memmove(s->got.data, s->got.data + at, s->got.len - at);
	s->got.len -= at;
	return r;
}

int etcd_stream_read(struct etcd_stream *s, etcd_answer_fn fn, void *userdata,
		     struct mg_error *err)
{
	int running = 0, r;

	if (curl_multi_perform(s->multi, &running) != CURLM_OK)
		return mg_error_set(err, -EIO, "etcd at %s: cannot be read",
				    etcd_endpoint(s->etcd));
	r = read_lines(s, fn, userdata, err);
	if (r < 0 || running)
		return r;
	return mg_error_set(err, -EIO, "etcd at %s: %s", etcd_endpoint(s->etcd),
			    s->error[0] ? s->error : "the connection was closed");
}
