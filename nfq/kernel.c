/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nfq/kernel.h"

#include <errno.h>
#include <sys/socket.h>

#include <linux/netlink.h>

int kernel_connect(int fd)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	char none;

	if (connect(fd, (struct sockaddr *)&kernel, sizeof kernel))
		return -errno;
	while (recv(fd, &none, sizeof none, MSG_DONTWAIT) >= 0)
		;
	return 0;
}
