// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* funclatency: how long functions take, of the kernel and of programs. */
#include "ebtools.bpf.h"
#include "filter.bpf.h"
#include "hist.bpf.h"
#include "tables.bpf.h"

/* Calls within calls that a thread may have; a power of two. */
#define DEPTH_MAX 64
#define THREADS_MAX 8192
#define ENTRIES_MAX 1024

/* A thread's calls that have begun and not returned, the last one on top. */
struct thread {
	__u64 depth;
	__u64 starts[DEPTH_MAX];
	/*
	 * Stack pointers of a user program's calls: less and less. Where one is left by longjmp or
	 * an exception, it never returns; its caller's next call, or return, shows it.
	 */
	__u64 stacks[DEPTH_MAX];
};

/* Threads leave it when they are gone: on_thread_end. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct thread);
	__uint(max_entries, THREADS_MAX);
} threads SEC(".maps");

struct latency_key {
	__u32 pid; /* 0 when it is not counted by */
	__u32 cpu; /* so that no two CPUs write to the same memory */
};

struct latency_value {
	__u64 count;
	__u64 total; /* nanoseconds; with --ret what was returned */
	__u64 errors; /* with --ret: results below zero, which are not in the others */
	struct histogram histogram;
};

TABLES(latency_table, struct latency_key, struct latency_value, ENTRIES_MAX);

/* New entries: too large for the stack. */
static const struct thread no_thread;
static const struct latency_value no_latency = {.histogram = NO_HISTOGRAM};

struct latency_key *export_latency_key;
struct latency_value *export_latency_value;

const volatile __u8 by_pid = 0;
/* --ret: what functions return, not how long they take. */
const volatile __u8 by_ret = 0;

/* The last of the calls, from depth down, whose stack pointer is not below the limit. */
static __always_inline __u64 live(const struct thread *thread, __u64 depth, __u64 limit)
{
	int i;

	for (i = 0; i < DEPTH_MAX && depth; i++, depth--)
		if (thread->stacks[(depth - 1) & (DEPTH_MAX - 1)] >= limit)
			break;
	return depth;
}

/* The key of the current thread. Each CPU has a thread 0, which runs when there is nothing to run. */
static __always_inline __u32 thread_key(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	return tid ? tid : ~bpf_get_smp_processor_id();
}

/* stack: 0 in the kernel, where every call returns. */
static __always_inline int entered(__u64 stack)
{
	__u32 tid = thread_key();
	struct thread *thread;
	__u64 depth;

	if (!task_wanted())
		return 0;
	thread = bpf_map_lookup_elem(&threads, &tid);
	if (!thread) {
		bpf_map_update_elem(&threads, &tid, &no_thread, BPF_NOEXIST);
		thread = bpf_map_lookup_elem(&threads, &tid);
	}
	if (!thread) {
		count_lost(LOST_MAP_FULL);
		return 0;
	}
	depth = thread->depth;
	/* One with the same stack pointer: a tail call, or else it was left. */
	if (stack) {
		depth = live(thread, depth, depth < DEPTH_MAX ? stack : stack + 1);
	} else if (depth >= DEPTH_MAX) {
		/* Nothing calls so deep in the kernel, which had no room to tell of their returns. */
		count_all_lost(LOST_RETURN_MISSED, depth);
		depth = 0;
	}
	if (depth >= DEPTH_MAX) {
		count_lost(LOST_MAP_FULL);
		return 0;
	}
	thread->depth = depth + 1;
	thread->starts[depth & (DEPTH_MAX - 1)] = bpf_ktime_get_ns();
	thread->stacks[depth & (DEPTH_MAX - 1)] = stack;
	return 0;
}

static __always_inline void add(struct latency_value *value, __u64 amount)
{
	__sync_fetch_and_add(&value->count, 1);
	__sync_fetch_and_add(&value->total, amount);
	__sync_fetch_and_add(hist_add(&value->histogram, amount), 1);
}

/* An int of -1 to -4095 leaves the upper half of the register empty, or anything. */
static __always_inline bool is_error(__s64 ret)
{
	return ret < 0 || (ret <= 0xffffffff && ret > 0xffffffff - 4095);
}

/* stack: behind the return address, which is on the stack in some architectures. */
static __always_inline int returned(__s64 ret, __u64 stack)
{
	__u32 tid = thread_key();
	struct latency_key key = {.cpu = bpf_get_smp_processor_id()};
	struct thread *thread = bpf_map_lookup_elem(&threads, &tid);
	struct latency_value *value;
	__u64 ns, depth;

	if (!thread)
		return 0;
	depth = thread->depth;
	if (stack)
		depth = live(thread, depth, stack - sizeof(__u64));
	/* It began before tracing did, or was one too many. */
	if (!depth || (stack && thread->stacks[(depth - 1) & (DEPTH_MAX - 1)] > stack))
		return 0;
	thread->depth = --depth;
	ns = bpf_ktime_get_ns() - thread->starts[depth & (DEPTH_MAX - 1)];
	if (by_pid)
		key.pid = bpf_get_current_pid_tgid() >> 32;
	value = table_entry(&latency_table, &key, &no_latency);
	if (!value)
		return 0;
	count_submitted();
	if (by_ret && is_error(ret))
		__sync_fetch_and_add(&value->errors, 1);
	else
		add(value, by_ret ? ret : ns);
	return 0;
}

SEC("fentry")
int BPF_PROG(on_fentry)
{
	return entered(0);
}

SEC("fexit")
int BPF_PROG(on_fexit)
{
	return returned(0, 0);
}

SEC("kprobe.multi")
int BPF_KPROBE(on_entry_multi)
{
	return entered(0);
}

SEC("kretprobe.multi")
int BPF_KRETPROBE(on_return_multi, long ret)
{
	return returned(ret, 0);
}

SEC("kprobe")
int BPF_KPROBE(on_entry)
{
	return entered(0);
}

SEC("kretprobe")
int BPF_KRETPROBE(on_return, long ret)
{
	return returned(ret, 0);
}

SEC("uprobe")
int BPF_KPROBE(on_user_entry)
{
	return entered(PT_REGS_SP(ctx));
}

SEC("uretprobe")
int BPF_KRETPROBE(on_user_return, long ret)
{
	return returned(ret, PT_REGS_SP(ctx));
}

/* Not when it ends: it calls functions behind that. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(on_thread_end, struct task_struct *task)
{
	__u32 tid = task->pid;

	bpf_map_delete_elem(&threads, &tid);
	return 0;
}
