/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose events are wanted: the kernel side of -p, -u, -n and -- COMMAND. */
#ifndef EBTOOLS_FILTER_H
#define EBTOOLS_FILTER_H

#include "ebtools.bpf.h"

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

/* The processes that descend from the command, and the tracer itself, their ancestor. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 1);
} followed SEC(".maps");

/* Does comm contain the first by_comm bytes of settings.comm? */
static __always_inline bool comm_wanted(void)
{
	__u8 comm[2 * COMM_LEN] = {};
	int at, i;

	bpf_get_current_comm(comm, COMM_LEN);
	for (at = 0; at < COMM_LEN - 1; at++) {
		for (i = 0; i < COMM_LEN - 1; i++) {
			if (i >= settings.by_comm)
				return true;
			if (comm[at + i] != settings.comm[i])
				break;
		}
		if (i == COMM_LEN - 1)
			return true;
	}
	return false;
}

/* Is the current task one that the user asked for? */
static __always_inline bool task_wanted(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u32 uid = bpf_get_current_uid_gid();

	if (pid == settings.tracer)
		return false;
	if (settings.follow && !bpf_map_lookup_elem(&followed, &pid))
		return false;
	if (settings.by_pid && !bpf_map_lookup_elem(&wanted_pids, &pid))
		return false;
	if (settings.by_uid && !bpf_map_lookup_elem(&wanted_uids, &uid))
		return false;
	return !settings.by_comm || comm_wanted();
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(follow_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 ppid = parent->tgid, pid = child->tgid;
	__u8 one = 1;

	if (pid == ppid || !bpf_map_lookup_elem(&followed, &ppid))
		return 0;
	if (bpf_map_update_elem(&followed, &pid, &one, BPF_ANY))
		count_lost(LOST_MAP_FULL);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(follow_exit, struct task_struct *task)
{
	__u32 pid = task->tgid;

	/* The last thread has just taken itself off the count of living ones. */
	if (task->signal->live.counter == 0)
		bpf_map_delete_elem(&followed, &pid);
	return 0;
}

#endif
