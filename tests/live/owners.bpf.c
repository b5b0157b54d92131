// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Not a tool: owners.rs loads it. What owner.bpf.h says of a task from outside must be what the task
 * says of itself by the helpers for the current one.
 */
#include "ebtools.bpf.h"

#define TAIL_MAX 8 /* there is none */

struct event {
	struct event_header header;
};

#include "event.bpf.h"
#include "in_flight.bpf.h"
#include "owner.bpf.h"

/* New tasks, from where their parents make them until they run themselves. */
IN_FLIGHT(owners, struct owner, 1024);

static const struct owner nobody;

/* How often. */
struct {
	__u64 wanted; /* a task was asked, and is wanted */
	__u64 unwanted; /* it is not */
	__u64 owners; /* was the owner of its own beginning */
	__u64 other_filters; /* filters saw it otherwise from outside */
	__u64 other_headers; /* its header was another */
	__u64 other_owners; /* it had another owner */
} seen SEC(".data.seen") = {};

static __always_inline bool are_equal(const struct event_header *a, const struct event_header *b)
{
	const __u64 *left = (const void *)a, *right = (const void *)b;
	int i;

	/* All but the time. */
	for (i = 1; i < sizeof(*a) / sizeof(*left); i++)
		if (left[i] != right[i])
			return false;
	return true;
}

static __always_inline void check_owner(const struct owner *owner, struct event_header *own,
					bool wanted)
{
	struct event_header header;

	fill_header_by(&header, owner);
	/* What an owner does not keep. */
	own->ppid = own->ns_pid = 0;
	__builtin_memset(own->parent_comm, 0, sizeof(own->parent_comm));
	__sync_fetch_and_add(&seen.owners, 1);
	if (!are_equal(&header, own) || owner->wanted != wanted)
		__sync_fetch_and_add(&seen.other_owners, 1);
}

/* In the parent, which is the current task. */
SEC("raw_tp/task_newtask")
int on_new_task(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct owner *owner;

	/* One that was there before, and whose end was not seen. */
	in_flight_end(&owners, number_of(task));
	owner = in_flight_begin(&owners, number_of(task), &nobody);
	if (owner)
		fill_owner(owner, task);
	return 0;
}

/*
 * A new task comes here first, when it returns from the call that has made it. By perf's tracepoint,
 * which is not preempted, and so sees the first time of each: tracepoint.bpf.h.
 */
SEC("tracepoint/raw_syscalls/sys_exit")
int on_call_exit(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct event_header own = {}, from_outside = {};
	bool wanted = task_wanted();
	struct owner *owner;

	__sync_fetch_and_add(wanted ? &seen.wanted : &seen.unwanted, 1);
	if (wanted != task_wanted_of(task))
		__sync_fetch_and_add(&seen.other_filters, 1);
	fill_header(&own);
	fill_header_of(&from_outside, task);
	if (!are_equal(&own, &from_outside))
		__sync_fetch_and_add(&seen.other_headers, 1);
	owner = in_flight_find(&owners, number_of(task));
	if (owner) {
		check_owner(owner, &own, wanted);
		in_flight_end(&owners, number_of(task));
	}
	return 0;
}

/* A number of a task is another's when it is gone. */
SEC("raw_tp/sched_process_free")
int on_task_gone(struct bpf_raw_tracepoint_args *ctx)
{
	in_flight_end(&owners, number_of((void *)ctx->args[0]));
	return 0;
}
