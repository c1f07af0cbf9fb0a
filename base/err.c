/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return code;
}

int err_prefix(struct err *e, int code, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	size_t n, room;
	va_list ap;
	int len;

	if (!e)
		return code;
	n = strnlen(e->text, sizeof(e->text) - 1);
	memcpy(old, e->text, n);
	va_start(ap, fmt);
	len = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (len < 0)
		len = 0;
	if ((size_t)len + 3 > sizeof(e->text))	/* no room for ": " and the end */
		return code;
	memcpy(e->text + len, ": ", 2);
	len += 2;
	room = sizeof(e->text) - (size_t)len - 1;
	if (n > room)
		n = room;
	memcpy(e->text + len, old, n);
	e->text[(size_t)len + n] = '\0';
	return code;
}
