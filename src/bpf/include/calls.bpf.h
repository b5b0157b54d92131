/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Calls under way: what is known when a function is entered has to wait for its
 * return. A record is filled in place and belongs to the thread until then; nothing is
 * allocated, and nothing copied twice. A tool defines CALLS_MAX, how many there may be at a time,
 * before it includes event.bpf.h, and this header behind that. A thread may end in a call: a tool
 * looks for that, or the slot would never be free again.
 */
#ifndef EBTOOLS_CALLS_H
#define EBTOOLS_CALLS_H

#include "event.bpf.h"

/* A tool may define it: is a call an event, as far as is known? Others are in no account. */
#ifndef CALL_IS_EVENT
#define CALL_IS_EVENT(call) true
#endif

/* Slots that a thread may use: those from its number on. */
#define CALL_TRIES 8

/* The call that the current thread has begun; NULL if it has none. */
static __always_inline struct record *call_find(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	int i;

	for (i = 0; i < CALL_TRIES; i++) {
		struct record *call = record_at((tid + i) % CALLS_MAX);

		if (call && call->users && call->event.header.tid == tid)
			return call;
	}
	return NULL;
}

/* Its end, whether it was reported or not. */
static __always_inline void call_done(struct record *call)
{
	if (CALL_IS_EVENT(call))
		count_call(-1);
	/* The next to claim it is not yet the owner when others look. */
	call->event.header.tid = 0;
	record_release(call);
}

/* A call that began, and whose return nobody will see. */
static __always_inline void call_missed(struct record *call)
{
	if (CALL_IS_EVENT(call))
		count_lost(LOST_RETURN_MISSED);
	call_done(call);
}

/* A record of the current thread's, its header filled; NULL when there is no room, which is counted. */
static __always_inline struct record *call_begin(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct record *call = call_find();
	int i;

	if (call)
		call_missed(call);
	for (i = 0; i < CALL_TRIES; i++) {
		__u32 slot = (tid + i) % CALLS_MAX;

		call = record_at(slot);
		if (call && record_claim(call)) {
			call->slot = slot;
			fill_header(&call->event.header);
			count_call(1);
			return call;
		}
	}
	count_lost(LOST_MAP_FULL);
	return NULL;
}

#endif
