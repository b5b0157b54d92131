/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is in flight: calls, requests, connections, which have begun and not ended. A table has what is
 * known of each by a 64-bit key: thread_key(), or number_of() a task, a request or a socket. What
 * does not fit is counted as map_full, and what is left at the end as unfinished. Where one needs a
 * whole record, it is a call of calls.bpf.h.
 */
#ifndef EBTOOLS_IN_FLIGHT_H
#define EBTOOLS_IN_FLIGHT_H

#include "ebtools.bpf.h"

#define IN_FLIGHT(name, value_type, entries)                                                       \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__type(key, __u64);                                                                \
		__type(value, value_type);                                                         \
		__uint(max_entries, entries);                                                      \
	} name SEC(".maps")

/* The current thread: it is in one call at a time, and may end in it, which a tool looks for. */
static __always_inline __u64 thread_key(void)
{
	return (__u32)bpf_get_current_pid_tgid();
}

static __always_inline void *in_flight_find(void *table, __u64 key)
{
	return bpf_map_lookup_elem(table, &key);
}

/* The entry of a key, which is a copy of none if it is new; NULL when there is no room, which is counted. */
static __always_inline void *in_flight_entry(void *table, __u64 key, const void *none)
{
	void *entry = bpf_map_lookup_elem(table, &key);

	if (entry)
		return entry;
	bpf_map_update_elem(table, &key, none, BPF_NOEXIST);
	entry = bpf_map_lookup_elem(table, &key);
	if (!entry)
		count_lost(LOST_MAP_FULL);
	return entry;
}

/* The same for a key that is not there: one more is under way. */
static __always_inline void *in_flight_begin(void *table, __u64 key, const void *none)
{
	void *entry = in_flight_entry(table, key, none);

	if (entry)
		count_call(1);
	return entry;
}

/* It has ended; false if it was not there. */
static __always_inline bool in_flight_end(void *table, __u64 key)
{
	if (bpf_map_delete_elem(table, &key))
		return false;
	count_call(-1);
	return true;
}

#endif
