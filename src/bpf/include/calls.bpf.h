/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is in flight and needs a whole record from its beginning: the name that a function is entered
 * with has to wait for its return. A record is filled in place and belongs to its key until then, as
 * those of in_flight.bpf.h; nothing is allocated, and nothing copied twice. A tool defines CALLS_MAX, how
 * many there may be at a time, before it includes event.bpf.h, and this header behind that. A thread may
 * end in a call: a tool looks for that, or the slot would never be free again.
 */
#ifndef EBTOOLS_CALLS_H
#define EBTOOLS_CALLS_H

#include "event.bpf.h"
#include "in_flight.bpf.h"

/* A tool may define it: how many events a call is, as far as is known. What is none is in no account. */
#ifndef CALL_EVENTS
#define CALL_EVENTS(call) 1
#endif

/* Slots that a key may use: those from its number on. */
#define CALL_TRIES 8

/* A slot that is free; NULL where there is none for this key. */
static __always_inline struct record *slot_claim(__u64 key)
{
	int i;

	for (i = 0; i < CALL_TRIES; i++) {
		__u32 slot = (key + i) % CALLS_MAX;
		struct record *record = record_at(slot);

		if (record && record_claim(record)) {
			record->slot = slot;
			record->key = key;
			return record;
		}
	}
	return NULL;
}

static __always_inline void slot_release(struct record *record)
{
	/* The next to claim it is not yet the owner when others look. */
	record->key = 0;
	record_release(record);
}

/* What has begun by this key; NULL if there is none. */
static __always_inline struct record *call_find(__u64 key)
{
	int i;

	for (i = 0; i < CALL_TRIES; i++) {
		struct record *call = record_at((key + i) % CALLS_MAX);

		if (call && call->users && call->key == key)
			return call;
	}
	return NULL;
}

/* Its end, whether it was reported or not. */
static __always_inline void call_done(struct record *call)
{
	if (CALL_EVENTS(call))
		count_call(-CALL_EVENTS(call));
	slot_release(call);
}

/* A call that began, and whose return nobody will see. */
static __always_inline void call_missed(struct record *call)
{
	if (CALL_EVENTS(call))
		count_all_lost(LOST_RETURN_MISSED, CALL_EVENTS(call));
	call_done(call);
}

/* A record for this key, its header the current task's; NULL when there is no room, which is counted. */
static __always_inline struct record *call_begin(__u64 key)
{
	struct record *call = call_find(key);

	if (call)
		call_missed(call);
	call = slot_claim(key);
	if (!call) {
		count_lost(LOST_MAP_FULL);
		return NULL;
	}
	fill_header(&call->event.header);
	count_call(1);
	return call;
}

#endif
