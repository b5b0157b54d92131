/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* tcpsnoop: records of what is wanted. */
#ifndef EBTOOLS_TCPSNOOP_EVENTS_H
#define EBTOOLS_TCPSNOOP_EVENTS_H

#include "conns.bpf.h"

static __always_inline bool fact_wanted(const struct conn *conn, const struct fact *fact)
{
	if (!is_kind_wanted(fact->kind) || !owner_wanted(conn))
		return false;
	if (only_failed && !is_failure(fact->result))
		return false;
	if (slower_ns && fact->latency_ns < slower_ns)
		return false;
	return ends_wanted(fact);
}

static __always_inline void fill_event(struct event *event, const struct conn *conn,
				       const struct fact *fact)
{
	static const struct owner nobody;

	__builtin_memset(event, 0, sizeof(*event));
	if (conn) {
		fill_header_by(&event->header, &conn->owner);
		event->handshake_ns = conn->handshake_ns;
		event->accept_wait_ns = conn->accept_wait_ns;
		event->has_owner = conn->has_owner;
		event->before_start = conn->before_start;
	} else {
		fill_header_by(&event->header, &nobody);
	}
	event->kind = fact->kind;
	event->result = fact->result;
	event->latency_ns = fact->latency_ns;
	event->local = fact->local;
	event->remote = fact->remote;
}

/* A record for what is wanted; NULL where it is not, or is only counted. sk: NULL where there is none. */
static __noinline struct record *event_begin(struct sock___part *sk, const struct conn *conn,
					     const struct fact *fact)
{
	struct count_key key = {.kind = fact->kind};
	struct record *record;

	if (!fact_wanted(conn, fact))
		return NULL;
	if (settings.count_by) {
		if (conn)
			fill_task_key_by(&key.task, &conn->owner, settings.count_by);
		count_as(&key);
		return NULL;
	}
	record = scratch_claim();
	if (!record)
		return NULL;
	fill_event(&record->event, conn, fact);
	if (sk) {
		record->event.socket = (__u64)sk;
		record->event.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
		record->event.state = tcp_state(sk);
		if (!conn)
			record->event.before_start = !has_overflowed;
	}
	return record;
}

#endif
