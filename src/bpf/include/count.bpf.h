/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel side of --count: events are counted here, and no record is made. */
#ifndef EBTOOLS_COUNT_H
#define EBTOOLS_COUNT_H

#include "tables.bpf.h"
#include "task.bpf.h"

TABLES(count_table, struct count_key, __u64, 16384);

/*
 * In --count mode counts the current task's event and returns true: there is nothing more to do.
 * kind: counted apart from others.
 */
static __always_inline bool count_only_as(__u32 kind)
{
	struct count_key key = {.kind = kind};
	__u64 none = 0, *count;

	if (settings.count_by == COUNT_OFF)
		return false;
	if (settings.count_by == COUNT_COMM)
		event_comm(key.bytes);
	else if (settings.count_by == COUNT_UID)
		*(__u32 *)key.bytes = bpf_get_current_uid_gid();
	else if (settings.count_by == COUNT_PID)
		*(__u32 *)key.bytes = bpf_get_current_pid_tgid() >> 32;

	count = table_entry(&count_table, &key, &none);
	if (count) {
		__sync_fetch_and_add(count, 1);
		count_submitted();
	}
	return true;
}

static __always_inline bool count_only(void)
{
	return count_only_as(0);
}

#endif
