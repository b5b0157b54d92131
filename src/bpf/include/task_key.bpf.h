/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What counts have in common of the task: the kernel side of --count, and of --by where a tool sums up. */
#ifndef EBTOOLS_TASK_KEY_H
#define EBTOOLS_TASK_KEY_H

#include "task.bpf.h"

/*
 * Fills what is counted by, and nothing else, in a key that is all 0. task: NULL for the current one, by
 * helpers that not all programs have; the compiler must know. by: bits of enum count_by.
 */
static __always_inline void fill_task_key(struct task_key *key, struct task_struct *task, __u32 by)
{
	if (by & COUNT_COMM && task)
		event_comm_of(key->comm, task);
	else if (by & COUNT_COMM)
		event_comm(key->comm);
	else if (by & COUNT_PROCESS_COMM)
		comm_of(key->comm, current_process());
	if (by & COUNT_UID)
		key->uid = task ? uid_of(task) : bpf_get_current_uid_gid();
	if (by & COUNT_PID)
		key->pid = task ? BPF_CORE_READ(task, tgid) : bpf_get_current_pid_tgid() >> 32;
	if (by & COUNT_CGROUP)
		key->cgroup_id = task ? cgroup_id_of(task) : bpf_get_current_cgroup_id();
}

#endif
