/* SPDX-License-Identifier: Apache-2.0
 *
 * report.html: one page with all that a study found, which needs nothing else.
 */
#ifndef SIM_STUDY_REPORT_H
#define SIM_STUDY_REPORT_H

#include <stdio.h>

/* `userdata` is a struct results. */
void report_write(FILE *f, const void *userdata);

#endif
