/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* File names that callers give: --path, and where a name starts from. Include it behind event.bpf.h. */
#ifndef EBTOOLS_NAME_H
#define EBTOOLS_NAME_H

#include "path.bpf.h"

/* Rules a name out as early as possible; what starts from a directory is left to user space. */
static __always_inline bool name_wanted(const __u8 *name)
{
	int i;

	if (!settings.prefix_len || name[0] != '/')
		return true;
	for (i = 0; i < PREFIX_MAX; i++) {
		if (i >= settings.prefix_len)
			break;
		if (name[i] != settings.prefix[i])
			return false;
	}
	return true;
}

/*
 * The name that begins at *at in the tail and has len bytes with its NUL, or an error: finds out
 * where it starts, and moves *at behind it all. at_max: what *at is at most before.
 */
static __always_inline void fill_name(struct name *name, struct record *record, __u64 *at,
				      __u64 at_max, int dfd, long len)
{
	struct place place = {};
	__u64 start;
	bool absolute;

	name->len = 0;
	name->base_len = 0;
	name->base_state = PATH_NONE;
	if (*at > at_max)
		*at = at_max;
	absolute = record->tail[*at] == '/';
	if (len > 0 && len <= PATH_MAX) {
		name->len = len - 1;
		*at += len - 1;
	}
	if (!(settings.collect & COLLECT_BASE))
		return;
	if (absolute)
		place = root_directory();
	else if (dfd == AT_FDCWD)
		place = working_directory();
	else
		place = place_of_fd(dfd);
	start = *at;
	name->base_state = names_of(place, record, at);
	name->base_len = *at - start;
}

static __always_inline void no_name(struct name *name)
{
	__builtin_memset(name, 0, sizeof(*name));
}

#endif
