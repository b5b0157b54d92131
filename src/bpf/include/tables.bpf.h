/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sums that user space takes each interval. There are two tables, name_a and name_b, and the one in
 * use is in the map name: user space puts the other one there at the end of an interval. That call
 * returns when no program uses the old one any more (maybe_wait_bpf_programs), so reading it then
 * gives exact sums. counts.rs does it.
 */
#ifndef EBTOOLS_TABLES_H
#define EBTOOLS_TABLES_H

#include "ebtools.bpf.h"

#define EBUSY 16

#define TABLES(name, key_type, value_type, entries)                                                \
	struct name##_s {                                                                          \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
		__uint(max_entries, entries);                                                      \
	} name##_a SEC(".maps"), name##_b SEC(".maps");                                            \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                          \
		__type(key, __u32);                                                                \
		__uint(max_entries, 1);                                                            \
		__array(values, struct name##_s);                                                  \
	} name SEC(".maps") = {.values = {&name##_a}}

/*
 * The value of a key in the table in use, for so many events; a new one is a copy of none. NULL when
 * there is no room, or the key's bucket is in use by what this has interrupted; both are counted.
 */
static __always_inline void *table_entry_for(void *tables, const void *key, const void *none,
					     __u64 events)
{
	void *table, *value = NULL;
	__u32 zero = 0;
	long error = 0;

	table = bpf_map_lookup_elem(tables, &zero);
	if (table)
		value = bpf_map_lookup_elem(table, key);
	if (table && !value) {
		/* Another CPU may be first: then its entry is used. */
		error = bpf_map_update_elem(table, key, none, BPF_NOEXIST);
		value = bpf_map_lookup_elem(table, key);
	}
	if (!value)
		count_all_lost(error == -EBUSY ? LOST_SCRATCH_BUSY : LOST_MAP_FULL, events);
	return value;
}

static __always_inline void *table_entry(void *tables, const void *key, const void *none)
{
	return table_entry_for(tables, key, none, 1);
}

#endif
