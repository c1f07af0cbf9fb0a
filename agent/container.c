/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/container.h"

#include <ctype.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_MAX (1 << 20)	/* bytes of a container's record; they have some 5,000 */

bool container_id(pid_t pid, char id[CONTAINER_ID_MAX])
{
	char path[64], line[1024];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof line, f)) {
		size_t run = 0;

		for (const char *p = line; *p; p++) {
			run = isxdigit((unsigned char)*p) ? run + 1 : 0;
			if (run == CONTAINER_ID_MAX - 1) {
				memcpy(id, p - (CONTAINER_ID_MAX - 2), CONTAINER_ID_MAX - 1);
				id[CONTAINER_ID_MAX - 1] = '\0';
				found = true;
			}
		}
	}
	fclose(f);
	return found;
}

static json_t *read_record(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	json_t *doc = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= RECORD_MAX)
		doc = json_loadfd(fd, 0, NULL);
	close(fd);
	return doc;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= 0x20 || *s == 0x7f)
			return false;
	return true;
}

bool container_image(const char *dir, const char *id, char out[IMAGE_MAX])
{
	char path[4096];
	const char *image;
	json_t *doc;
	bool found;

	if (snprintf(path, sizeof path, "%s/%s/config.v2.json", dir, id) >= (int)sizeof path)
		return false;
	doc = read_record(path);
	image = json_string_value(json_object_get(json_object_get(doc, "Config"), "Image"));
	found = image && *image && strlen(image) < IMAGE_MAX && printable(image);
	if (found)
		strcpy(out, image);
	json_decref(doc);
	return found;
}
