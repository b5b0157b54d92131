/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel knows of a task, beyond what helpers give. */
#ifndef EBTOOLS_TASK_H
#define EBTOOLS_TASK_H

#include "ebtools.bpf.h"

/* BPF_CORE_READ of the current task, in place where the kernel lets programs do that: since 5.11 (3ca1032ab7ab). */
#define CURRENT_READ(...)                                                                          \
	(bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)               \
		 ? ___arrow(bpf_get_current_task_btf(), __VA_ARGS__)                               \
		 : BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), __VA_ARGS__))

/*
 * The current task's name, padded with zeros, to a multiple of 8: bpf_get_current_comm of Linux 6.1 leaves
 * what is behind the NUL as it was.
 */
static __always_inline void current_comm(__u8 *to)
{
	to = __builtin_assume_aligned(to, 8);
	__builtin_memset(to, 0, COMM_LEN);
	bpf_get_current_comm(to, COMM_LEN);
}

/* The name of a task, padded with zeros: 16 bytes of the kernel's own copy. */
static __always_inline void comm_of(__u8 *to, struct task_struct *task)
{
	__builtin_memset(to, 0, COMM_LEN);
	BPF_CORE_READ_STR_INTO((char (*)[COMM_LEN])to, task, comm);
}

/* The current process, by its first thread. */
static __always_inline struct task_struct *current_process(void)
{
	return CURRENT_READ(group_leader);
}

/* When a task's process was made, by CLOCK_BOOTTIME: with its number this names one process. */
static __always_inline __u64 process_start_ns(struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, start_boottime);
}

/* Where the memory of the current process has its arguments; 0 and 0 if it has none. */
struct arguments {
	__u64 start, len;
};

static __always_inline struct arguments current_arguments(void)
{
	__u64 start = CURRENT_READ(mm, arg_start);

	return (struct arguments){start, CURRENT_READ(mm, arg_end) - start};
}

/*
 * The name that goes with an event: that of the thread, or of its process where a tool defines
 * COMM_OF_PROCESS before it includes event.bpf.h.
 */
static __always_inline void event_comm_of(__u8 *to, struct task_struct *task)
{
#ifdef COMM_OF_PROCESS
	task = BPF_CORE_READ(task, group_leader);
#endif
	comm_of(to, task);
}

/* The same for the current task. */
static __always_inline void event_comm(__u8 *to)
{
#ifdef COMM_OF_PROCESS
	comm_of(to, current_process());
#else
	current_comm(to);
#endif
}

/* As bpf_get_current_uid_gid and bpf_get_current_cgroup_id have them. */
static __always_inline __u32 uid_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, cred, uid.val);
}

static __always_inline struct cgroup *cgroup_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, cgroups, dfl_cgrp);
}

static __always_inline __u64 cgroup_id_of(struct task_struct *task)
{
	struct cgroup *cgroup = cgroup_of(task);

	return BPF_CORE_READ(cgroup, kn, id);
}

/* The process's number in the innermost PID namespace that it is in. */
static __always_inline __u32 pid_in_own_namespace(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	unsigned int level = BPF_CORE_READ(pid, level);

	return BPF_CORE_READ(pid, numbers[level].nr);
}

#endif
