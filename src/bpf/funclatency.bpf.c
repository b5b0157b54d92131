// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* funclatency: how long functions take, of the kernel and of programs. */
#include "ebtools.bpf.h"
#include "uprobe.bpf.h"
#include "filter.bpf.h"
#include "hist.bpf.h"
#include "in_flight.bpf.h"
#include "tables.bpf.h"
#include "task_key.bpf.h"

/* Calls within calls that a thread may have; a power of two. */
#define DEPTH_MAX 64
#define THREADS_MAX 8192
#define ENTRIES_MAX 4096

/*
 * A thread's calls that have begun and not returned, the last one on top. Each is known by its place
 * on the stack, and the deeper it is, the lower. Not every return is seen: the kernel keeps few that
 * are pending, so that callers that block leave none for others, and programs leave functions by
 * longjmp and exceptions. Where a call was, its caller's next call, or return, shows that it is gone.
 */
struct thread {
	__u64 depth;
	__u64 base; /* of its stack in the kernel; 0 for a program's calls */
	__u64 starts[DEPTH_MAX];
	__u64 stacks[DEPTH_MAX];
	__u32 functions[DEPTH_MAX]; /* the lower half of an address, or a number */
};

/* By the task's address. Threads leave it when they are gone: on_thread_end. */
IN_FLIGHT(threads, struct thread, THREADS_MAX);

/* How many are in it. */
__u64 threads_known = 0;

/* 0 in what is not counted by. */
struct latency_key {
	struct task_key task;
	__u32 function; /* as in struct thread */
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

struct task_key *export_task_key;
struct latency_key *export_latency_key;
struct latency_value *export_latency_value;

/* What of the task is counted by: bits of enum count_by. And whether it is by function. */
const volatile __u32 count_by = 0;
const volatile __u8 by_function = 0;
/* --ret: what functions return, not how long they take. */
const volatile __u8 by_ret = 0;
/* Calls that take less are not wanted. */
const volatile __u64 slower_ns = 0;

/* Calls are found not to have returned. */
static __always_inline void count_missed(__u64 calls)
{
	if (!calls)
		return;
	count_all_lost(LOST_RETURN_MISSED, calls);
	count_call(-calls);
}

static __always_inline struct thread *thread_of(__u64 task, bool in_kernel)
{
	struct thread *thread = in_flight_find(&threads, task);

	if (thread)
		return thread;
	thread = in_flight_entry(&threads, task, &no_thread);
	if (!thread)
		return NULL;
	__sync_fetch_and_add(&threads_known, 1);
	if (in_kernel)
		thread->base = (__u64)BPF_CORE_READ((struct task_struct *)task, stack);
	return thread;
}

static __always_inline bool is_on(__u64 base, __u64 place)
{
	return place - base < THREAD_SIZE;
}

/*
 * Where is a call of the thread's, seen from a new one: 1, further up on the same stack, so that it goes
 * on; -1, where nothing is any more; or 0, in between. Interrupts have stacks of their own, and end
 * before the thread goes on. Where two are at the same place one was a tail call of the other's function,
 * or else it is gone; a function of the kernel does not call itself so. A global function, like
 * match(): the verifier checks it once, and not in each turn of a loop.
 */
__noinline int order(__u64 task, __u32 at, __u64 here, __u32 function)
{
	struct thread *thread = in_flight_find(&threads, task);
	__u64 place;

	if (!thread)
		return 0;
	at &= DEPTH_MAX - 1;
	place = thread->stacks[at];
	if (thread->base && is_on(thread->base, place) != is_on(thread->base, here))
		return is_on(thread->base, here) ? -1 : 1;
	if (thread->base && !is_on(thread->base, here) && (place ^ here) / THREAD_SIZE)
		return 0;
	if (place != here)
		return place > here ? 1 : -1;
	if (thread->depth >= DEPTH_MAX || (function && thread->functions[at] == function))
		return -1;
	return 0;
}

/* How many of a thread's calls go on when a new one begins. */
__noinline int going_on(__u64 task, __u32 depth, __u64 here, __u32 function)
{
	__u32 left = depth;
	int i;

	for (i = 0; i < DEPTH_MAX && depth; i++) {
		int is = order(task, --depth, here, function);

		if (is > 0)
			break;
		if (is < 0)
			left = depth;
	}
	return left;
}

/*
 * here: the place on the stack; function: 0 if it is a program's. name: what it is called in reports, if it
 * is a program's.
 */
static __noinline int entered(__u64 here, __u32 function, __u32 name)
{
	__u64 task = bpf_get_current_task(), depth, slot;
	struct thread *thread;

	if (!task_wanted())
		return 0;
	thread = thread_of(task, function);
	if (!thread)
		return 0;
	depth = going_on(task, thread->depth, here, function);
	count_missed(thread->depth - depth);
	if (depth >= DEPTH_MAX) {
		count_lost(LOST_MAP_FULL);
		return 0;
	}
	/* First of all: an interrupt's calls come and go above it. */
	thread->depth = depth + 1;
	slot = depth & (DEPTH_MAX - 1);
	thread->stacks[slot] = here;
	thread->functions[slot] = function ? function : name;
	thread->starts[slot] = bpf_ktime_get_ns();
	count_call(1);
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

#define NOT_FOUND (-1)

/* Is it the call that returns? 2: at its place; 1: of its function, where that is known; 0: no. */
__noinline int match(__u64 task, __u32 at, __u64 here, __u32 function)
{
	struct thread *thread = in_flight_find(&threads, task);

	at &= DEPTH_MAX - 1;
	if (!thread || (function && thread->functions[at] != function))
		return 0;
	return thread->stacks[at] == here ? 2 : function ? 1 : 0;
}

/* The call that returns: that at its place, or else the last one of its function. */
__noinline int returning(__u64 task, __u32 depth, __u64 here, __u32 function)
{
	int found = NOT_FOUND;
	int i;

	for (i = 0; i < DEPTH_MAX && depth; i++) {
		int is = match(task, --depth, here, function);

		if (is == 2)
			return depth;
		if (is == 1 && found == NOT_FOUND)
			found = depth;
	}
	return found;
}

static __always_inline void count_returned(__s64 ret, __u64 ns, __u32 function)
{
	struct latency_key key = {.cpu = bpf_get_smp_processor_id()};
	struct latency_value *value;

	if (ns < slower_ns)
		return;
	fill_task_key(&key.task, NULL, count_by);
	if (by_function)
		key.function = function;
	value = table_entry(&latency_table, &key, &no_latency);
	if (!value)
		return;
	count_submitted();
	if (by_ret && is_error(ret))
		__sync_fetch_and_add(&value->errors, 1);
	else
		add(value, by_ret ? ret : ns);
}

static __always_inline void forget(__u64 task)
{
	if (!bpf_map_delete_elem(&threads, &task))
		__sync_fetch_and_add(&threads_known, -1);
}

/* function: 0 where the place alone tells which call it is. */
static __noinline int returned(__s64 ret, __u64 here, __u32 function)
{
	__u64 task = bpf_get_current_task();
	struct thread *thread = in_flight_find(&threads, task);
	__u64 now = bpf_ktime_get_ns(), found;

	if (!thread)
		return 0;
	found = returning(task, thread->depth, here, function);
	/* It began before tracing did, or was one too many. */
	if (found >= DEPTH_MAX)
		return 0;
	count_missed(thread->depth - 1 - found);
	thread->depth = found;
	count_call(-1);
	found &= DEPTH_MAX - 1;
	count_returned(ret, now - thread->starts[found], thread->functions[found]);
	/* Room for others, but not in an interrupt: the thread may be about to use it. */
	if (!found && threads_known > THREADS_MAX / 2 &&
	    (!thread->base || is_on(thread->base, here)))
		forget(task);
	return 0;
}

/*
 * fentry and fexit: a pair of programs for each function. A call's place is that of its arguments, which
 * are the same at both. User space says how many there are: what is returned is behind them.
 */
enum limits {
	PAIRS_MAX = 8,
};

enum limits *export_limits;

const volatile __u8 arguments[PAIRS_MAX] = {};

/* By instructions that the compiler leaves alone: the verifier takes no other address from ctx. */
#define RESULT(n)                                                                                  \
	if (count == n)                                                                            \
	asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(result) : "r"(ctx), "i"(8 * (n)))

static __always_inline __s64 result_behind(__u64 *ctx, __u8 count)
{
	__u64 result = 0;

	RESULT(0);
	RESULT(1);
	RESULT(2);
	RESULT(3);
	RESULT(4);
	RESULT(5);
	RESULT(6);
	RESULT(7);
	RESULT(8);
	RESULT(9);
	RESULT(10);
	RESULT(11);
	RESULT(12);
	return number_of((void *)result);
}

#define PAIR(n)                                                                                    \
	SEC("fentry")                                                                              \
	int on_fentry_##n(__u64 *ctx)                                                              \
	{                                                                                          \
		return entered(number_of(ctx), n + 1, 0);                                          \
	}                                                                                          \
	SEC("fexit")                                                                               \
	int on_return_fexit_##n(__u64 *ctx)                                                        \
	{                                                                                          \
		return returned(by_ret ? result_behind(ctx, arguments[n]) : 0, number_of(ctx), 0); \
	}

PAIR(0)
PAIR(1)
PAIR(2)
PAIR(3)
PAIR(4)
PAIR(5)
PAIR(6)
PAIR(7)

/* The place of the return address, at entry and at return: there it has been taken off already. */
#if defined(__TARGET_ARCH_x86)
#define ENTRY_PLACE(ctx) PT_REGS_SP(ctx)
#define RETURN_PLACE(ctx) (PT_REGS_SP(ctx) - sizeof(__u64))
#elif defined(__TARGET_ARCH_arm64)
#define ENTRY_PLACE(ctx) PT_REGS_SP(ctx)
#define RETURN_PLACE(ctx) PT_REGS_SP(ctx)
#endif

SEC("kprobe.multi")
int BPF_KPROBE(on_entry_multi)
{
	return entered(ENTRY_PLACE(ctx), bpf_get_func_ip(ctx), 0);
}

/* Linux 6.14 to 6.18 do not tell the stack pointer here (fprobe on fgraph): then the function does. */
SEC("kretprobe.multi")
int BPF_KRETPROBE(on_return_multi, long ret)
{
	return returned(ret, RETURN_PLACE(ctx), bpf_get_func_ip(ctx));
}

SEC("kprobe")
int BPF_KPROBE(on_entry)
{
	return entered(ENTRY_PLACE(ctx), PT_REGS_IP(ctx), 0);
}

SEC("kretprobe")
int BPF_KRETPROBE(on_return, long ret)
{
	return returned(ret, RETURN_PLACE(ctx), 0);
}

SEC("uprobe")
int BPF_KPROBE(on_user_entry)
{
	ON_OWN_STACK(ctx);
	return entered(ENTRY_PLACE(ctx), 0, by_function ? bpf_get_attach_cookie(ctx) : 0);
}

SEC("uretprobe")
int BPF_KRETPROBE(on_user_return, long ret)
{
	ON_OWN_STACK(ctx);
	return returned(ret, RETURN_PLACE(ctx), 0);
}

/* Not when it ends: it calls functions behind that. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(on_thread_end, struct task_struct *task)
{
	__u64 key = number_of(task);
	struct thread *thread = in_flight_find(&threads, key);

	if (!thread)
		return 0;
	count_missed(thread->depth);
	forget(key);
	return 0;
}
