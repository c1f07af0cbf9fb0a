/* SPDX-License-Identifier: GPL-2.0-or-later */
/* err: a small error text that names its object.
 *
 * Library functions that can fail return 0 or a positive result, or -errno, and
 * fill a `struct err` that the caller owns: what failed, on which device, rule or
 * file, and the kernel's own words (extack) where there are any. */
#ifndef TQ_BASE_ERR_H
#define TQ_BASE_ERR_H

#define ERR_TEXT_MAX 320

struct err {
	char text[ERR_TEXT_MAX];
};

/* Fills `e` (NULL is allowed) and returns `code`, which is -errno; so a function
 * can end with `return err_set(e, -EINVAL, "...")`. Long texts are cut. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before what `e` says. Returns `code`. */
int err_prefix(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
