// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* exitsnoop: processes that end, how, and by whom. */
#include "ebtools.bpf.h"

#define ARGS_MAX 4096
#define TAIL_MAX (NAMES_LEN + ARGS_MAX)
#define COMM_OF_PROCESS
#define FORGETS_ITSELF shows_ends
/* Threads of one process whose time is added up when it ends; those that are gone are counted already. */
#define THREADS_MAX 512
#define CGROUP_DEPTH_MAX 32
#define NAME_LEN 256 /* NAME_MAX and a NUL */

#include "signal.bpf.h"

/* Where there was no memory left. */
enum oom_scope {
	OOM_UNKNOWN,
	OOM_MACHINE,
	OOM_CGROUP,
};

/* What the kernel ended a process for, if it did it for want of memory. */
struct oom {
	__u64 limit_pages; /* of the cgroup */
	__u64 rss_pages; /* of the process, when it was chosen */
	__u32 scope; /* enum oom_scope */
	__u32 reserved;
};

/*
 * Of a process that ends; the tail is the names of the cgroup that has no memory left, and the arguments.
 * Or with --signals, of a signal.
 */
struct event {
	struct event_header header;
	__u64 process_start_ns;
	__u64 life_ns;
	__u64 cpu_ns;
	__u64 rss_max_pages;
	struct origin origin;
	struct task_key peer; /* who sent the signal; with --signals, who it is for */
	struct oom oom;
	__u32 cgroup_bytes; /* of its names */
	__u32 cgroup_state; /* enum path_state */
	__u32 status; /* as wait() has it; with --signals, the signal */
	__u32 args_bytes; /* ~0: it has none that can be read any more */
	/* Of a signal: */
	__s32 ret; /* -errno of a call that failed */
	__u32 sent; /* enum sent */
	__u32 target_tid; /* 0: it is for the process */
	__u32 is_thread; /* it has ended, and the process goes on */
};

/* Else signals. */
const volatile __u8 shows_ends = 1;

#include "event.bpf.h"

enum by *export_by;
enum signal_call *export_signal_call;
enum sent *export_sent;
enum oom_scope *export_oom_scope;

/* -x: only those that a signal ended, or that did not leave with 0; with --signals, calls that failed. */
const volatile __u8 only_failed = 0;
/* --signal: only these, a bit each from 1 on; 0: all. */
const volatile __u64 wanted_signals = 0;
/* --threads */
const volatile __u8 shows_threads = 0;
/* --oom */
const volatile __u8 only_oom = 0;
/* --calls */
const volatile __u8 only_calls = 0;
/* --to: only those to this process, as the tracer numbers it; 0: all. */
const volatile __u32 wanted_target = 0;

static __always_inline bool signal_wanted(__u32 signal)
{
	return !wanted_signals || (signal - 1 < SIGNALS_MAX && wanted_signals >> (signal - 1) & 1);
}

#include "exitsnoop/causes.bpf.h"
#include "exitsnoop/signals.bpf.h"
#include "exitsnoop/started.bpf.h"

struct kept *export_kept;

/*
 * Its last threads may end at the same time, and each is the last one then: the process whose end has been
 * seen. Filters no longer know it.
 */
struct ended {
	__u64 process_start_ns;
	__u64 was_wanted;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32);
	__type(value, struct ended);
	__uint(max_entries, 4096);
} ended SEC(".maps");

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

/* Has this ended it? */
static __always_inline bool is_cause(const struct cause *cause, __u64 start_ns, __u32 status)
{
	return cause && cause->signal == (status & 0x7f) && cause->process_start_ns == start_ns;
}

static __always_inline bool is_oom(const struct cause *cause, struct task_struct *task)
{
	return cause->signal == SIGKILL && cause->origin.by == BY_KERNEL &&
	       BPF_CORE_READ(task, signal, oom_mm);
}

/* Puts the names of a cgroup into the tail, the last one first: how long that is. */
static __noinline __u64 fill_cgroup(struct record *record, __u64 memcg)
{
	struct mem_cgroup *group = (void *)memcg;
	struct kernfs_node *node = BPF_CORE_READ(group, css.cgroup, kn), *parent;
	__u64 at = 0;
	long len;
	int i;

	record->event.cgroup_state = PATH_CUT;
	for (i = 0; i < CGROUP_DEPTH_MAX && at <= NAMES_LEN - NAME_LEN; i++) {
		parent = (void *)kernfs_parent(node);
		if (!parent) {
			record->event.cgroup_state = PATH_WHOLE;
			break;
		}
		len = bpf_probe_read_kernel_str(record->tail + at, NAME_LEN,
						BPF_CORE_READ(node, name));
		if (len < 1 || len > NAME_LEN)
			break;
		at += len;
		node = parent;
	}
	return at;
}

/* No signal was sent: the process just ends, in strict mode always, by a filter in Linux 5.10. */
static __always_inline bool is_by_seccomp(struct task_struct *task, __u32 signal)
{
	__u32 mode = BPF_CORE_READ(task, seccomp.mode);

	if (signal == SIGKILL)
		return mode == SECCOMP_MODE_STRICT || mode == SECCOMP_MODE_DEAD;
	return signal == SIGSYS && mode >= SECCOMP_MODE_FILTER;
}

/* Why it ended: how long what it puts into the tail is. */
static __always_inline __u64 fill_cause(struct record *record, struct task_struct *task,
					const struct cause *cause)
{
	struct event *event = &record->event;
	__u64 len = 0;

	if (event->status & 0x7f && is_cause(cause, event->process_start_ns, event->status)) {
		event->origin = cause->origin;
		event->peer = cause->sender;
		if (!is_oom(cause, task))
			return 0;
		event->origin.by = BY_OOM;
		event->oom = cause->oom;
		if (cause->cgroup)
			len = fill_cgroup(record, cause->cgroup);
		event->cgroup_bytes = len;
	} else if (is_by_seccomp(task, event->status & 0x7f)) {
		event->origin.by = BY_SECCOMP;
	}
	return len;
}

static __always_inline __u64 fill_kept(struct record *record, __u64 at)
{
	__u32 pid = record->event.header.pid;
	struct kept *kept = bpf_map_lookup_elem(&started, &pid);
	__u64 len;

	if (!kept)
		return 0;
	record->event.args_bytes = kept->args_bytes;
	len = kept->len > KEPT_MAX ? KEPT_MAX : kept->len;
	return bpf_probe_read_kernel(record->tail + at, len, kept->args) ? 0 : len;
}

/* Puts its arguments into the tail: how long that is. */
static __always_inline __u64 fill_arguments(struct record *record, __u64 at)
{
	struct arguments args;
	__u64 len;

	record->event.args_bytes = ~0;
	if (!CURRENT_READ(mm))
		return keeps_arguments ? fill_kept(record, at) : 0;
	args = current_arguments();
	record->event.args_bytes = len = args.len;
	if (len > ARGS_MAX)
		len = ARGS_MAX;
	return bpf_probe_read_user(record->tail + at, len, (void *)args.start) ? 0 : len;
}

static __always_inline void show(struct task_struct *task, const struct cause *cause,
				 __u64 process_start_ns, bool is_thread, __u32 status)
{
	struct record *record = record_begin();
	__u64 start_ns = is_thread ? BPF_CORE_READ(task, start_boottime) : process_start_ns, at;
	struct event *event;

	if (!record)
		return;
	event = &record->event;
	clear_event(event);
	if (!is_thread)
		event->header.tid = event->header.pid;
	event->is_thread = is_thread;
	event->process_start_ns = process_start_ns;
	event->life_ns = event->header.time_ns - start_ns;
	event->cpu_ns = is_thread ? BPF_CORE_READ(task, se.sum_exec_runtime) : cpu_ns_of(task);
	event->rss_max_pages = BPF_CORE_READ(task, signal, maxrss);
	event->status = status;
	at = fill_cause(record, task, cause);
	if (at > NAMES_LEN)
		at = NAMES_LEN;
	record_submit(record, at + fill_arguments(record, at));
}

/* Has this process ended before: when another thread of it was the last one, too? Then it was wanted or not. */
static __always_inline bool has_ended(struct task_struct *task, __u32 pid, __u64 start_ns,
				      bool *is_wanted)
{
	struct ended now = {start_ns, *is_wanted}, *before = bpf_map_lookup_elem(&ended, &pid);

	if (before && before->process_start_ns != start_ns) {
		bpf_map_delete_elem(&ended, &pid);
		before = NULL;
	}
	/* Nobody who is alone comes again. */
	if (!before && (BPF_CORE_READ(task, signal, nr_threads) <= 1 ||
			!bpf_map_update_elem(&ended, &pid, &now, BPF_NOEXIST)))
		return false;
	if (!before)
		before = bpf_map_lookup_elem(&ended, &pid);
	if (before)
		*is_wanted = before->was_wanted;
	return true;
}

/* Those that the options ask for. */
static __always_inline bool end_wanted(struct task_struct *task, const struct cause *cause,
				       __u64 start_ns, __u32 status)
{
	if ((only_failed && !status) || !signal_wanted(status & 0x7f))
		return false;
	return !only_oom || (is_cause(cause, start_ns, status) && is_oom(cause, task));
}

/* The end of a thread, or of its process where it was the last one: true for that. */
static __always_inline bool show_end(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 pid = bpf_get_current_pid_tgid() >> 32, status;
	__u64 key = pid, start_ns;
	struct cause *cause;
	/* The last thread has just taken itself off the count of living ones. */
	bool is_thread = BPF_CORE_READ(task, signal, live.counter), is_wanted;

	if (is_thread && !shows_threads)
		return false;
	start_ns = process_start_ns(task);
	/* Before that is read again: who sees the process end meanwhile makes filters forget it. */
	is_wanted = task_wanted();
	is_thread = BPF_CORE_READ(task, signal, live.counter);
	/* The end of a process has its first thread's number. */
	if (!is_thread && settings.by_tid)
		is_wanted = task_wanted_of(BPF_CORE_READ(task, group_leader));
	is_thread = is_thread || has_ended(task, pid, start_ns, &is_wanted);
	if (is_thread && !shows_threads)
		return false;
	cause = in_flight_find(&causes, key);
	status = is_thread ? BPF_CORE_READ(task, exit_code) : wait_status(task);
	if (is_wanted && end_wanted(task, cause, start_ns, status) && !count_only())
		show(task, cause, start_ns, is_thread, status);
	if (is_thread)
		return false;
	bpf_map_delete_elem(&causes, &key);
	if (keeps_arguments)
		bpf_map_delete_elem(&started, &pid);
	return true;
}

SEC("tracepoint/sched/sched_process_exit")
int on_end(void *ctx)
{
	filters_forget(show_end());
	return 0;
}
