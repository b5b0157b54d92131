/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Events in another task's context: of a scheduler, of a disk or a network that has done what a task
 * asked for. The current task is whoever was interrupted. So who submits work is kept with it, as its
 * owner, in a table of in_flight.bpf.h, and the event at the end is the owner's.
 */
#ifndef EBTOOLS_OWNER_H
#define EBTOOLS_OWNER_H

#include "filter.bpf.h"

/* Is this task, whoever runs, one that the user asked for? */
static __always_inline bool task_wanted_of(struct task_struct *task)
{
	return task && passes_filters(task, BPF_CORE_READ(task, tgid));
}

/* Who submitted work. A tool may store it, and it stays right when the task changes or ends. */
struct owner {
	__u64 cgroup_id;
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 wanted; /* what task_wanted_of() said */
	__u8 comm[COMM_LEN];
};

static __always_inline void fill_owner(struct owner *owner, struct task_struct *task)
{
	owner->cgroup_id = cgroup_id_of(task);
	owner->pid = BPF_CORE_READ(task, tgid);
	owner->tid = BPF_CORE_READ(task, pid);
	owner->uid = uid_of(task);
	owner->wanted = task_wanted_of(task);
	event_comm_of(owner->comm, task);
}

/* As fill_task_key(), for an owner, by whose thread's name its process's is counted too. */
static __always_inline void fill_task_key_by(struct task_key *key, const struct owner *owner,
					     __u32 by)
{
	if (by & COUNT_PID)
		key->pid = owner->pid;
	if (by & (COUNT_COMM | COUNT_PROCESS_COMM))
		__builtin_memcpy(key->comm, owner->comm, COMM_LEN);
	if (by & COUNT_UID)
		key->uid = owner->uid;
	if (by & COUNT_CGROUP)
		key->cgroup_id = owner->cgroup_id;
}

#endif
