/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SEC("tracepoint/..."): its program is attached in one of two ways, which tracepoints.rs chooses
 * for all of a tool. By BTF, like SEC("tp_btf/..."), it costs least; but since Linux 7.0 the kernel
 * may preempt it in the middle, and then skips it for all others on that CPU until it goes on. As
 * perf's tracepoint it is not preempted, and sees everything.
 *
 * Arguments are read by instructions that the compiler leaves alone: the verifier takes no address
 * in ctx that was calculated. perf's are the fields in the format file of the tracepoint.
 */
#ifndef EBTOOLS_TRACEPOINT_H
#define EBTOOLS_TRACEPOINT_H

#include "ebtools.bpf.h"

#define CONTEXT(ctx, type, place)                                                                  \
	({                                                                                         \
		__u64 value;                                                                       \
		asm volatile("%0 = *(" #type " *)(%1 + %2)" : "=r"(value) : "r"(ctx), "i"(place)); \
		value;                                                                             \
	})
#define ARGUMENT(n) (8 * (n)) /* by BTF */
/* Argument n, an address: where all before it are addresses, which perf's has from byte 8 on. */
#define ADDRESS(ctx, n)                                                                            \
	(settings.perf_tracepoints ? CONTEXT(ctx, u64, 8 + 8 * (n))                                \
				   : CONTEXT(ctx, u64, ARGUMENT(n)))

/* raw_syscalls/sys_enter, sys_exit: the registers that the system call was entered with. */
static __always_inline struct pt_regs *syscall_regs(__u64 *ctx)
{
	if (settings.perf_tracepoints)
		return user_regs();
	return (struct pt_regs *)ctx[0];
}

/* raw_syscalls/sys_exit: what the system call returns. */
static __always_inline long syscall_ret(__u64 *ctx)
{
	return settings.perf_tracepoints ? CONTEXT(ctx, u64, 16) : CONTEXT(ctx, u64, ARGUMENT(1));
}

/* sched/sched_process_exec: the thread's number before that. */
static __always_inline __u32 pid_before_exec(__u64 *ctx)
{
	return settings.perf_tracepoints ? CONTEXT(ctx, u32, 16) : CONTEXT(ctx, u64, ARGUMENT(1));
}

/* tcp/tcp_destroy_sock: the address of the struct sock. */
static __always_inline __u64 socket_destroyed(__u64 *ctx)
{
	return ADDRESS(ctx, 0);
}

/* sock/inet_sock_set_state: the address of the struct sock, and what its state was and is. */
static __always_inline __u64 socket_of_state(__u64 *ctx)
{
	return ADDRESS(ctx, 0);
}

static __always_inline __u32 state_before(__u64 *ctx)
{
	return settings.perf_tracepoints ? CONTEXT(ctx, u32, 16) : CONTEXT(ctx, u64, ARGUMENT(1));
}

static __always_inline __u32 state_behind(__u64 *ctx)
{
	return settings.perf_tracepoints ? CONTEXT(ctx, u32, 20) : CONTEXT(ctx, u64, ARGUMENT(2));
}

/* tcp/tcp_retransmit_skb, tcp_send_reset: the address of the struct sock, or 0, and of the segment. */
static __always_inline __u64 socket_of_segment(__u64 *ctx)
{
	if (settings.perf_tracepoints)
		return CONTEXT(ctx, u64, 16);
	return number_of((void *)CONTEXT(ctx, u64, ARGUMENT(0)));
}

static __always_inline __u64 segment_of(__u64 *ctx)
{
	if (settings.perf_tracepoints)
		return CONTEXT(ctx, u64, 8);
	return number_of((void *)CONTEXT(ctx, u64, ARGUMENT(1)));
}

/* tcp/tcp_retransmit_synack: the address of who listens, and of the struct request_sock. */
static __always_inline __u64 socket_of_request(__u64 *ctx)
{
	return ADDRESS(ctx, 0);
}

static __always_inline __u64 request_of(__u64 *ctx)
{
	return ADDRESS(ctx, 1);
}

/* tcp/tcp_receive_reset: the address of the struct sock. */
static __always_inline __u64 socket_reset(__u64 *ctx)
{
	return ADDRESS(ctx, 0);
}

/* tcp/tcp_probe: the address of the struct sock, in perf's where the kernel's types say. */
struct trace_event_raw_tcp_probe___skaddr {
	const void *skaddr;
} __attribute__((preserve_access_index));

static __always_inline __u64 socket_probed(__u64 *ctx)
{
	if (settings.perf_tracepoints)
		return (__u64)BPF_CORE_READ((struct trace_event_raw_tcp_probe___skaddr *)ctx,
					    skaddr);
	return CONTEXT(ctx, u64, ARGUMENT(0));
}

/*
 * tcp/tcp_retransmit_skb: why it could not be sent; what can't be sent is not told of before Linux 6.16.
 * perf's is where the kernel's types say.
 */
struct trace_event_raw_tcp_retransmit_skb___error {
	int err;
} __attribute__((preserve_access_index));

static __always_inline int retransmit_error(__u64 *ctx)
{
	if (!bpf_core_field_exists(struct trace_event_raw_tcp_retransmit_skb___error, err))
		return 0;
	if (settings.perf_tracepoints)
		return BPF_CORE_READ((struct trace_event_raw_tcp_retransmit_skb___error *)ctx, err);
	return CONTEXT(ctx, u64, ARGUMENT(2));
}

/* tcp/tcp_send_reset: why, since Linux 6.10 (enum sk_rst_reason); 0: it is not known. */
struct trace_event_raw_tcp_send_reset___reason {
	enum sk_rst_reason reason;
} __attribute__((preserve_access_index));

static __always_inline __u32 reset_reason(__u64 *ctx)
{
	if (!bpf_core_field_exists(struct trace_event_raw_tcp_send_reset___reason, reason))
		return 0;
	if (settings.perf_tracepoints)
		return BPF_CORE_READ((struct trace_event_raw_tcp_send_reset___reason *)ctx, reason);
	return CONTEXT(ctx, u64, ARGUMENT(2));
}

/* skb/kfree_skb: a packet, and where the kernel lets go of it. */
static __always_inline __u64 freed_skb(__u64 *ctx)
{
	return ADDRESS(ctx, 0);
}

static __always_inline __u64 freed_where(__u64 *ctx)
{
	return ADDRESS(ctx, 1);
}

/* Why: enum skb_drop_reason, since Linux 5.17 (c504e5c2f964). */
static __always_inline __u32 freed_why(__u64 *ctx)
{
	if (settings.perf_tracepoints)
		return CONTEXT(ctx, u32, 36);
	return bpf_core_field_exists(struct trace_event_raw_kfree_skb, reason)
		       ? CONTEXT(ctx, u64, ARGUMENT(2))
		       : 0;
}

/* The socket that it was for, or NULL, since Linux 6.11 (c53795d48ee8). */
static __always_inline __u64 freed_for(__u64 *ctx)
{
	if (settings.perf_tracepoints)
		return CONTEXT(ctx, u64, 24);
	/* As a number: new verifiers know that it may be NULL. */
	return bpf_core_field_exists(struct trace_event_raw_kfree_skb, rx_sk)
		       ? number_of((void *)CONTEXT(ctx, u64, ARGUMENT(3)))
		       : 0;
}

/* task/task_newtask: the new thread's number; its process's too, unless CLONE_THREAD is set. */
static __always_inline __u32 new_tid(__u64 *ctx)
{
	if (settings.perf_tracepoints)
		return CONTEXT(ctx, u32, 8);
	return ((struct task_struct *)ctx[0])->pid;
}

static __always_inline __u64 clone_flags(__u64 *ctx)
{
	return settings.perf_tracepoints ? CONTEXT(ctx, u64, 32) : CONTEXT(ctx, u64, ARGUMENT(1));
}

/* The n-th field of perf's that is a string: where it begins, and its length with the NUL. */
#define STRING(ctx, n) CONTEXT(ctx, u32, 8 + 4 * (n))
#define STRING_AT(ctx, n) ((void *)(ctx) + (STRING(ctx, n) & 0xffff))
#define STRING_LEN(ctx, n) (STRING(ctx, n) >> 16)

#endif
