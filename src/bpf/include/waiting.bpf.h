/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Calls that may wait long, many at a time, each of which keeps little: by thread, in a hash. Where a
 * call needs a whole record, it is one of calls.bpf.h. A tool defines struct call before this header,
 * which comes after event.bpf.h. A thread may end in a call: a tool looks for that.
 */
#ifndef EBTOOLS_WAITING_H
#define EBTOOLS_WAITING_H

#include "event.bpf.h"

#define WAITING_MAX 16384

/* By thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct call);
	__uint(max_entries, WAITING_MAX);
} calls SEC(".maps");

/* A new one: large for the stack. */
static const struct call no_call;

/* The call that the current thread has begun; NULL if it has none. */
static __always_inline struct call *call_find(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&calls, &tid);
}

/* For a thread that has none; NULL when there is no room, which is counted. */
static __always_inline struct call *call_add(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct call *call;

	bpf_map_update_elem(&calls, &tid, &no_call, BPF_NOEXIST);
	call = call_find();
	if (call)
		count_call(1);
	else
		count_lost(LOST_MAP_FULL);
	return call;
}

/* The current thread's has ended. */
static __always_inline void call_remove(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	count_call(-1);
	bpf_map_delete_elem(&calls, &tid);
}

#endif
