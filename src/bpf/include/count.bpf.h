/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel side of --count: events are counted here, and no record is made. */
#ifndef EBTOOLS_COUNT_H
#define EBTOOLS_COUNT_H

#include "tables.bpf.h"
#include "task.bpf.h"

TABLES(count_table, struct count_key, __u64, 16384);

static __always_inline void count_as(const struct count_key *key)
{
	__u64 none = 0, *count = table_entry(&count_table, key, &none);

	if (count) {
		__sync_fetch_and_add(count, 1);
		count_submitted();
	}
}

/*
 * In --count mode counts the current task's event and returns true: there is nothing more to do.
 * kind: counted apart from others.
 */
static __always_inline bool count_only_as(__u32 kind)
{
	struct count_key key = {.kind = kind};

	if (settings.count_by == COUNT_OFF)
		return false;
	if (settings.count_by == COUNT_COMM)
		event_comm(key.bytes);
	else if (settings.count_by == COUNT_UID)
		*(__u32 *)key.bytes = bpf_get_current_uid_gid();
	else if (settings.count_by == COUNT_PID)
		*(__u32 *)key.bytes = bpf_get_current_pid_tgid() >> 32;
	count_as(&key);
	return true;
}

/* The same for any task, and where the helpers for the current one are missing. */
static __always_inline bool count_only_of(struct task_struct *task, __u32 kind)
{
	struct count_key key = {.kind = kind};

	if (settings.count_by == COUNT_OFF)
		return false;
	if (settings.count_by == COUNT_COMM)
		event_comm_of(key.bytes, task);
	else if (settings.count_by == COUNT_UID)
		*(__u32 *)key.bytes = uid_of(task);
	else if (settings.count_by == COUNT_PID)
		*(__u32 *)key.bytes = BPF_CORE_READ(task, tgid);
	count_as(&key);
	return true;
}

static __always_inline bool count_only(void)
{
	return count_only_as(0);
}

#endif
