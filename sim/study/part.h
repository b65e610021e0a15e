/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a study under way: runs.part in its folder.
 */
#ifndef SIM_STUDY_PART_H
#define SIM_STUDY_PART_H

#include "sim/study/results.h"

struct part {
	FILE *file;
	char path[4096];
};

/* Opens or makes it, and reads what it and results.jsonl have of this study, the
 * study's line being `header`. A line that was cut off is taken out. */
int part_open(const char *folder, const char *header, struct part *ret, struct results **results,
	      struct mg_error *err);

int part_add(struct part *part, const char *line, struct mg_error *err);

/* Its lines are in the results' files now. */
void part_remove(struct part *part);
void part_close(struct part *part);

#endif
