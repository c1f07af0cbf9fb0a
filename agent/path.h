/* SPDX-License-Identifier: GPL-2.0-or-later */
/* path: the labels that sources put into frame.path, and what a datapath mode means. */
#ifndef TQ_AGENT_PATH_H
#define TQ_AGENT_PATH_H

enum path { PATH_NONE, PATH_TC, PATH_NFQ, PATH_PCAP };
#define PATH_COUNT 4

enum mode { DATAPATH_TC, DATAPATH_NFQ, DATAPATH_MIXED };

static inline const char *path_name(unsigned p)
{
	static const char *const names[PATH_COUNT] = { "none", "tc", "nfq", "pcap" };
	return p < PATH_COUNT ? names[p] : "none";
}

static inline const char *mode_name(enum mode m)
{
	return m == DATAPATH_TC ? "tc" : m == DATAPATH_NFQ ? "nfq" : "mixed";
}

#endif
