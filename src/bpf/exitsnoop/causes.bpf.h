/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* exitsnoop: signals that may end a process, and want of memory. */
#ifndef EBTOOLS_EXITSNOOP_CAUSES_H
#define EBTOOLS_EXITSNOOP_CAUSES_H

#include "in_flight.bpf.h"

/* The last signal that may end a process. */
struct cause {
	__u64 process_start_ns;
	struct origin origin;
	struct task_key sender;
	struct oom oom;
	__u64 cgroup; /* the struct mem_cgroup that has no memory left */
	__u32 signal;
	__u32 reserved;
};

/* By the process's number. */
IN_FLIGHT(causes, struct cause, 16384);

/* Threads that look for a process to end: the struct mem_cgroup, or 0, where it is for the whole machine. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u64);
	__type(value, __u64);
	__uint(max_entries, 1024);
} starving SEC(".maps");

/* The signal is sent in there: no tracepoint tells for whose sake. */
SEC("kprobe")
int BPF_KPROBE(on_out_of_memory, struct oom_control *control)
{
	__u64 thread = thread_key(), cgroup = (__u64)BPF_CORE_READ(control, memcg);

	bpf_map_update_elem(&starving, &thread, &cgroup, BPF_ANY);
	return 0;
}

/* CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH: nothing ends by them. */
#define HARMLESS                                                                                   \
	(BIT_OF(17) | BIT_OF(18) | BIT_OF(19) | BIT_OF(20) | BIT_OF(21) | BIT_OF(22) |             \
	 BIT_OF(23) | BIT_OF(28))
/* linux/sched/signal.h. */
#define SIGNAL_GROUP_EXIT 4
#define SECCOMP_MODE_STRICT 1
#define SECCOMP_MODE_FILTER 2
#define SECCOMP_MODE_DEAD 3 /* since Linux 5.16: what was forbidden has been called */

/* Does the process leave it to the kernel what the signal does? */
static __always_inline bool is_left_to_kernel(struct task_struct *task, __u32 signal)
{
	struct sighand_struct *sighand = BPF_CORE_READ(task, sighand);
	struct k_sigaction *action = (void *)sighand +
				     bpf_core_field_offset(struct sighand_struct, action) +
				     (signal - 1) * bpf_core_type_size(struct k_sigaction);

	return !BPF_CORE_READ(action, sa.sa_handler); /* SIG_DFL */
}

static __always_inline bool may_end(struct task_struct *task, __u32 signal)
{
	if (!signal || signal > SIGNALS_MAX)
		return false;
	if (signal == SIGKILL)
		return true;
	return !IS_OF(signal, HARMLESS) && is_left_to_kernel(task, signal);
}

/* What is known of the other process. */
#define PEER (COUNT_PID | COUNT_UID | COUNT_COMM)

/* It may be for want of memory: the kernel says so behind the signal. */
static __always_inline void fill_oom(struct cause *cause, struct task_struct *task)
{
	__u64 thread = thread_key(), *cgroup = bpf_map_lookup_elem(&starving, &thread);

	cause->oom.rss_pages = rss_pages_of(BPF_CORE_READ(task, mm));
	if (!cgroup)
		return;
	cause->oom.scope = *cgroup ? OOM_CGROUP : OOM_MACHINE;
	cause->cgroup = *cgroup;
	if (*cgroup)
		cause->oom.limit_pages = BPF_CORE_READ((struct mem_cgroup *)*cgroup, memory.max);
}

/*
 * By BTF on all kernels, since perf's tracepoint has no siginfo: the kernel holds a lock here with
 * interrupts off, so that the program is not preempted.
 */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int signal, struct kernel_siginfo *info, struct task_struct *task,
	     int group, int result)
{
	struct cause cause = {.signal = signal};
	__u64 pid = BPF_CORE_READ(task, tgid);

	if (result != SENT && result != SENT_WITHOUT_INFO)
		return 0;
	if (!may_end(task, signal) || !BPF_CORE_READ(task, signal, live.counter))
		return 0;
	cause.process_start_ns = process_start_ns(task);
	fill_origin(&cause.origin, signal, number_of(info), task);
	if (cause.origin.by == BY_ITSELF || cause.origin.by == BY_PROCESS ||
	    cause.origin.by == BY_NAMESPACE || cause.origin.by == BY_KERNEL)
		fill_task_key(&cause.sender, NULL, PEER);
	if (signal == SIGKILL && cause.origin.by == BY_KERNEL)
		fill_oom(&cause, task);
	if (bpf_map_update_elem(&causes, &pid, &cause, BPF_ANY))
		count_lost(LOST_MAP_FULL);
	return 0;
}

#endif
