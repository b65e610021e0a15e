/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/move_state.h"
#include "migrator/cli/output.h"
#include "migrator/cli/sparkline.h"
#include "migrator/cli/view.h"

static const struct column columns[] = {
	{ "NAME", "name", COLUMN_TEXT },
	{ "SIZE", "inner.size", COLUMN_SIZE },
	{ "TOOK", "took", COLUMN_DURATION },
	{ "UP", "up", COLUMN_FLAG },
	{ "LIST", "list", COLUMN_LIST },
	{ NULL },
};

static json_t *rows(void)
{
	return json_pack("[{s:s, s:{s:I}, s:I, s:b, s:[s, s]}, {s:s}]", "name", "größe", "inner",
			 "size", (json_int_t)1610612736, "took", (json_int_t)12300000, "up", 1,
			 "list", "a", "b", "name", "two\nlines");
}

static char *table(const json_t *list, const char *none)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	output_table(out, list, columns, none);
	fclose(out);
	return text;
}

Test(cli_output, a_table_counts_characters_and_stays_on_its_lines)
{
	json_t *list = rows();
	char *text = table(list, "nothing");

	cr_assert_str_eq(text, "NAME           SIZE     TOOK  UP   LIST\n"
			       "größe      1.50 GiB  12.3 ms  yes  a, b\n"
			       "two lines         -        -  -    -\n");
	free(text);
	json_decref(list);
}

Test(cli_output, a_column_without_anything_is_left_out)
{
	json_t *list = json_pack("[{s:s, s:b}, {s:s, s:s}]", "name", "web", "up", 0, "name", "desk", "list",
				 "");
	char *text = table(list, "nothing");

	cr_assert_str_eq(text, "NAME  UP\n"
			       "web   no\n"
			       "desk  -\n");
	free(text);
	json_decref(list);
}

Test(cli_output, an_empty_table_says_so)
{
	json_t *list = json_array();
	char *text = table(list, "no VMs");

	cr_assert_str_eq(text, "no VMs\n");
	free(text);
	json_decref(list);
}

Test(cli_output, fields_leave_out_what_is_missing)
{
	json_t *list = rows();
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	output_fields(out, json_array_get(list, 1), columns);
	fclose(out);
	cr_assert_str_eq(text, "NAME  two lines\n");
	free(text);
	json_decref(list);
}

Test(cli_output, long_values_are_cut_not_overrun)
{
	static const struct column column = { "X", "x", COLUMN_LIST };
	json_t *row = json_object(), *list = json_array();
	char text[32];

	for (int i = 0; i < 100; i++)
		json_array_append_new(list, json_string("element"));
	json_object_set_new(row, "x", list);
	output_value(row, &column, text, sizeof(text));
	cr_assert_eq(strlen(text), sizeof(text) - 1);
	json_decref(row);
}

/* A field that is added to a message should not be forgotten here: a move that
 * has everything shows everything. */
Test(cli_output, every_figure_of_a_move_is_in_its_document)
{
	Tagalong__MoveFigures figures = TAGALONG__MOVE_FIGURES__INIT;
	Tagalong__MoveInfo info = TAGALONG__MOVE_INFO__INIT;
	uint8_t id[16] = { 0 };
	json_t *v;
	size_t with, without;

	info.move = (ProtobufCBinaryData){ sizeof(id), id };
	info.vm = info.source = info.target = (char *)"x";
	info.state = TAGALONG__MOVE_STATE__MOVE_IN_DOUBT;
	v = document_move(&info);
	without = json_object_size(v);
	cr_assert_str_eq(json_string_value(json_object_get(v, "state")), "in doubt");
	json_decref(v);
	for (unsigned i = 0; i < figures.base.descriptor->n_fields; i++) {
		unsigned offset = figures.base.descriptor->fields[i].quantifier_offset;

		*(protobuf_c_boolean *)((char *)&figures + offset) = true;
	}
	info.figures = &figures;
	v = document_move(&info);
	with = json_object_size(v);
	cr_assert_eq(with - without, figures.base.descriptor->n_fields);
	json_decref(v);
}

Test(cli_output, every_state_of_a_vm_has_a_name)
{
	const ProtobufCEnumDescriptor *d = &tagalong__vm_state__descriptor;

	for (unsigned i = 0; i < d->n_values; i++)
		cr_assert_str_neq(document_vm_state_name(d->values[i].value), "unknown");
	cr_assert_str_eq(document_vm_state_name(99), "unknown");
}

Test(sparkline, goes_from_the_least_to_the_largest_with_gaps)
{
	char text[SPARKLINE_TEXT_SIZE];
	struct sparkline s = { 0 };

	sparkline_format(&s, true, text);
	cr_assert_str_eq(text, "");
	for (uint64_t v = 10; v <= 17; v++)
		sparkline_add(&s, v);
	sparkline_add(&s, 0);
	sparkline_add(&s, 10);
	sparkline_format(&s, true, text);
	cr_assert_str_eq(text, "▁▂▃▄▅▆▇█ ▁");
	sparkline_format(&s, false, text);
	cr_assert_str_eq(text, "_.,-=+*# _");
}

Test(sparkline, keeps_the_newest)
{
	char text[SPARKLINE_TEXT_SIZE];
	struct sparkline s = { 0 };

	sparkline_add(&s, UINT64_MAX);
	for (size_t i = 0; i < SPARKLINE_VALUES; i++)
		sparkline_add(&s, 5);
	sparkline_format(&s, true, text);
	cr_assert_eq(strlen(text), 3 * SPARKLINE_VALUES);
	cr_assert_eq(strspn(text, "▁"), strlen(text), "all are the same: %s", text);
}
