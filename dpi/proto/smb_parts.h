/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smb_parts: what the files of smb share. A message is given as a view from its magic on, of its first bytes at least. */
#ifndef TQ_DPI_PROTO_SMB_PARTS_H
#define TQ_DPI_PROTO_SMB_PARTS_H

#include "dpi/message.h"
#include "dpi/proto/told.h"

#define SMB_SHARES 8u
#define SMB_SHARE_LEN 128u

/* A tree that is connected: its number and the share's name. */
struct smb_tree {
	uint32_t id;
	uint8_t len;
	char name[SMB_SHARE_LEN];
};

/* Files that version 2 opened lately: the handle, and the name in UTF-16 as it was asked for. A rename or an end names the handle only. */
#define SMB_OPENS 15u
#define SMB_NAME_LEN 110u

struct smb_open {
	uint64_t id[2];			/* asked: the message, 0 */
	bool asked;
	uint8_t n;			/* of the name; 0: too long to be kept, or the share itself */
	uint8_t name[SMB_NAME_LEN];
};

struct smb_opens {
	uint32_t next;			/* the slot that is used next */
	struct smb_open open[SMB_OPENS];
};

struct smb {
	struct asks asks;
	uint32_t next_tree;			/* the slot that is used next */
	struct smb_tree tree[SMB_SHARES];
	struct smb_tree asked;			/* of the last TREE_CONNECT; id: not known yet */
	uint64_t asked_for;			/* its message */
	uint64_t old_hello;			/* id of a NEGOTIATE of version 1 that waits, which version 2 may answer; 0: none */
	struct smb_opens *opens;		/* NULL: none yet, or no memory */
	bool mailslot_told;			/* of datagrams */
	uint32_t unread;			/* 1 and the policy under which a sealed message was judged */
};

extern const struct fact smb_f_version, smb_f_command, smb_f_dialect, smb_f_share, smb_f_file, smb_f_target, smb_f_user, smb_f_domain,
	smb_f_host, smb_f_status, smb_f_delete;

void smb_v1_message(struct px *, struct smb *, struct cursor);
void smb_v1_mailslot(struct px *, enum dir, struct cursor);	/* a transaction in a datagram */
void smb_v2_message(struct px *, struct smb *, struct cursor);

/* The user that an NTLMSSP AUTHENTICATE somewhere in the blob names. */
void smb_tell_ntlm(struct record *, struct bytes blob);
void smb_tell_status(struct record *, uint32_t status);
void smb_tell_share(struct record *, const struct smb *, uint32_t tree);
/* A share was asked for by that message; its answer names the tree. */
void smb_share_asked(struct smb *, uint64_t message, const char *name, size_t n);
void smb_share_given(struct smb *, uint64_t message, uint32_t tree);
/* Judges what of a request cannot be read. */
void smb_unread(struct px *);
/* The bytes at off from the beginning of the message, as many as are there; {NULL,0}: none. */
struct bytes smb_at(struct cursor message, size_t off, size_t n);

#endif
