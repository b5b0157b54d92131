/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose events are wanted: the kernel side of -p, --tid, -u, -n, --cgroup, --follow, -- COMMAND. Programs that
 * run in another task's context than that of their event, like those of the scheduler, ask
 * task_wanted_of(); the others task_wanted(), by helpers that know the current task alone and cost less.
 */
#ifndef EBTOOLS_FILTER_H
#define EBTOOLS_FILTER_H

#include "ebtools.bpf.h"
#include "task.bpf.h"
#include "tracepoint.bpf.h"

/* User space sets max_entries of these to what is asked for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 1);
} wanted_pids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 1);
} wanted_uids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 1);
} wanted_tids SEC(".maps");

/* cgroup v2 directories: --cgroup and --container. */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} wanted_cgroups SEC(".maps");

/*
 * --follow: what descends from the wanted ones, from now on. With a command, the command's
 * process and what descends from that; 0 as long as the command's process is a copy of the tracer.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 1);
} followed SEC(".maps");

/*
 * Does one of two names, each in COMM_LEN bytes, contain the first by_comm bytes of settings.comm? Each
 * is followed by a NUL, which no name that is looked for contains; behind them is room for a third.
 */
static __always_inline bool is_name_wanted(const __u8 *names)
{
	int at, i;

	for (at = 0; at < 2 * COMM_LEN - 1; at++) {
		for (i = 0; i < COMM_LEN - 1; i++) {
			if (i >= settings.by_comm)
				return true;
			if (names[at + i] != settings.comm[i])
				break;
		}
		if (i == COMM_LEN - 1)
			return true;
	}
	return false;
}

/* The name of the current thread, or that of its process. */
__noinline bool comm_wanted(void)
{
	__u8 names[3 * COMM_LEN] __attribute__((aligned(8))) = {};

	current_comm(names);
	comm_of(names + COMM_LEN, current_process());
	return is_name_wanted(names);
}

static __noinline bool comm_wanted_of(struct task_struct *task)
{
	__u8 names[3 * COMM_LEN] __attribute__((aligned(8))) = {};

	comm_of(names, task);
	comm_of(names + COMM_LEN, BPF_CORE_READ(task, group_leader));
	return is_name_wanted(names);
}

/* Is the current task in one of wanted_cgroups, or below? */
__noinline bool cgroup_wanted(void)
{
	int i;

	for (i = 0; i < CGROUPS_MAX; i++) {
		if (i >= settings.by_cgroup)
			break;
		if (bpf_current_task_under_cgroup(&wanted_cgroups, i) == 1)
			return true;
	}
	return false;
}

/* What user space has put into wanted_cgroups. */
static __always_inline struct cgroup *wanted_cgroup(__u32 index)
{
	/* As a number: the verifier lets nobody add to the address of a map. */
	__u64 array = number_of(&wanted_cgroups);
	struct cgroup *cgroup = NULL;

	bpf_probe_read_kernel(&cgroup, sizeof(cgroup),
			      (void *)array + bpf_core_field_offset(struct bpf_array, ptrs) +
				      index * sizeof(cgroup));
	return cgroup;
}

/* Is this one of wanted_cgroups, or below? */
static __noinline bool is_cgroup_wanted(struct cgroup *cgroup)
{
	struct cgroup *wanted;
	__u32 i;

	for (i = 0; i < CGROUPS_MAX; i++) {
		if (i >= settings.by_cgroup)
			break;
		wanted = wanted_cgroup(i);
		if (wanted && is_cgroup_within(cgroup, wanted))
			return true;
	}
	return false;
}

/* The tracer's own process, which is never reported. */
__u32 tracer = 0;

/* Run once by the tracer, which may not know its number on the host. */
SEC("raw_tp")
int identify_tracer(void *ctx)
{
	tracer = bpf_get_current_pid_tgid() >> 32;
	return 0;
}

/*
 * struct bpf_pidns_info of linux/bpf.h, which never changes: the loader need not look for it in the
 * kernel's types.
 */
struct pidns_info {
	__u32 pid;
	__u32 tgid;
};

/* The current thread's numbers in the tracer's PID namespace; 0 where it has none there. */
static __always_inline struct pidns_info ids_for_tracer(void)
{
	__u64 ids = bpf_get_current_pid_tgid();
	struct pidns_info there = {.pid = ids, .tgid = ids >> 32};

	if (settings.pidns_ino &&
	    bpf_get_ns_current_pid_tgid(settings.pidns_dev, settings.pidns_ino, (void *)&there,
					sizeof(there)))
		there = (struct pidns_info){};
	return there;
}

/* That of its process. */
static __always_inline __u32 pid_for_tracer(void)
{
	return ids_for_tracer().tgid;
}

/* PID namespaces within each other: MAX_PID_NS_LEVEL of the kernel. */
#define PID_LEVELS_MAX 32

static __noinline __u32 tid_for_tracer_of(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level), i;

	if (!settings.pidns_ino)
		return BPF_CORE_READ(task, pid);
	for (i = 0; i <= PID_LEVELS_MAX; i++) {
		struct pid_namespace *namespace;

		if (i > level)
			break;
		namespace = BPF_CORE_READ(pid, numbers[i].ns);
		if (BPF_CORE_READ(namespace, ns.inum) == settings.pidns_ino)
			return BPF_CORE_READ(pid, numbers[i].nr);
	}
	return 0;
}

static __always_inline __u32 pid_for_tracer_of(struct task_struct *task)
{
	return tid_for_tracer_of(BPF_CORE_READ(task, group_leader));
}

static __always_inline bool in_wanted_pids(__u32 pid_there)
{
	return bpf_map_lookup_elem(&wanted_pids, &pid_there);
}

static __always_inline bool in_wanted_tids(__u32 tid_there)
{
	return bpf_map_lookup_elem(&wanted_tids, &tid_there);
}

static __always_inline bool in_wanted_uids(__u32 uid)
{
	return bpf_map_lookup_elem(&wanted_uids, &uid);
}

static __always_inline bool is_followed(__u32 pid)
{
	__u8 *is_itself = bpf_map_lookup_elem(&followed, &pid);

	return is_itself && *is_itself;
}

/*
 * Of the filters those that name a task. task: NULL for the current one, which the compiler must know;
 * pid: that of its process.
 */
static __always_inline bool is_task_named(struct task_struct *task, __u32 pid)
{
	bool follows = settings.follow != FOLLOW_NOBODY && is_followed(pid);

	if (pid == tracer)
		return false;
	if (settings.follow == FOLLOW_COMMAND && !follows)
		return false;
	if (settings.by_pid && !(settings.follow == FOLLOW_PIDS && follows) &&
	    !in_wanted_pids(task ? pid_for_tracer_of(task) : pid_for_tracer()))
		return false;
	if (settings.by_tid &&
	    !in_wanted_tids(task ? tid_for_tracer_of(task) : ids_for_tracer().pid))
		return false;
	return !settings.by_comm || (task ? comm_wanted_of(task) : comm_wanted());
}

/* All of them, in the same way. */
static __always_inline bool passes_filters(struct task_struct *task, __u32 pid)
{
	if (!settings.has_filters)
		return pid != tracer;
	if (settings.by_uid && !in_wanted_uids(task ? uid_of(task) : bpf_get_current_uid_gid()))
		return false;
	if (settings.by_cgroup && !(task ? is_cgroup_wanted(cgroup_of(task)) : cgroup_wanted()))
		return false;
	return is_task_named(task, pid);
}

/* Is the current task one that the user asked for? */
static __always_inline bool task_wanted(void)
{
	return passes_filters(NULL, bpf_get_current_pid_tgid() >> 32);
}

/* Is what the current process starts wanted too? */
static __always_inline bool children_wanted(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (bpf_map_lookup_elem(&followed, &pid))
		return true;
	/* The tracer has one child: the command. */
	return settings.follow == FOLLOW_COMMAND ? pid == tracer : in_wanted_pids(pid_for_tracer());
}

SEC("tracepoint/task/task_newtask")
int follow_fork(__u64 *ctx)
{
	__u32 pid = new_tid(ctx);
	__u8 is_itself = bpf_get_current_pid_tgid() >> 32 != tracer;

	/* Not a process: a thread. */
	if (clone_flags(ctx) & CLONE_THREAD)
		return 0;
	if (!children_wanted()) {
		/* Of one that had the number before, and whose end was not seen. */
		bpf_map_delete_elem(&followed, &pid);
		return 0;
	}
	if (bpf_map_update_elem(&followed, &pid, &is_itself, BPF_ANY))
		count_lost(LOST_MAP_FULL);
	else
		count_followed();
	return 0;
}

/* Attached before a tool's own programs, and so run before them: they see the command's exec. */
SEC("tracepoint/sched/sched_process_exec")
int follow_exec(__u64 *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u8 *is_itself = bpf_map_lookup_elem(&followed, &pid), is_wanted = 1;
	struct pidns_info there = ids_for_tracer();
	__u32 before = pid_before_exec(ctx);

	if (is_itself)
		*is_itself = 1;
	/* The thread has the number of the first one now. In other PID namespaces nobody knows what it was. */
	if (settings.by_tid && before != pid && !bpf_map_delete_elem(&wanted_tids, &before))
		bpf_map_update_elem(&wanted_tids, &there.pid, &is_wanted, BPF_ANY);
	return 0;
}

/*
 * The current thread ends, and with the last one its process: others may get their numbers. That of a first
 * thread, one of its process that becomes another program does.
 */
static __always_inline void filters_forget(bool is_process)
{
	struct pidns_info there = ids_for_tracer();
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (is_process || there.pid != there.tgid)
		bpf_map_delete_elem(&wanted_tids, &there.pid);
	if (!is_process)
		return;
	bpf_map_delete_elem(&followed, &pid);
	bpf_map_delete_elem(&wanted_pids, &there.tgid);
	bpf_map_delete_elem(&wanted_tids, &there.tgid);
}

/*
 * Attached after a tool's own programs, and so run after them: they see a wanted process end. One that
 * shows these ends defines FORGETS_ITSELF before it includes event.bpf.h, and does it when it has shown one:
 * threads that end at the same time see each other gone between these two programs.
 */
#ifndef FORGETS_ITSELF
#define FORGETS_ITSELF false
#endif

SEC("tracepoint/sched/sched_process_exit")
int follow_exit(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (FORGETS_ITSELF)
		return 0;
	/* The last thread has just taken itself off the count of living ones. */
	filters_forget(BPF_CORE_READ(task, signal, live.counter) == 0);
	return 0;
}

#endif
