/* SPDX-License-Identifier: GPL-2.0-or-later */
/* container: what the files of a container's runtime say of it, by a process in it. Asking the runtimes themselves is for a later version: what no
 * file here says is not known. */
#ifndef TQ_AGENT_CONTAINER_H
#define TQ_AGENT_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CONTAINER_ID_MAX 65	/* 64 hexadecimal digits and a NUL */
#define IMAGE_MAX 1024

/* The container's id as its runtime wrote it into the cgroup path: the last run of 64 hexadecimal digits. False: there is none. */
bool container_id(pid_t pid, char id[CONTAINER_ID_MAX]);
/* The image as it was named when the container was made, from Docker's record of it under `dir` (CONTAINER_DOCKER_DIR). False: there is none, or it
 * makes no sense (control characters, longer than IMAGE_MAX - 1). */
#define CONTAINER_DOCKER_DIR "/var/lib/docker/containers"
bool container_image(const char *dir, const char *id, char out[IMAGE_MAX]);

#endif
