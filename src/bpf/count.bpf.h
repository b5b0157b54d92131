/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel side of --count: events are counted here, and no record is made. */
#ifndef EBTOOLS_COUNT_H
#define EBTOOLS_COUNT_H

#include "ebtools.bpf.h"
#include "task.bpf.h"

struct count_table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct count_key);
	__type(value, __u64);
	__uint(max_entries, 16384);
} count_table_a SEC(".maps"), count_table_b SEC(".maps");

/*
 * The table in use. User space puts the other one here at the end of an
 * interval: that call returns when no program uses the old one any more
 * (maybe_wait_bpf_programs), so reading it then gives an exact count.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 1);
	__array(values, struct count_table);
} count_table SEC(".maps") = {.values = {&count_table_a}};

/*
 * In --count mode counts the current task's event and returns true: there is nothing more to do.
 * kind: counted apart from others.
 */
static __always_inline bool count_only_as(__u32 kind)
{
	struct count_key key = {.kind = kind};
	__u32 zero = 0;
	__u64 none = 0, *count;
	void *table;

	if (settings.count_by == COUNT_OFF)
		return false;
	if (settings.count_by == COUNT_COMM)
		current_comm(key.bytes);
	else if (settings.count_by == COUNT_UID)
		*(__u32 *)key.bytes = bpf_get_current_uid_gid();
	else if (settings.count_by == COUNT_PID)
		*(__u32 *)key.bytes = bpf_get_current_pid_tgid() >> 32;

	table = bpf_map_lookup_elem(&count_table, &zero);
	if (!table)
		return true;
	count = bpf_map_lookup_elem(table, &key);
	if (!count) {
		/* Another CPU may be first: then its entry is used. */
		bpf_map_update_elem(table, &key, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(table, &key);
	}
	if (count) {
		__sync_fetch_and_add(count, 1);
		count_submitted();
	} else {
		count_lost(LOST_MAP_FULL);
	}
	return true;
}

static __always_inline bool count_only(void)
{
	return count_only_as(0);
}

#endif
