// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* exitsnoop: processes that end, how, and by whom. */
#include "ebtools.bpf.h"

#define TAIL_MAX 4096 /* of the arguments */
#define COMM_OF_PROCESS
/* Threads of one process whose time is added up when it ends; those that are gone are counted already. */
#define THREADS_MAX 512

/* Who or what ended it. */
enum by {
	BY_NOBODY, /* it left, or the signal was not seen when it was sent */
	BY_ITSELF,
	BY_PROCESS,
	BY_FAULT, /* of its own: what it did is not possible */
	BY_FAULT_SOMEWHERE, /* the same, and the processor does not say where */
	BY_SECCOMP, /* a system call that it may not make */
	BY_OOM,
	BY_NAMESPACE, /* the first process of its PID namespace has ended */
	BY_KERNEL,
};

struct sender {
	__u32 pid; /* 0: nobody */
	__u32 uid;
	__u8 comm[COMM_LEN];
};

/* Tail: the arguments. */
struct event {
	struct event_header header;
	__u64 process_start_ns;
	__u64 life_ns;
	__u64 cpu_ns;
	__u64 rss_max_pages;
	__u64 fault_address;
	__u32 status; /* as wait() has it */
	__u32 by; /* enum by */
	struct sender sender;
	__u32 args_bytes; /* ~0: it has none that can be read any more */
	__u32 reserved;
};

#include "event.bpf.h"
#include "in_flight.bpf.h"

enum by *export_by;

/* -x: only those that a signal ended, or that did not leave with 0. */
const volatile __u8 only_failed = 0;

/* The last signal that may end a process. */
struct cause {
	__u64 process_start_ns;
	__u64 fault_address;
	__u32 signal;
	__u32 by; /* enum by */
	struct sender sender;
};

/* By the process's number. */
IN_FLIGHT(causes, struct cause, 16384);

/*
 * Its last threads may end at the same time, and each is the last one then: when a process was made whose
 * end has been shown.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 4096);
} ended SEC(".maps");

/*
 * Before Linux 6.16 the memory of a process is gone when its end is seen. So what it was started with is
 * kept until then, or what its parent was, if it is a copy of that.
 */
const volatile __u8 keeps_arguments = 0;

#define KEPT_MAX 256

struct kept {
	__u32 args_bytes; /* all of them */
	__u32 len; /* those that are here */
	__u8 args[KEPT_MAX];
};

struct kept *export_kept;

/* By the process's number. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32);
	__type(value, struct kept);
	__uint(max_entries, 16384);
} started SEC(".maps");

SEC("tracepoint/sched/sched_process_exec")
int on_exec(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct arguments args = arguments_of(BPF_CORE_READ(task, mm));
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct kept kept = {.args_bytes = args.len};
	__u64 len = args.len > KEPT_MAX ? KEPT_MAX : args.len;

	if (!bpf_probe_read_user(kept.args, len, (void *)args.start))
		kept.len = len;
	bpf_map_update_elem(&started, &pid, &kept, BPF_ANY);
	return 0;
}

SEC("tracepoint/task/task_newtask")
int on_fork(__u64 *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, child = new_tid(ctx);
	struct kept *kept;

	if (clone_flags(ctx) & CLONE_THREAD)
		return 0;
	kept = bpf_map_lookup_elem(&started, &pid);
	if (kept)
		bpf_map_update_elem(&started, &child, kept, BPF_ANY);
	else
		bpf_map_delete_elem(&started, &child);
	return 0;
}

/* asm-generic/signal.h, asm-generic/siginfo.h. */
#define SIGILL 4
#define SIGTRAP 5
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGSEGV 11
#define SIGSYS 31
#define BIT_OF(signal) (1ULL << (signal))
#define FAULTS                                                                                     \
	(BIT_OF(SIGILL) | BIT_OF(SIGTRAP) | BIT_OF(SIGBUS) | BIT_OF(SIGFPE) | BIT_OF(SIGSEGV))
/* CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH: nothing ends by them. */
#define HARMLESS                                                                                   \
	(BIT_OF(17) | BIT_OF(18) | BIT_OF(19) | BIT_OF(20) | BIT_OF(21) | BIT_OF(22) |             \
	 BIT_OF(23) | BIT_OF(28))
#define SIGNALS_MAX 64
#define SI_USER 0
#define SI_MESGQ -3
#define SI_TKILL -6
#define SI_KERNEL 0x80
/* What stands for the address of a struct kernel_siginfo: linux/sched/signal.h. */
#define SEND_SIG_NOINFO 0
#define SEND_SIG_PRIV 1
/* linux/sched/signal.h; trace/events/signal.h. */
#define SIGNAL_GROUP_EXIT 4
#define TRACE_SIGNAL_DELIVERED 0
#define TRACE_SIGNAL_LOSE_INFO 4
#define PF_EXITING 4
#define SECCOMP_MODE_FILTER 2

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
	return !(signal < SIGNALS_MAX && BIT_OF(signal) & HARMLESS) &&
	       is_left_to_kernel(task, signal);
}

/* The kernel itself has sent it, while the current task did something. */
static __always_inline enum by by_kernel(__u32 signal)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (signal == SIGKILL && BPF_CORE_READ(task, flags) & PF_EXITING &&
	    pid_in_own_namespace(task) == 1)
		return BY_NAMESPACE;
	return BY_KERNEL;
}

static __always_inline enum by by_whom(__u32 signal, __u64 info, __u32 pid, __u64 *address)
{
	struct kernel_siginfo *siginfo = (void *)info;
	enum by by = pid == bpf_get_current_pid_tgid() >> 32 ? BY_ITSELF : BY_PROCESS;
	int code;

	if (info == SEND_SIG_NOINFO)
		return by;
	if (info == SEND_SIG_PRIV)
		return by_kernel(signal);
	code = BPF_CORE_READ(siginfo, si_code);
	if (code == SI_USER || code == SI_TKILL || code == SI_MESGQ)
		return by;
	/* Whatever the sender says. */
	if (code < 0 && IS_SIGQUEUE(current_call_number(), is_compat_call()))
		return by;
	if (code > 0 && signal == SIGSYS)
		return BY_SECCOMP;
	if (code <= 0 || signal >= SIGNALS_MAX || !(BIT_OF(signal) & FAULTS))
		return BY_KERNEL;
	if (code == SI_KERNEL)
		return BY_FAULT_SOMEWHERE;
	*address = (__u64)BPF_CORE_READ(siginfo, _sifields._sigfault._addr);
	return BY_FAULT;
}

static __always_inline void fill_sender(struct sender *sender)
{
	sender->pid = bpf_get_current_pid_tgid() >> 32;
	sender->uid = bpf_get_current_uid_gid();
	comm_of(sender->comm, current_process());
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

	if (result != TRACE_SIGNAL_DELIVERED && result != TRACE_SIGNAL_LOSE_INFO)
		return 0;
	if (!may_end(task, signal) || !BPF_CORE_READ(task, signal, live.counter))
		return 0;
	cause.process_start_ns = process_start_ns(task);
	cause.by = by_whom(signal, number_of(info), pid, &cause.fault_address);
	if (cause.by == BY_ITSELF || cause.by == BY_PROCESS || cause.by == BY_NAMESPACE ||
	    cause.by == BY_KERNEL)
		fill_sender(&cause.sender);
	if (bpf_map_update_elem(&causes, &pid, &cause, BPF_ANY))
		count_lost(LOST_MAP_FULL);
	return 0;
}

/* As wait() has it. */
static __always_inline __u32 wait_status(struct task_struct *task)
{
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return BPF_CORE_READ(task, signal, group_exit_code);
	return BPF_CORE_READ(task, group_leader, exit_code);
}

/* What its threads have run: those that are gone, and those that are not yet. */
static __noinline __u64 cpu_ns_of(struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	__u64 sum = BPF_CORE_READ(signal, sum_sched_runtime);
	struct list_head *head = (void *)signal + bpf_core_field_offset(signal->thread_head);
	struct list_head *node = BPF_CORE_READ(signal, thread_head.next);
	int i;

	for (i = 0; i < THREADS_MAX && node && node != head; i++) {
		struct task_struct *thread =
			(void *)node - bpf_core_field_offset(struct task_struct, thread_node);

		sum += BPF_CORE_READ(thread, se.sum_exec_runtime);
		node = BPF_CORE_READ(thread, thread_node.next);
	}
	return sum;
}

static __always_inline void fill_cause(struct event *event, struct task_struct *task,
				       const struct cause *cause)
{
	__u32 signal = event->status & 0x7f;

	event->fault_address = 0;
	__builtin_memset(&event->sender, 0, sizeof(event->sender));
	event->by = BY_NOBODY;
	if (signal && cause && cause->signal == signal &&
	    cause->process_start_ns == event->process_start_ns) {
		event->by = cause->by;
		event->fault_address = cause->fault_address;
		event->sender = cause->sender;
		if (signal == SIGKILL && event->by == BY_KERNEL &&
		    BPF_CORE_READ(task, signal, oom_mm))
			event->by = BY_OOM;
	} else if (signal == SIGSYS && BPF_CORE_READ(task, seccomp.mode) >= SECCOMP_MODE_FILTER) {
		/* Linux 5.10 sends none: the process just ends. */
		event->by = BY_SECCOMP;
	}
}

static __always_inline __u64 fill_kept(struct record *record)
{
	__u32 pid = record->event.header.pid;
	struct kept *kept = bpf_map_lookup_elem(&started, &pid);
	__u64 len;

	if (!kept)
		return 0;
	record->event.args_bytes = kept->args_bytes;
	len = kept->len > KEPT_MAX ? KEPT_MAX : kept->len;
	return bpf_probe_read_kernel(record->tail, len, kept->args) ? 0 : len;
}

/* Puts its arguments into the tail: how long that is. */
static __always_inline __u64 fill_arguments(struct record *record, struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct arguments args;
	__u64 len;

	record->event.args_bytes = ~0;
	if (!mm)
		return keeps_arguments ? fill_kept(record) : 0;
	args = arguments_of(mm);
	record->event.args_bytes = len = args.len;
	if (len > TAIL_MAX)
		len = TAIL_MAX;
	return bpf_probe_read_user(record->tail, len, (void *)args.start) ? 0 : len;
}

static __always_inline void show(struct task_struct *task, const struct cause *cause,
				 __u64 start_ns, __u32 status)
{
	struct record *record = record_begin();
	struct event *event;

	if (!record)
		return;
	event = &record->event;
	event->header.tid = event->header.pid;
	event->process_start_ns = start_ns;
	event->life_ns = event->header.time_ns - start_ns;
	event->cpu_ns = cpu_ns_of(task);
	event->rss_max_pages = BPF_CORE_READ(task, signal, maxrss);
	event->status = status;
	event->reserved = 0;
	fill_cause(event, task, cause);
	record_submit(record, fill_arguments(record, task));
}

/* Has this process ended before: when another thread of it was the last one, too? */
static __always_inline bool has_ended(struct task_struct *task, __u32 pid, __u64 start_ns)
{
	__u64 *before = bpf_map_lookup_elem(&ended, &pid);

	if (before && *before == start_ns)
		return true;
	if (before)
		bpf_map_delete_elem(&ended, &pid);
	/* Nobody who is alone comes again. */
	return BPF_CORE_READ(task, signal, nr_threads) > 1 &&
	       bpf_map_update_elem(&ended, &pid, &start_ns, BPF_NOEXIST);
}

SEC("tracepoint/sched/sched_process_exit")
int on_end(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 pid = bpf_get_current_pid_tgid() >> 32, status;
	__u64 key = pid, start_ns;

	/* The last thread has just taken itself off the count of living ones. */
	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	start_ns = process_start_ns(task);
	if (has_ended(task, pid, start_ns))
		return 0;
	status = wait_status(task);
	if (task_wanted() && (!only_failed || status) && !count_only())
		show(task, in_flight_find(&causes, key), start_ns, status);
	bpf_map_delete_elem(&causes, &key);
	if (keeps_arguments)
		bpf_map_delete_elem(&started, &pid);
	return 0;
}
