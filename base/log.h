/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log: one line to stderr, per-module levels, rate-limited per call site.
 *
 * Thread-safe. A site that logs more than 10 lines in 5 s is silenced until the
 * window ends and then says how many lines it swallowed. Errors name their object. */
#ifndef TQ_BASE_LOG_H
#define TQ_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };

/* Modules: id, name as in `tapq log MODULE=LEVEL`. */
#define LOG_MODULES(X) \
	X(AGENT, "agent") X(BRIDGE, "bridge") X(TC, "tc") X(NFQ, "nfq") X(DPI, "dpi") X(CONTROL, "control") X(SINK, "sink") X(POLICY, "policy")

enum log_module {
#define X(id, name) LOG_##id,
	LOG_MODULES(X)
#undef X
	LOG_MODULE_COUNT
};

struct log_site {
	_Atomic int64_t window_ns;
	_Atomic uint32_t count, swallowed;
};

extern _Atomic int log_levels[LOG_MODULE_COUNT];

const char *log_module_name(enum log_module m);
const char *log_level_name(enum log_level l);
/* module "all" sets every module. -EINVAL for unknown names. */
int log_set(const char *module, const char *level);
void log_line(struct log_site *site, enum log_module m, enum log_level l, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#define log_at(m, l, ...) \
	do { \
		if ((int)(l) <= atomic_load_explicit(&log_levels[LOG_##m], memory_order_relaxed)) { \
			static struct log_site site_; \
			log_line(&site_, LOG_##m, (l), __VA_ARGS__); \
		} \
	} while (0)
#define log_error(m, ...) log_at(m, LOG_LVL_ERROR, __VA_ARGS__)
#define log_warn(m, ...) log_at(m, LOG_LVL_WARN, __VA_ARGS__)
#define log_info(m, ...) log_at(m, LOG_LVL_INFO, __VA_ARGS__)
#define log_debug(m, ...) log_at(m, LOG_LVL_DEBUG, __VA_ARGS__)

#endif
