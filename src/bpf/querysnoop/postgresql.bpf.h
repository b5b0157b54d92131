/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* querysnoop: servers of PostgreSQL. */
#ifndef EBTOOLS_QUERYSNOOP_POSTGRESQL_H
#define EBTOOLS_QUERYSNOOP_POSTGRESQL_H

#include "queries.bpf.h"

/* A statement is told of again when it is parsed, bound and executed: how much of it is compared. */
#define SAME_MAX 128

/*
 * Are these bytes of the query, up to its NUL, those of the call's text at from? That text has room for max
 * bytes, a power of two.
 */
static __always_inline bool is_same_at(struct call *call, const __u8 *tail, __u32 max,
				       const char *query, __u32 from)
{
	__u8 text[SAME_MAX] = {};
	int i;

	if (bpf_probe_read_user_str(text, SAME_MAX, query + from) < 0)
		return false;
	for (i = 0; i < SAME_MAX - 1; i++) {
		if (from + i >= call->event.query_len)
			return call->event.text == TEXT_CUT || !text[i];
		if (text[i] != tail[(from + i) & (max - 1)])
			return false;
	}
	return true;
}

/* The beginning, and the end. */
static __always_inline bool is_same_in(struct call *call, const __u8 *tail, __u32 max,
				       const char *query)
{
	__u32 len = call->event.query_len;

	return is_same_at(call, tail, max, query, 0) &&
	       (len < SAME_MAX - 2 || is_same_at(call, tail, max, query, len - (SAME_MAX - 2)));
}

static __always_inline bool is_same(struct call *call, const char *query)
{
	struct record *record = slot_of(call);

	if (record)
		return is_same_in(call, record->tail, QUERY_MAX, query);
	return is_same_in(call, call->kept, KEPT_MAX, query);
}

/*
 * Is the current process one that works for another, which tells of the query itself? Its title is
 * "postgres: parallel worker for PID 12", with "CLUSTER: " before the second word if it has one.
 */
static __always_inline bool is_worker(const __u8 *title)
{
	static const __u8 worker[] = "parallel worker for PID ";
	__u32 start = sizeof("postgres: ") - 1, i;

	for (i = start; i < USER_MAX / 2 && title[i]; i++) {
		if (title[i] == ' ') {
			if (title[i - 1] == ':')
				start = i + 1;
			break;
		}
	}
	for (i = 0; i < sizeof(worker) - 1; i++)
		if (title[(start + i) % USER_MAX] != worker[i])
			return false;
	return true;
}

/* query: what the server process does now; NULL when it waits for the client. */
static __always_inline int status(const char *query)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct call *call = own_call();

	if (call) {
		if (query && is_same(call, query))
			return 0;
		finish(call);
	}
	if (!query)
		return 0;
	call = begin(POSTGRESQL, COM_QUERY);
	if (!call)
		return 0;
	bpf_probe_read_user(call->event.user, USER_MAX - 1,
			    (void *)BPF_CORE_READ(task, mm, arg_start));
	if (is_worker(call->event.user))
		call_end(call);
	else
		read_string(call, query);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_statement_status, const char *query)
{
	ON_OWN_STACK(ctx);
	return status(query);
}

/* pgstat_report_activity: where the probe is that the above is attached to. */
SEC("uprobe")
int BPF_KPROBE(on_report_activity, int state, const char *query)
{
	ON_OWN_STACK(ctx);
	return status(query);
}

/* StringInfoData: a message of the protocol, whose type is in .cursor until it is sent. */
struct message {
	const char *data;
	__u32 len;
	__u32 maxlen;
	__u32 cursor;
	__u32 padding;
};

/*
 * pq_sendstring: a text in a message. Those of an error are each behind a letter; what was caught is not
 * sent. Rows and what every query has are put together otherwise.
 */
SEC("uprobe")
int BPF_KPROBE(on_text, const void *from, const char *text)
{
	struct message message;
	struct call *call;
	char letter = 0;

	ON_OWN_STACK(ctx);
	if (bpf_probe_read_user(&message, sizeof(message), from) || message.cursor != 'E')
		return 0;
	call = own_call();
	if (!call)
		return 0;
	call->event.outcome = FAILED;
	bpf_probe_read_user(&letter, sizeof(letter), message.data + message.len - 1);
	if (letter == 'C')
		read_sqlstate(call, text);
	else if (letter == 'M')
		call->event.message_len = append(call, text, 0, true);
	return 0;
}

#endif
