/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/etcd_message.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define BASE64 sodium_base64_VARIANT_ORIGINAL

void etcd_entry_clear(struct etcd_entry *entry)
{
	free(entry->value);
	entry->value = NULL;
}

int etcd_number_read(const json_t *object, const char *name, uint64_t *ret)
{
	const json_t *value = json_object_get(object, name);
	const char *text = json_string_value(value);
	char *end;

	if (!value) {
		*ret = 0;
		return 0;
	}
	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*ret = (uint64_t)json_integer_value(value);
		return 0;
	}
	if (!text || text[0] < '0' || text[0] > '9')
		return -EUCLEAN;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno || *end ? -EUCLEAN : 0;
}

json_t *etcd_number(uint64_t number)
{
	return json_sprintf("%" PRIu64, number);
}

json_t *etcd_bytes(const void *data, size_t len)
{
	size_t size = sodium_base64_encoded_len(len, BASE64);
	_cleanup_free_ char *text = malloc(size);

	if (!text)
		return NULL;
	return json_string(sodium_bin2base64(text, size, data ? data : "", len, BASE64));
}

/* *ret is one byte larger than the bytes, and freed by the caller. */
static int read_bytes(const json_t *object, const char *name, uint8_t **ret, size_t *ret_len)
{
	const json_t *value = json_object_get(object, name);
	const char *text = value ? json_string_value(value) : "";
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (!text)
		return -EUCLEAN;
	len = strlen(text);
	data = malloc(len + 1);
	if (!data)
		return -ENOMEM;
	if (sodium_base642bin(data, len, text, len, NULL, ret_len, NULL, BASE64) != 0)
		return -EUCLEAN;
	*ret = TAKE_PTR(data);
	return 0;
}

static int take_key(struct etcd_entry *entry, const uint8_t *key, size_t len, const char *prefix)
{
	size_t skip = strlen(prefix);

	if (len < skip || memcmp(key, prefix, skip) != 0 || len - skip >= STORE_KEY_SIZE ||
	    memchr(key, 0, len))
		return -EUCLEAN;
	memcpy(entry->key, key + skip, len - skip);
	entry->key[len - skip] = 0;
	return store_key_is_valid(entry->key) ? 0 : -EUCLEAN;
}

int etcd_entry_read(const json_t *kv, const char *prefix, struct etcd_entry *ret)
{
	_cleanup_free_ uint8_t *key = NULL;
	struct etcd_entry entry = { 0 };
	size_t key_len;
	int r;

	r = read_bytes(kv, "key", &key, &key_len);
	if (r == 0)
		r = take_key(&entry, key, key_len, prefix);
	if (r == 0)
		r = etcd_number_read(kv, "create_revision", &entry.create_revision);
	if (r == 0)
		r = etcd_number_read(kv, "mod_revision", &entry.mod_revision);
	if (r == 0)
		r = read_bytes(kv, "value", &entry.value, &entry.len);
	if (r == 0)
		*ret = entry;
	return r;
}

int etcd_revision_read(const json_t *answer, uint64_t *ret)
{
	return etcd_number_read(json_object_get(answer, "header"), "revision", ret);
}

/* The codes are gRPC's (google/rpc/code.proto); where one means several things
 * etcd's own words (etcdserver/api/v3rpc/rpctypes/error.go) tell them apart. */
static int errno_of(int64_t code, const char *text)
{
	switch (code) {
	case 3: /* INVALID_ARGUMENT */
		return strstr(text, "too large") || strstr(text, "too many operations") ? -E2BIG :
		       strstr(text, "authentication") || strstr(text, "user name is empty") ||
				       strstr(text, "auth store is old") ?
										  -EACCES :
										  -EINVAL;
	case 5: /* NOT_FOUND */
		return -ENOENT;
	case 7:  /* PERMISSION_DENIED */
	case 16: /* UNAUTHENTICATED */
		return -EACCES;
	case 8: /* RESOURCE_EXHAUSTED */
		return strstr(text, "space exceeded") ? -ENOSPC :
		       strstr(text, "larger than max") ? -E2BIG : -EBUSY;
	case 9: /* FAILED_PRECONDITION */
		return strstr(text, "authentication") ? -EACCES : -EIO;
	case 11: /* OUT_OF_RANGE */
		return -ESTALE;
	case 14: /* UNAVAILABLE */
		return -EBUSY;
	default:
		return -EIO;
	}
}

static const char *advice(int code)
{
	switch (code) {
	case -ENOSPC:
		return "; compact and defragment it, or raise --quota-backend-bytes, then disarm its "
		       "alarm";
	case -E2BIG:
		return "; raise its --max-request-bytes";
	case -EACCES:
		return "; see 'user' and 'password_file' under etcd:";
	default:
		return "";
	}
}

int etcd_refusal_read(const json_t *body, long http_status, struct mg_error *err)
{
	const json_t *error = json_object_get(body, "error");
	const json_t *from = json_is_object(error) ? error : body;
	const json_t *code = json_object_get(from, "code");
	const char *text = json_string_value(json_object_get(from, "message"));
	int r;

	if (!code)
		code = json_object_get(from, "grpc_code");
	if (!text)
		text = json_string_value(error);
	if (!text)
		return mg_error_set(err, -EIO, "answers with HTTP status %ld", http_status);
	r = errno_of(json_integer_value(code), text);
	return mg_error_set(err, r, "says '%.100s'%s", text, advice(r));
}

int etcd_add_prefix(json_t *request, const char *text)
{
	size_t len = strlen(text);
	char end[2 * STORE_KEY_SIZE];

	if (len == 0 || len >= sizeof(end))
		return -EINVAL;
	memcpy(end, text, len + 1);
	end[len - 1]++; /* printable ASCII: it never overflows */
	return json_object_set_new(request, "key", etcd_bytes(text, len)) < 0 ||
			       json_object_set_new(request, "range_end", etcd_bytes(end, len)) < 0 ?
		       -ENOMEM :
		       0;
}
