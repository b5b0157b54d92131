/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* exitsnoop: signals that are sent, and calls that send them. */
#ifndef EBTOOLS_EXITSNOOP_SIGNALS_H
#define EBTOOLS_EXITSNOOP_SIGNALS_H

#include "causes.bpf.h"

/* Of an event that begins, all but its header. */
static __always_inline void clear_event(struct event *event)
{
	__builtin_memset((void *)event + sizeof(event->header), 0,
			 sizeof(*event) - sizeof(event->header));
}

/* Filters know nobody any more who is ending: then who the signal is for is asked for. */
static __always_inline bool sender_wanted(struct task_struct *to)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return task_wanted() ||
	       (to && BPF_CORE_READ(task, flags) & PF_EXITING && task_wanted_of(to));
}

/* --signals. The task is who sends it, NULL for the current one; what the kernel sends is its own. */
static __always_inline void show_signal(struct task_struct *task, struct task_struct *to,
					const struct event *signal)
{
	struct record *record;
	struct event *event;

	if (task ? !task_wanted_of(task) || count_only_of(task, 0)
		 : !sender_wanted(to) || count_only())
		return;
	record = task ? record_begin_of(task) : record_begin();
	if (!record)
		return;
	event = &record->event;
	event->header.tid = event->header.pid;
	clear_event(event);
	event->origin = signal->origin;
	event->status = signal->status;
	event->ret = signal->ret;
	event->sent = signal->sent;
	event->target_tid = signal->target_tid;
	event->peer = signal->peer;
	record_submit(record, 0);
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_sent, int signal, struct kernel_siginfo *info, struct task_struct *task, int group,
	     int result)
{
	struct event event = {.status = signal, .sent = result};

	if (!signal_wanted(signal) || (wanted_target && pid_for_tracer_of(task) != wanted_target))
		return 0;
	fill_origin(&event.origin, signal, number_of(info), task);
	/* For want of room its call fails, and is seen then. */
	if (result == SENT_NO_ROOM ? event.origin.call : only_failed)
		return 0;
	if (only_calls && !event.origin.call)
		return 0;
	fill_task_key(&event.peer, task, PEER);
	event.target_tid = group ? 0 : BPF_CORE_READ(task, pid);
	if (event.origin.by == BY_KERNEL || event.origin.by == BY_TIMER)
		show_signal(task, task, &event);
	else
		show_signal(NULL, task, &event);
	return 0;
}

/* What no signal was sent by: a call that fails, or that asks whether there is such a process. */
static __noinline int call_ended(struct pt_regs *regs, long number, long ret)
{
	bool compat = is_compat_call();
	enum signal_call call = signal_call(number, compat);
	__u32 first = call_argument(regs, 0, compat), second = call_argument(regs, 1, compat),
	      third = call_argument(regs, 2, compat);
	bool has_thread = call == CALL_TGKILL || call == CALL_TGSIGQUEUE;
	struct event event = {.status = has_thread ? third : second, .ret = ret};
	int done = 0;

	if (!call || !signal_wanted(event.status) || (ret >= 0 && event.status))
		goto out;
	/* A descriptor does not say which process. */
	event.peer.pid = call == CALL_PIDFD ? 0 : first;
	event.target_tid = has_thread ? second : 0;
	if (wanted_target && event.peer.pid != wanted_target)
		goto out;
	event.origin.call = call;
	show_signal(NULL, NULL, &event);
out:
	barrier_var(done);
	return done;
}

SEC("tracepoint/raw_syscalls/sys_exit")
int on_call_exit(__u64 *ctx)
{
	struct pt_regs *regs = syscall_regs(ctx);
	long number = call_number(regs), ret = syscall_ret(ctx);

	if (MAY_BE_SIGNAL_CALL(number) && (!only_failed || ret < 0))
		return call_ended(regs, number, ret);
	return 0;
}

#endif
