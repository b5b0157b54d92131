/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* exitsnoop: what processes were started with. */
#ifndef EBTOOLS_EXITSNOOP_STARTED_H
#define EBTOOLS_EXITSNOOP_STARTED_H

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
	struct arguments args = current_arguments();
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

#endif
