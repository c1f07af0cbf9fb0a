/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_NS (5 * (int64_t)1000000000)
#define WINDOW_LINES 10
#define LINE_MAX_BYTES 1024

static const char *const module_names[LOG_MODULE_COUNT] = {
#define X(id, name) [LOG_##id] = name,
	LOG_MODULES(X)
#undef X
};

static const char *const level_names[] = { "error", "warn", "info", "debug" };

_Atomic int log_levels[LOG_MODULE_COUNT] = {
#define X(id, name) [LOG_##id] = LOG_LVL_INFO,
	LOG_MODULES(X)
#undef X
};

const char *log_module_name(enum log_module m)
{
	return (unsigned)m < LOG_MODULE_COUNT ? module_names[m] : "?";
}

const char *log_level_name(enum log_level l)
{
	return (unsigned)l <= LOG_LVL_DEBUG ? level_names[l] : "?";
}

int log_set(const char *module, const char *level)
{
	bool all = !strcmp(module, "all"), found = false;
	int l = 0;

	while (strcmp(level_names[l], level))
		if (++l > LOG_LVL_DEBUG)
			return -EINVAL;
	for (int m = 0; m < LOG_MODULE_COUNT; m++) {
		if (!all && strcmp(module_names[m], module))
			continue;
		atomic_store_explicit(&log_levels[m], l, memory_order_relaxed);
		found = true;
	}
	return found ? 0 : -EINVAL;
}

/* True when the site may speak now; *swallowed is what it had to keep back in the window that has ended. */
static bool site_may(struct log_site *site, uint32_t *swallowed)
{
	struct timespec ts;
	int64_t now, start = atomic_load(&site->window_ns);

	*swallowed = 0;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	if ((!start || now - start >= WINDOW_NS) && atomic_compare_exchange_strong(&site->window_ns, &start, now)) {
		atomic_store(&site->count, 0);
		*swallowed = atomic_exchange(&site->swallowed, 0);
	}
	if (atomic_fetch_add(&site->count, 1) < WINDOW_LINES)
		return true;
	atomic_fetch_add(&site->swallowed, 1);
	return false;
}

/* One line is one write, and names from outside can't start another line or speak to the terminal. */
static void put_line(char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return;		/* nobody left to tell */
}

void log_line(struct log_site *site, enum log_module m, enum log_level l, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES + 1];
	uint32_t swallowed;
	int n, rest, err = errno;
	va_list ap;

	if (!site_may(site, &swallowed))
		goto out;
	if (swallowed) {
		n = snprintf(line, LINE_MAX_BYTES, "%s: %s: %u more lines like the next were kept back", log_level_name(l), log_module_name(m), swallowed);
		put_line(line, (size_t)n);
	}
	n = snprintf(line, LINE_MAX_BYTES, "%s: %s: ", log_level_name(l), log_module_name(m));
	va_start(ap, fmt);
	rest = vsnprintf(line + n, LINE_MAX_BYTES - (size_t)n, fmt, ap);
	va_end(ap);
	if (rest < 0)
		rest = 0;
	n = rest < LINE_MAX_BYTES - n ? n + rest : LINE_MAX_BYTES - 1;
	put_line(line, (size_t)n);
out:
	errno = err;	/* so that a call between a failure and its report does no harm */
}
