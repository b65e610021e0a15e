/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/study_file.h"

#include "common/config.h"
#include "sim/study/metrics.h"

#define TEXT_MAX 1024
#define VALUES_MAX 256
#define POLICIES_MAX 256

#define TEXT(key, type, member)                                                                    \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, TEXT_MAX)
#define OPTIONAL(key, type, member)                                                                \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1,     \
			       TEXT_MAX)
#define KEY(section, key, ...) OPTIONAL(#key, struct raw_##section, key),

#define SECTION_FIELDS(section, keys)                                                              \
	static const cyaml_schema_field_t section##_fields[] = {                                   \
		keys(KEY) CYAML_FIELD_END,                                                         \
	}
SECTION_FIELDS(attachment, SECTION_ATTACHMENT);
SECTION_FIELDS(radio, SECTION_RADIO);
SECTION_FIELDS(backhaul, SECTION_BACKHAUL);
SECTION_FIELDS(traffic, SECTION_TRAFFIC);
SECTION_FIELDS(telemetry, SECTION_TELEMETRY);
SECTION_FIELDS(vm, SECTION_VM);
SECTION_FIELDS(background, SECTION_BACKGROUND);
SECTION_FIELDS(hosts, SECTION_HOSTS);
SECTION_FIELDS(limits, SECTION_LIMITS);

#define MOVEMENT_KEY(section, key, ...) OPTIONAL(#key, struct raw_movement, with.key),
static const cyaml_schema_field_t movement_fields[] = {
	OPTIONAL("model", struct raw_movement, model),
	OPTIONAL("devices", struct raw_movement, devices),
	OPTIONAL("margin", struct raw_movement, margin),
	OPTIONAL("trace", struct raw_movement, trace),
	OPTIONAL("file", struct raw_movement, file),
	OPTIONAL("slot", struct raw_movement, slot),
	CONFIG_FIELD_BOOL("reversed", CYAML_FLAG_OPTIONAL, struct raw_movement, reversed),
	SECTION_MOBILITY(MOVEMENT_KEY) CYAML_FIELD_END,
};

static const cyaml_schema_value_t value_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, TEXT_MAX),
};

/* Two names, a list for each parameter, and the end. Filled in by
 * make_policy_fields(). */
static cyaml_schema_field_t policy_fields[2 + PARAMETERS_MAX + 1] = {
	TEXT("name", struct raw_policy, name),
	OPTIONAL("label", struct raw_policy, label),
};
static const cyaml_schema_value_t policy_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_policy, policy_fields),
};

static void make_policy_fields(void)
{
	for (size_t i = 0; i < n_parameters; i++) {
		cyaml_schema_field_t *f = &policy_fields[2 + i];

		*f = (cyaml_schema_field_t)CYAML_FIELD_SEQUENCE_COUNT(
			parameter_name((int)i), CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			struct raw_policy, swept[0].values, swept[0].n, &value_schema, 1,
			VALUES_MAX);
		f->data_offset += (uint32_t)(i * sizeof(struct raw_values));
		f->count_offset += (uint32_t)(i * sizeof(struct raw_values));
	}
	policy_fields[2 + n_parameters] = (cyaml_schema_field_t)CYAML_FIELD_END;
}

#define TOP_KEY(section, key, ...) OPTIONAL(#key, struct raw_study, top.key),
#define SECTION(section)                                                                           \
	CYAML_FIELD_MAPPING(#section, CYAML_FLAG_OPTIONAL, struct raw_study, section,              \
			    section##_fields)
static const cyaml_schema_field_t study_fields[] = {
	TEXT("name", struct raw_study, name),
	TEXT("towers", struct raw_study, towers),
	OPTIONAL("seed", struct raw_study, seed),
	SECTION_TOP(TOP_KEY) CYAML_FIELD_MAPPING("mobility", CYAML_FLAG_DEFAULT, struct raw_study,
						 mobility, movement_fields),
	SECTION(attachment),
	SECTION(radio),
	SECTION(backhaul),
	SECTION(traffic),
	SECTION(telemetry),
	SECTION(vm),
	SECTION(background),
	SECTION(hosts),
	SECTION(limits),
	CYAML_FIELD_SEQUENCE_COUNT("policies", CYAML_FLAG_POINTER, struct raw_study, policies,
				   n_policies, &policy_schema, 1, POLICIES_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("metrics", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   struct raw_study, metrics, n_metrics, &value_schema, 1,
				   METRICS_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t study_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_study, study_fields),
};

int study_file_parse(const char *name, const char *text, size_t len, struct raw_study **ret,
		     struct mg_error *err)
{
	make_policy_fields();
	return config_parse(name, text, len, &study_schema, (void **)ret, err);
}

void study_file_free(struct raw_study *raw)
{
	config_free(&study_schema, raw);
}
