/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* File names that callers give: --path, and where a name starts from. Include it behind event.bpf.h. */
#ifndef EBTOOLS_NAME_H
#define EBTOOLS_NAME_H

#include "path.bpf.h"

/* The most of a name that is looked at. */
#define NAME_LOOKED_AT 256

/*
 * Can the path that begins with the tail's name not begin with settings.prefix, whatever user space
 * finds it to be? That is sure of an absolute name alone, of a task whose root is that of its mount
 * namespace; no part of it is "..", and up to where it differs none is empty or ".". A global function:
 * event.bpf.h says why.
 */
__noinline bool name_ruled_out(__u32 slot)
{
	struct record *record = record_at(slot);
	__u8 before = 0, byte;
	int i;

	if (!record || record->tail[0] != '/')
		return false;
	for (i = 0; i < PREFIX_MAX; i++) {
		byte = record->tail[i];
		if (i >= settings.prefix_len || (before == '/' && (byte == '/' || byte == '.')))
			return false;
		if (byte != settings.prefix[i])
			break;
		before = byte;
	}
	if (i == PREFIX_MAX)
		return false;
	for (i = 0; i < NAME_LOOKED_AT; i++) {
		if (!record->tail[i])
			return has_root_of_namespace();
		if (record->tail[i] == '.' && record->tail[i + 1] == '.')
			return false;
	}
	return false;
}

/* Rules the name at the beginning of the tail out as early as possible; the rest is left to user space. */
static __always_inline bool name_wanted(struct record *record)
{
	return !settings.prefix_len || !name_ruled_out(record->slot);
}

/* How the base of a name turned out, where it stands for the root. */
static __always_inline __u32 state_in_root(__u32 state)
{
	return state == PATH_WHOLE ? PATH_CONFINED : state == PATH_NONE ? PATH_CUT : state;
}

/*
 * The name that begins at *at in the tail and has len bytes with its NUL, or 0 or an error: finds out
 * where it starts, and moves *at behind it all. at_max: what *at is at most before. in_root: dfd
 * stands for the root.
 */
static __always_inline void fill_name_in(struct name *name, struct record *record, __u64 *at,
					 __u64 at_max, int dfd, long len, bool in_root)
{
	struct place place = {};
	__u64 start;
	bool absolute;

	name->len = 0;
	name->base_len = 0;
	name->base_state = PATH_NONE;
	if (*at > at_max)
		*at = at_max;
	if (len < 1 || len > PATH_MAX)
		return;
	absolute = record->tail[*at] == '/';
	name->len = len;
	*at += len;
	if (!(settings.collect & COLLECT_BASE))
		return;
	if (absolute && !in_root)
		place = root_directory();
	else if (dfd == AT_FDCWD)
		place = working_directory();
	else
		place = place_of_fd(dfd);
	start = *at;
	name->base_state = names_of(place, record, at);
	name->base_len = *at - start;
	if (in_root)
		name->base_state = state_in_root(name->base_state);
	else if (settings.collect & COLLECT_ROOT && name->base_state == PATH_WHOLE && !absolute &&
		 !has_root_of_namespace())
		name->base_state = PATH_CONFINED;
}

static __always_inline void fill_name(struct name *name, struct record *record, __u64 *at,
				      __u64 at_max, int dfd, long len)
{
	fill_name_in(name, record, at, at_max, dfd, len, false);
}

static __always_inline void no_name(struct name *name)
{
	__builtin_memset(name, 0, sizeof(*name));
}

#endif
