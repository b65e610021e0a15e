/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/node_config.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/keys.h"
#include "common/units.h"
#include "migrator/link.h"
#include "migrator/vm_spec.h"

#define TEXT_MAX 4096
#define IMAGE_BUDGET_DEFAULT (UINT64_C(4) << 30)
#define IMAGE_MAX_AGE_DEFAULT (UINT64_C(24) * 3600 * NS_PER_S)
#define CONTROLLERS_MAX 16
#define CONNECTIONS 1
#define SHADOW_BYTES ((uint64_t)64 << 20)
#define STRING(key, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, struct node_config, member, 1, TEXT_MAX)
#define OPTIONAL_STRING(key, member)                                                    \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,           \
			       struct node_config, member, 1, TEXT_MAX)

static const cyaml_schema_field_t controller_fields[] = {
	CYAML_FIELD_STRING_PTR("endpoint", CYAML_FLAG_POINTER, struct controller_config, endpoint, 1,
			       TEXT_MAX),
	CYAML_FIELD_STRING_PTR("key", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			       struct controller_config, key, 1, TEXT_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t controller_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct controller_config, controller_fields),
};

static const cyaml_schema_field_t fields[] = {
	STRING("name", name),
	OPTIONAL_STRING("key", key),
	OPTIONAL_STRING("allow", allow),
	STRING("listen", listen),
	OPTIONAL_STRING("advertise", advertise),
	STRING("data_listen", data_listen),
	OPTIONAL_STRING("data_advertise", data_advertise),
	OPTIONAL_STRING("metrics", metrics),
	CYAML_FIELD_UINT_PTR("data_connections", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct node_config, data_connections),
	CYAML_FIELD_MAPPING_PTR("controller", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				struct node_config, controller, controller_fields),
	CYAML_FIELD_SEQUENCE_COUNT("controllers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct node_config, controllers, n_controllers,
				   &controller_schema, 1, CONTROLLERS_MAX),
	STRING("state_dir", state_dir),
	STRING("ram_dir", ram_dir),
	OPTIONAL_STRING("huge_page_dir", huge_page_dir),
	STRING("memory", memory),
	OPTIONAL_STRING("shadow_memory", shadow_memory),
	CYAML_FIELD_UINT("vcpus", CYAML_FLAG_DEFAULT, struct node_config, vcpus),
	CYAML_FIELD_UINT("moves_out", CYAML_FLAG_OPTIONAL, struct node_config, moves_out),
	CYAML_FIELD_UINT("moves_in", CYAML_FLAG_OPTIONAL, struct node_config, moves_in),
	OPTIONAL_STRING("qemu", qemu),
	OPTIONAL_STRING("qemu_user", qemu_user),
	OPTIONAL_STRING("cgroup", cgroup),
	OPTIONAL_STRING("relay_dir", relay_dir),
	OPTIONAL_STRING("image_dir", image_dir),
	OPTIONAL_STRING("image_budget", image_budget),
	OPTIONAL_STRING("image_max_age", image_max_age),
	CONFIG_FIELD_BOOL("plain_text_bus", CYAML_FLAG_OPTIONAL, struct node_config, plain_text_bus),
	CONFIG_FIELD_BOOL("plain_text_data", CYAML_FLAG_OPTIONAL, struct node_config,
			 plain_text_data),
	CYAML_FIELD_IGNORE("memory_bytes", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_IGNORE("image_budget_bytes", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_IGNORE("image_max_age_ns", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_IGNORE("shadow_bytes", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_IGNORE("connections", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct node_config, fields),
};

static int check_name(const struct node_config *c, const char *file, struct mg_error *err)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

	if (strlen(c->name) >= PEER_NAME_SIZE || c->name[strspn(c->name, letters)])
		return mg_error_set(err, -EINVAL, "%s: name: letters, digits, '-', '_' and '.' only",
				    file);
	return 0;
}

static int check_addresses(const struct node_config *c, const char *file, struct mg_error *err)
{
	struct address a;

	if (address_parse(c->data_listen, 0, &a) < 0)
		return mg_error_set(err, -EINVAL, "%s: data_listen: '%.64s' is not IP:PORT", file,
				    c->data_listen);
	if (c->data_advertise && address_parse(c->data_advertise, 0, &a) < 0)
		return mg_error_set(err, -EINVAL, "%s: data_advertise: '%.64s' is not IP:PORT", file,
				    c->data_advertise);
	if (c->metrics && address_parse(c->metrics, 0, &a) < 0)
		return mg_error_set(err, -EINVAL, "%s: metrics: '%.64s' is not IP:PORT", file,
				    c->metrics);
	if (strncmp(c->listen, "tcp://", 6) != 0 && strncmp(c->listen, "ipc://", 6) != 0)
		return mg_error_set(err, -EINVAL, "%s: listen: '%.64s' is not tcp://IP:PORT", file,
				    c->listen);
	return 0;
}

/* The socket of any VM in it has to fit into a sockaddr_un. */
static int check_relay_dir(const struct node_config *c, const char *file, struct mg_error *err)
{
	size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - VM_NAME_MAX - 2;

	if (c->relay_dir && (c->relay_dir[0] != '/' || strlen(c->relay_dir) > most))
		return mg_error_set(err, -EINVAL, "%s: relay_dir: '%.64s' is not an absolute path of "
				    "%zu characters at most", file, c->relay_dir, most);
	return 0;
}

static int check_images(struct node_config *c, const char *file, struct mg_error *err)
{
	c->image_budget_bytes = IMAGE_BUDGET_DEFAULT;
	c->image_max_age_ns = IMAGE_MAX_AGE_DEFAULT;
	if (c->image_budget && size_parse(c->image_budget, &c->image_budget_bytes) < 0)
		return mg_error_set(err, -EINVAL, "%s: image_budget: '%.32s' is not a size such as "
				    "4G; 0 keeps no images", file, c->image_budget);
	if (c->image_max_age && duration_parse(c->image_max_age, &c->image_max_age_ns) < 0)
		return mg_error_set(err, -EINVAL, "%s: image_max_age: '%.32s' is not a duration such "
				    "as 24h", file, c->image_max_age);
	if (!c->image_dir && asprintf(&c->image_dir, "%s/images", c->state_dir) < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* One controller is a list of one. */
static int check_controllers(struct node_config *c, const char *file, struct mg_error *err)
{
	if (c->controller && c->controllers)
		return mg_error_set(err, -EINVAL, "%s: give either 'controller' or 'controllers', a "
				    "list of those of which one leads", file);
	if (c->controller) {
		c->controllers = c->controller;
		c->controller = NULL;
		c->n_controllers = 1;
	}
	for (unsigned i = 0; i < c->n_controllers && !c->plain_text_bus; i++)
		if (!c->controllers[i].key)
			return mg_error_set(err, -EINVAL, "%s: controller: its public 'key' is "
					    "needed", file);
	return 0;
}

static int check(struct node_config *c, const char *file, struct mg_error *err)
{
	int r = check_name(c, file, err);

	if (r == 0)
		r = check_addresses(c, file, err);
	if (r < 0)
		return r;
	if (size_parse(c->memory, &c->memory_bytes) < 0 || c->memory_bytes == 0)
		return mg_error_set(err, -EINVAL, "%s: memory: '%.32s' is not a size such as 8G", file,
				    c->memory);
	c->shadow_bytes = SHADOW_BYTES;
	if (c->shadow_memory && size_parse(c->shadow_memory, &c->shadow_bytes) < 0)
		return mg_error_set(err, -EINVAL, "%s: shadow_memory: '%.32s' is not a size such as "
				    "64M", file, c->shadow_memory);
	c->connections = c->data_connections ? *c->data_connections : CONNECTIONS;
	if (c->connections == 0 || c->connections > LINK_LANES_MAX)
		return mg_error_set(err, -EINVAL, "%s: data_connections: %u is not from 1 to %d",
				    file, c->connections, LINK_LANES_MAX);
	if (c->vcpus == 0)
		return mg_error_set(err, -EINVAL, "%s: vcpus: 0 is no number of processors", file);
	if (!c->plain_text_bus && (!c->key || !c->allow))
		return mg_error_set(err, -EINVAL, "%s: 'key' and 'allow' are needed, unless "
				    "plain_text_bus says that anybody may give orders", file);
	r = check_controllers(c, file, err);
	if (r == 0)
		r = check_relay_dir(c, file, err);
	if (r < 0)
		return r;
	if (c->plain_text_bus && !c->plain_text_data)
		return mg_error_set(err, -EINVAL, "%s: plain_text_bus without plain_text_data: the key "
				    "of the data connections would travel in plain text", file);
	if (!c->qemu) {
		c->qemu = strdup("qemu-system-x86_64");
		if (!c->qemu)
			return mg_error_set(err, -ENOMEM, "out of memory");
	}
	return check_images(c, file, err);
}

static int finish(struct node_config *c, const char *file, struct node_config **ret,
		  struct mg_error *err)
{
	int r = check(c, file, err);

	if (r < 0) {
		node_config_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int node_config_load(const char *path, struct node_config **ret, struct mg_error *err)
{
	struct node_config *c = NULL;
	int r = config_load(path, &schema, (void **)&c, err);

	return r < 0 ? r : finish(c, path, ret, err);
}

int node_config_parse(const char *name, const char *text, size_t len, struct node_config **ret,
		      struct mg_error *err)
{
	struct node_config *c = NULL;
	int r = config_parse(name, text, len, &schema, (void **)&c, err);

	return r < 0 ? r : finish(c, name, ret, err);
}

void node_config_free(struct node_config *c)
{
	if (c)
		config_free(&schema, c);
}
