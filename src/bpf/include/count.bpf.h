/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel side of --count: events are counted here, and no record is made. */
#ifndef EBTOOLS_COUNT_H
#define EBTOOLS_COUNT_H

#include "tables.bpf.h"
#include "task_key.bpf.h"

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
 * Where the kernel counts, counts a task's event and returns true: there is nothing more to do. task: as
 * for fill_task_key(). kind: counted apart from others.
 */
static __always_inline bool count_only_of(struct task_struct *task, __u32 kind)
{
	struct count_key key = {.kind = kind};

	if (!settings.count_by)
		return false;
	fill_task_key(&key.task, task, settings.count_by);
	count_as(&key);
	return true;
}

static __always_inline bool count_only(void)
{
	return count_only_of(NULL, 0);
}

#endif
