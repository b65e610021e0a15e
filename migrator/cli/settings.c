/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/cli/settings.h"

#include <limits.h>
#include <string.h>

#include "common/config.h"
#include "common/keys.h"

#define NAME_MAX_LENGTH (PEER_NAME_SIZE - 1)
#define ENDPOINT_MAX 255
#define CONTROLLERS_MAX 16
#define NODES_MAX 10000

static const cyaml_schema_field_t controller_fields[] = {
	CYAML_FIELD_STRING_PTR("endpoint", CYAML_FLAG_POINTER, struct server_settings, endpoint, 1,
			       ENDPOINT_MAX),
	CYAML_FIELD_STRING_PTR("key", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			       struct server_settings, key, KEY_TEXT_SIZE - 1, KEY_TEXT_SIZE - 1),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t controller_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct server_settings, controller_fields),
};

static const cyaml_schema_field_t node_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct server_settings, name, 1,
			       NAME_MAX_LENGTH),
	CYAML_FIELD_STRING_PTR("endpoint", CYAML_FLAG_POINTER, struct server_settings, endpoint, 1,
			       ENDPOINT_MAX),
	CYAML_FIELD_STRING_PTR("key", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			       struct server_settings, key, KEY_TEXT_SIZE - 1, KEY_TEXT_SIZE - 1),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t node_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct server_settings, node_fields),
};

static const cyaml_schema_field_t settings_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct settings, name, 1,
			       NAME_MAX_LENGTH),
	CYAML_FIELD_STRING_PTR("key", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct settings, key,
			       1, PATH_MAX),
	CYAML_FIELD_MAPPING_PTR("controller", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				struct settings, controller, controller_fields),
	CYAML_FIELD_SEQUENCE_COUNT("controllers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct settings, controllers, n_controllers,
				   &controller_schema, 1, CONTROLLERS_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("nodes", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct settings, nodes, n_nodes, &node_schema, 0, NODES_MAX),
	CONFIG_FIELD_BOOL("plain_text_bus", CYAML_FLAG_OPTIONAL, struct settings, plain_text_bus),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t settings_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct settings, settings_fields),
};

/* --config, else $TAGALONG_CONFIG, else in the user's configuration folder. */
static int path_choose(const char *given, char *path, size_t size, struct mg_error *err)
{
	const char *env = getenv("TAGALONG_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int n;

	if (given || (env && env[0]))
		n = snprintf(path, size, "%s", given ? given : env);
	else if (xdg && xdg[0])
		n = snprintf(path, size, "%s/tagalong/migrator.yaml", xdg);
	else if (home && home[0])
		n = snprintf(path, size, "%s/.config/tagalong/migrator.yaml", home);
	else
		return mg_error_set(err, -ENOENT, "no configuration: give --config FILE");
	if ((size_t)n >= size)
		return mg_error_set(err, -ENAMETOOLONG, "the configuration's path is too long");
	return 0;
}

/* Puts the folder of `path` in front of a relative *file. */
static int path_beside(const char *path, char **file)
{
	const char *slash = strrchr(path, '/');
	char *full;

	if ((*file)[0] == '/' || !slash)
		return 0;
	if (asprintf(&full, "%.*s/%s", (int)(slash - path), path, *file) < 0)
		return -ENOMEM;
	free(*file);
	*file = full;
	return 0;
}

/* What the schema cannot say. One controller becomes a list of one. */
static int settings_check(struct settings *s, struct mg_error *err)
{
	if (s->controller && s->controllers)
		return mg_error_set(err, -EINVAL, "%s: give either 'controller' or 'controllers', a "
				    "list of those of which one leads", s->path);
	if (s->controller) {
		s->controllers = s->controller;
		s->controller = NULL;
		s->n_controllers = 1;
	}
	if (s->plain_text_bus)
		return 0;
	if (!s->key)
		return mg_error_set(err, -EINVAL, "%s: 'key' is missing: the file of your secret key; "
				    "'migrator keys make FILE' makes one", s->path);
	for (unsigned i = 0; i < s->n_controllers; i++)
		if (!s->controllers[i].key)
			return mg_error_set(err, -EINVAL, "%s: controller: 'key' is missing: "
					    "placementd's public key; 'migrator keys show FILE' "
					    "prints it there", s->path);
	for (unsigned i = 0; i < s->n_nodes; i++)
		if (!s->nodes[i].key)
			return mg_error_set(err, -EINVAL, "%s: node '%s': 'key' is missing: its "
					    "public key; 'migrator keys show FILE' prints it there",
					    s->path, s->nodes[i].name);
	return 0;
}

/* Takes what the schema has made of the text. */
static int settings_take(struct settings *s, const char *path, struct settings **ret,
			 struct mg_error *err)
{
	int r = 0;

	s->path = strdup(path);
	if (!s->path || (s->key && path_beside(path, &s->key) < 0))
		r = mg_error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = settings_check(s, err);
	if (r < 0)
		settings_free(s);
	else
		*ret = s;
	return r;
}

int settings_load(const char *given, struct settings **ret, struct mg_error *err)
{
	struct settings *s = NULL;
	char path[PATH_MAX];
	int r;

	r = path_choose(given, path, sizeof(path), err);
	if (r < 0)
		return r;
	r = config_load(path, &settings_schema, (void **)&s, err);
	if (r == -ENOENT)
		return mg_error_set(err, r, "no configuration at %.160s; "
				    "migrator(1) shows what belongs in it", path);
	return r < 0 ? r : settings_take(s, path, ret, err);
}

int settings_parse(const char *path, const char *text, size_t len, struct settings **ret,
		   struct mg_error *err)
{
	struct settings *s = NULL;
	int r = config_parse(path, text, len, &settings_schema, (void **)&s, err);

	return r < 0 ? r : settings_take(s, path, ret, err);
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	free(s->path);
	config_free(&settings_schema, s);
}

int settings_find_node(const struct settings *s, const char *node, struct server_settings *ret,
		       struct mg_error *err)
{
	for (unsigned i = 0; i < s->n_nodes; i++)
		if (strcmp(s->nodes[i].name, node) == 0 || strcmp(s->nodes[i].endpoint, node) == 0) {
			*ret = s->nodes[i];
			return 0;
		}
	if (strstr(node, "://") && s->plain_text_bus) {
		*ret = (struct server_settings){ .name = (char *)node, .endpoint = (char *)node };
		return 0;
	}
	return mg_error_set(err, -ENOENT, "no node '%.64s' under nodes: in %.120s; "
			    "add its name, endpoint and key", node, s->path);
}
