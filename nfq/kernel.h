/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kernel: a netlink socket that only the kernel reaches. */
#ifndef TQ_NFQ_KERNEL_H
#define TQ_NFQ_KERNEL_H

/* Whoever else writes to its port is refused from here on (netlink_getsockbyportid() in net/netlink/af_netlink.c); a workload with CAP_NET_ADMIN could, and
 * would be taken for the kernel. The socket gets its port by that, if it has none; what was written before is thrown away, so nothing may be asked before.
 * 0 or -errno. */
int kernel_connect(int fd);

#endif
