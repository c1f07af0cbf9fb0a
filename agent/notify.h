/* SPDX-License-Identifier: GPL-2.0-or-later */
/* notify: sd_notify(3) without libsystemd: datagrams to NOTIFY_SOCKET where it is set. */
#ifndef TQ_AGENT_NOTIFY_H
#define TQ_AGENT_NOTIFY_H

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_watchdog(void);

#endif
