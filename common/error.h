/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors. How to use this:
 *
 * A function that can fail for more than one cause returns 0 or a negative
 * errno value. Inside a room that is all there is:
 *
 *     r = frame_decode(...);
 *     if (r < 0)
 *             return r;
 *
 * Where a failure reaches an operator (a command, a reply, the log of a
 * daemon), a number is not enough. Such functions take a `struct mg_error *`
 * as their last argument and fill it once, at the place that knows best what
 * went wrong and what to do about it:
 *
 *     return mg_error_set(err, -ENOENT, "no VM named '%s' on this node; "
 *                         "'migrator vm list' shows those that are", name);
 *
 * mg_error_set() returns the code, so that it ends the function in one line.
 * `err` may be NULL: then only the code is returned. A caller that adds
 * context does it in front, with mg_error_prefix(). The text is never logged
 * by the function that made it; whoever decides that the failure is final logs
 * it, once.
 *
 * Outputs (`ret_*`) are written only on success.
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

struct mg_error {
	int code;       /* negative errno, 0 when nothing failed */
	char text[256]; /* one line for an operator, no newline at its end */
};

/* Fills *err (when not NULL) and returns code. */
int mg_error_set(struct mg_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text that is there. Does nothing on NULL. */
void mg_error_prefix(struct mg_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
