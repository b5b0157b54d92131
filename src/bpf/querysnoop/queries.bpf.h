/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* querysnoop: queries that have begun, and their text. */
#ifndef EBTOOLS_QUERYSNOOP_QUERIES_H
#define EBTOOLS_QUERYSNOOP_QUERIES_H

#include "calls.bpf.h"

/* Queries that take less are not wanted, or those that succeed. */
const volatile __u64 slower_ns = 0;
const volatile __u8 only_failed = 0;

/* A query that has begun and not ended. */
struct call {
	__u32 slot; /* one more than that of the whole query; 0 where .kept has it */
	__u32 reserved;
	struct event event;
	__u8 kept[KEPT_MAX + PARTS_MAX]; /* its tail */
};

IN_FLIGHT(calls, struct call, 16384);

/* A new one: large for the stack. */
static const struct call no_call;

static __always_inline struct call *own_call(void)
{
	return in_flight_find(&calls, thread_key());
}

/* The slot that has the whole query; NULL where .kept has it. */
static __always_inline struct record *slot_of(struct call *call)
{
	return call->slot ? record_at(call->slot - 1) : NULL;
}

static __always_inline struct record *whole_claim(struct call *call)
{
	struct record *record = slot_claim(thread_key());

	if (record)
		call->slot = record->slot + 1;
	return record;
}

static __always_inline void whole_release(struct call *call)
{
	struct record *record = slot_of(call);

	call->slot = 0;
	if (record)
		slot_release(record);
}

static __always_inline void call_end(struct call *call)
{
	whole_release(call);
	in_flight_end(&calls, thread_key());
}

/* A call of the current thread's, its header filled; NULL when there is no room, which is counted. */
static __always_inline struct call *call_start(void)
{
	struct call *call = own_call();

	if (call) {
		count_lost(LOST_RETURN_MISSED);
		whole_release(call);
	} else {
		call = in_flight_begin(&calls, thread_key(), &no_call);
	}
	if (call)
		fill_header(&call->event.header);
	return call;
}

static __always_inline void call_output(struct call *call)
{
	struct record *record = slot_of(call);
	__u64 len = call->event.query_len + call->event.database_len + call->event.message_len;

	if (record) {
		if (len > TAIL_MAX)
			len = TAIL_MAX;
		record->event = call->event;
		event_output(&record->event, len);
	} else {
		if (len > sizeof(call->kept))
			len = sizeof(call->kept);
		event_output(&call->event, len);
	}
}

static __always_inline int finish(struct call *call)
{
	call->event.latency_ns = bpf_ktime_get_boot_ns() - call->event.header.time_ns;
	if (call->event.latency_ns >= slower_ns && (call->event.outcome || !only_failed) &&
	    !count_only())
		call_output(call);
	call_end(call);
	return 0;
}

static __always_inline int finish_own(void)
{
	struct call *call = own_call();

	return call ? finish(call) : 0;
}

static __always_inline struct call *begin(__u32 server, __u32 command)
{
	struct call *call;

	if (!task_wanted())
		return NULL;
	call = call_start();
	if (!call)
		return NULL;
	call->event.server = server;
	call->event.command = command;
	call->event.statement = 0;
	call->event.query_len = 0;
	call->event.text = TEXT_WHOLE;
	call->event.database_len = 0;
	call->event.message_len = 0;
	call->event.outcome = SUCCEEDED;
	__builtin_memset(call->event.error, 0, sizeof(call->event.error));
	__builtin_memset(call->event.sqlstate, 0, sizeof(call->event.sqlstate));
	__builtin_memset(call->event.user, 0, USER_MAX);
	return call;
}

static __always_inline long read_part(__u8 *to, __u32 len, bool is_string, const void *from)
{
	long failed;

	if (is_string)
		return bpf_probe_read_user_str(to, PART_MAX, from);
	failed = bpf_probe_read_user(to, len > PART_MAX ? PART_MAX : len, from);
	return failed ?: len;
}

/* So many bytes, or a string with its NUL, to the end of the tail: how many there are; 0 for none. */
static __always_inline __u32 append(struct call *call, const void *from, __u32 len, bool is_string)
{
	struct record *record = slot_of(call);
	__u64 at = call->event.query_len + call->event.database_len;
	long done;

	if (len > PART_MAX)
		len = PART_MAX;
	/* Or the compiler checks another register than it uses. */
	barrier_var(at);
	if (record)
		done = at > QUERY_MAX + PART_MAX
			       ? 0
			       : read_part(record->tail + at, len, is_string, from);
	else
		done = at > KEPT_MAX + PART_MAX ? 0
						: read_part(call->kept + at, len, is_string, from);
	return done > 0 && done <= PART_MAX ? done : 0;
}

/* The thread's query, which has failed; NULL where there is none, or that is known. */
static __always_inline struct call *failed(void)
{
	struct call *call = own_call();

	if (!call || call->event.outcome)
		return NULL;
	call->event.outcome = FAILED;
	return call;
}

static __always_inline void read_sqlstate(struct call *call, const char *from)
{
	bpf_probe_read_user_str(call->event.sqlstate, sizeof(call->event.sqlstate), from);
}

/* What was read of it; max: the most that there was room for. */
static __always_inline void read_so_far(struct call *call, long len, long max)
{
	if (len < 1 || len > max) {
		call->event.text = TEXT_UNREADABLE;
		call->event.query_len = 0;
		return;
	}
	call->event.query_len = len - 1;
	call->event.text = len == max ? TEXT_CUT : TEXT_WHOLE;
}

/* A query that ends with a NUL. */
static __always_inline void read_string(struct call *call, const char *query)
{
	struct record *record;

	read_so_far(call, bpf_probe_read_user_str(call->kept, KEPT_MAX, query), KEPT_MAX);
	if (call->event.text != TEXT_CUT)
		return;
	record = whole_claim(call);
	if (record)
		read_so_far(call, bpf_probe_read_user_str(record->tail, QUERY_MAX, query),
			    QUERY_MAX);
}

static __always_inline void read_bytes(struct call *call, const char *query, __u64 len)
{
	struct record *record = len > KEPT_MAX ? whole_claim(call) : NULL;
	__u64 max = record ? QUERY_MAX : KEPT_MAX;
	long failed;

	if (len > max) {
		call->event.text = TEXT_CUT;
		len = max;
	}
	if (record)
		failed =
			bpf_probe_read_user(record->tail, len > QUERY_MAX ? QUERY_MAX : len, query);
	else
		failed = bpf_probe_read_user(call->kept, len > KEPT_MAX ? KEPT_MAX : len, query);
	if (failed)
		call->event.text = TEXT_UNREADABLE;
	else
		call->event.query_len = len;
}

static __always_inline void read_statement(struct call *call, const void *from, __u32 size)
{
	if (bpf_probe_read_user(&call->event.statement, size, from))
		call->event.text = TEXT_UNREADABLE;
}

#endif
