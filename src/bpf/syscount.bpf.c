// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* syscount: system calls, counted where they end. */
#include "ebtools.bpf.h"
#include "filter.bpf.h"
#include "hist.bpf.h"
#include "in_flight.bpf.h"
#include "tables.bpf.h"
#include "task_key.bpf.h"

#define ENTRIES_MAX 4096

/* System calls of an architecture. */
enum calls {
	CALLS_UNKNOWN = 511, /* stands for this number and all above it, which no call has */
	CALLS_MAX,
};

/* Instead of a number. */
enum no_call {
	CALL_ANY = -2,
	CALL_NONE = -3,
};

/* What is counted by beside the task: bits that enum count_by has not. */
enum by {
	BY_CALL = 1 << 8,
	BY_ERRNO = 1 << 9,
};

/*
 * Nothing needs atomic additions here: each CPU has its own entries, and the kernel runs this
 * program once at a time on a CPU, and counts what it skips for that.
 */
struct call_count {
	__u64 count;
	__u64 errors;
};

/* The quick way: by system call alone; those of 32-bit callers behind the others. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct call_count);
	__uint(max_entries, 2 * CALLS_MAX);
} calls SEC(".maps");

/* 0 in what is not counted by. */
struct call_key {
	struct task_key task;
	__u32 slot; /* as in calls */
	__u32 errno;
	__u32 cpu; /* so that no two CPUs write to the same memory */
	__u32 reserved;
};

/* By system call alone a short one will do, which is found in half the time. */
struct time_key {
	__u32 slot; /* as in calls */
	__u32 cpu;
};

/* With -L. */
struct call_value {
	struct call_count calls;
	__u64 total_ns;
	struct histogram histogram; /* of nanoseconds */
};

TABLES(call_table, struct call_key, struct call_count, 65536);
TABLES(call_time_table, struct call_key, struct call_value, ENTRIES_MAX);
TABLES(time_table, struct time_key, struct call_value, ENTRIES_MAX);

/* When a thread's call began; 0 when it is in none. It is gone with the thread. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} stored_starts SEC(".maps");

/*
 * The same where with_task_storage is 0. Threads leave it when they end (on_thread_end), and when
 * they take another number (on_thread_exec).
 */
IN_FLIGHT(starts, __u64, 32768);

/* New entries: one is too large for the stack. */
static const struct call_count no_calls;
static const struct call_value no_times = {.histogram = NO_HISTOGRAM};

struct task_key *export_task_key;
struct call_key *export_call_key;
struct time_key *export_time_key;
struct call_value *export_call_value;
struct call_count *export_call_count;
enum by *export_by;
enum calls *export_calls;
enum no_call *export_no_call;

/* enum by, enum count_by */
const volatile __u32 count_by = BY_CALL;
const volatile __u8 with_latency = 0;
const volatile __u8 with_task_storage = 0;
/* -x, -e: only failures; only those with this number. */
const volatile __u8 only_failed = 0;
const volatile __u16 only_errno = 0;
/* With -L: those that take less are not wanted. */
const volatile __u64 slower_ns = 0;

/* --syscall: only those of this number, of a 32-bit caller the second one; CALL_NONE: none of its. */
const volatile __s32 only_call = CALL_ANY;
const volatile __s32 only_call_32 = CALL_ANY;

/* Not what else the kernel has for itself. */
#define IS_ERROR(ret) ((ret) < 0 && (ret) > -ERESTARTSYS)

static __always_inline __u64 *stored_start(__u64 flags)
{
	return bpf_task_storage_get(&stored_starts, bpf_get_current_task_btf(), NULL, flags);
}

/* Where the beginning of the current thread's call is kept; NULL when there is no room, which is counted. */
static __always_inline __u64 *start_of_new(void)
{
	__u64 none = 0, *start;

	if (!with_task_storage)
		return in_flight_entry(&starts, thread_key(), &none);
	start = stored_start(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!start)
		count_lost(LOST_MAP_FULL);
	return start;
}

/* The same, if there is one. */
static __always_inline __u64 *start_of_call(void)
{
	return with_task_storage ? stored_start(0) : in_flight_find(&starts, thread_key());
}

SEC("tracepoint/raw_syscalls/sys_enter")
int on_enter(void *ctx)
{
	__u64 *start;

	if (!task_wanted())
		return 0;
	start = start_of_new();
	if (start)
		*start = bpf_ktime_get_boot_ns();
	return 0;
}

static __always_inline void count_quickly(__u32 slot, bool error)
{
	struct call_count *calls_of = bpf_map_lookup_elem(&calls, &slot);

	if (!calls_of)
		return;
	/* User space knows from these how many there were. */
	calls_of->count++;
	if (error)
		calls_of->errors++;
}

/* The entry of a call, which is a struct call_value with -L; errno: 0 if it did not fail. */
static __always_inline void *entry_of(__u32 slot, __u32 errno)
{
	struct time_key short_key = {.slot = slot, .cpu = bpf_get_smp_processor_id()};
	struct call_key key = {.cpu = short_key.cpu};

	if (count_by == BY_CALL)
		return table_entry(&time_table, &short_key, &no_times);
	fill_task_key(&key.task, NULL, count_by);
	if (count_by & BY_CALL)
		key.slot = slot;
	if (count_by & BY_ERRNO)
		key.errno = errno;
	if (with_latency)
		return table_entry(&call_time_table, &key, &no_times);
	return table_entry(&call_table, &key, &no_calls);
}

static __noinline int count_by_key(__u32 slot, __u32 errno)
{
	struct call_count *count;
	__u64 *start, ns = 0;

	if (with_latency) {
		start = start_of_call();
		/* It began before tracing did. */
		if (!start || !*start)
			return 0;
		ns = bpf_ktime_get_boot_ns() - *start;
		*start = 0;
		if (ns < slower_ns)
			return 0;
	}
	count = entry_of(slot, errno);
	if (!count)
		return 0;
	count->count++;
	if (errno)
		count->errors++;
	count_submitted_alone();
	if (with_latency) {
		struct call_value *value = (void *)count;

		value->total_ns += ns;
		*hist_add(&value->histogram, ns) += 1;
	}
	return 0;
}

static __always_inline bool call_wanted(long number, bool compat)
{
	long only = compat ? only_call_32 : only_call;

	return only == CALL_ANY || only == number;
}

SEC("tracepoint/raw_syscalls/sys_exit")
int on_exit(__u64 *ctx)
{
	long number = call_number(syscall_regs(ctx)), ret = call_returned(syscall_ret(ctx));
	bool compat;
	__u32 slot;

	if (only_failed && !IS_ERROR(ret))
		return 0;
	if (only_errno && ret != -(long)only_errno)
		return 0;
	/*
	 * Not a call that is known: rt_sigreturn, which has put back the registers of what the
	 * signal interrupted, or one that a tracer has taken out, or of number -1.
	 */
	if (number == -1 || !task_wanted())
		return 0;
	if (number < 0 || number > CALLS_UNKNOWN)
		number = CALLS_UNKNOWN;
	compat = is_compat_call();
	if (!call_wanted(number, compat))
		return 0;
	if (is_return_in_child(number, compat, ret))
		return 0;
	slot = compat ? number + CALLS_MAX : number;
	if (count_by == BY_CALL && !with_latency)
		count_quickly(slot, IS_ERROR(ret));
	else
		count_by_key(slot, IS_ERROR(ret) ? -ret : 0);
	return 0;
}

SEC("tracepoint/sched/sched_process_exit")
int on_thread_end(void *ctx)
{
	__u64 key = thread_key();

	bpf_map_delete_elem(&starts, &key);
	return 0;
}

/* A thread that execs has the number of its process's first thread from then on. */
SEC("tracepoint/sched/sched_process_exec")
int on_thread_exec(__u64 *ctx)
{
	__u64 key = thread_key(), old_key = pid_before_exec(ctx), begun, *start;

	if (key == old_key)
		return 0;
	start = in_flight_find(&starts, old_key);
	if (!start)
		return 0;
	begun = *start;
	bpf_map_delete_elem(&starts, &old_key);
	if (bpf_map_update_elem(&starts, &key, &begun, BPF_ANY))
		count_lost(LOST_MAP_FULL);
	return 0;
}
