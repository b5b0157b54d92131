// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* execsnoop: programs that start, and with -x the attempts that failed. */
#include "ebtools.bpf.h"

#define ANCESTORS_MAX 32
#define ANCESTOR_LEN (4 + COMM_LEN)
/* Everything in the tail before the arguments. */
#define PLACES_LEN (2 * PATH_MAX + 2 * NAMES_LEN + ANCESTORS_MAX * ANCESTOR_LEN)
/* The least --max-args-bytes; user space makes the tail larger. */
#define ARGS_MAX PATH_MAX
#define TAIL_MAX (PLACES_LEN + ARGS_MAX)
/* Of a record that is made in the ring: the file and the arguments. */
#define SHORT_PATH 64
#define SHORT_ARGS 128
#define SHORT_TAIL (SHORT_PATH + SHORT_ARGS)
/* Arguments of a failed call that are looked at; at most as many as .unreadable has bits. */
#define FAILED_ARGS_MAX 64

/* Tail, each with the length that is given here, in this order. */
struct event {
	struct event_header header;
	__s32 ret; /* 0, or -errno */
	__u32 path_len; /* the file that was asked for, with a NUL; 0 when it was not readable */
	__u32 interp_len; /* what runs it, with a NUL; 0 for a program that needs nothing */
	__u32 exe_len; /* names of the executable: path.bpf.h */
	__u32 cwd_len; /* names of the working directory */
	__u32 ancestors; /* how many: __u32 pid and comm, from the parent up */
	__u32 exe_state; /* enum path_state */
	__u32 cwd_state; /* enum path_state */
	/*
	 * What the arguments have in all, each with its NUL, which may be more than the tail
	 * holds. For a failed call that was cut: ~0, nobody has counted them.
	 */
	__u32 args_bytes;
	__u32 reserved;
	__u64 process_start_ns; /* task.bpf.h */
	__u64 unreadable; /* bit n: argument n was not readable, and is empty in the tail */
};

#include "event.bpf.h"
#include "path.bpf.h"

/* From the parent up. A global function: event.bpf.h says why. */
__noinline int write_ancestors(__u32 slot, __u64 at)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct record *record = record_at(slot);
	int i;

	if (!record || at > PLACES_LEN - ANCESTORS_MAX * ANCESTOR_LEN)
		return 0;
	for (i = 0; i < ANCESTORS_MAX; i++) {
		struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);
		__u8 *to = record->tail + at + i * ANCESTOR_LEN;
		__u32 pid = BPF_CORE_READ(parent, tgid);

		if (!pid)
			break;
		bpf_probe_read_kernel(to, sizeof(pid), &pid);
		comm_of(to + sizeof(pid), parent);
		record->event.ancestors = i + 1;
		task = parent;
	}
	return 0;
}

static __always_inline void no_places(struct event *event)
{
	event->process_start_ns = CURRENT_READ(group_leader, start_boottime);
	event->exe_len = 0;
	event->cwd_len = 0;
	event->ancestors = 0;
	event->exe_state = PATH_NONE;
	event->cwd_state = PATH_NONE;
	event->reserved = 0;
	event->unreadable = 0;
}

/* What both ways have in common; the file and its interpreter are in the tail up to *at. */
static __always_inline void fill_places(struct record *record, struct file *exe, __u64 *at)
{
	struct event *event = &record->event;
	__u64 start = *at;

	no_places(event);
	if (settings.collect & COLLECT_EXE && exe)
		event->exe_state = names_of(place_of_file(exe), record, at);
	event->exe_len = *at - start;
	start = *at;
	if (settings.collect & COLLECT_CWD)
		event->cwd_state = names_of(working_directory(), record, at);
	event->cwd_len = *at - start;
	if (settings.collect & COLLECT_ANCESTRY) {
		write_ancestors(record->slot, *at);
		start = *(volatile __u32 *)&event->ancestors;
		*at += (start > ANCESTORS_MAX ? ANCESTORS_MAX : start) * ANCESTOR_LEN;
	}
}

/*
 * Threads that start a program which another one runs, like a script's: perf's tracepoint of the
 * exec does not tell. Those that fail after this go when their room is needed.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 16384);
} interpreted SEC(".maps");

/* Two strings that are compared, word by word. */
struct comparison {
	__u64 a, b;
	__u32 len;
	__u32 differs;
};

static long compare(__u64 word, struct comparison *strings)
{
	__u64 at = word * sizeof(__u64), a = 0, b = 0;
	__u32 size = strings->len - at;

	if (size > sizeof(a))
		size = sizeof(a);
	bpf_probe_read_kernel(&a, size, (void *)(strings->a + at));
	bpf_probe_read_kernel(&b, size, (void *)(strings->b + at));
	strings->differs = a != b;
	return strings->differs || at + sizeof(a) >= strings->len;
}

/*
 * Nothing can be lost of the new program after this; attached with perf's tracepoints only, and so on
 * kernels that have bpf_loop, by which the verifier looks at a word once.
 */
SEC("tracepoint/sched/sched_prepare_exec")
int on_prepare_exec(__u64 *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct comparison strings;
	__u8 differs = 1;

	if (!settings.perf_tracepoints)
		return 0;
	strings.a = number_of(STRING_AT(ctx, 0));
	strings.b = number_of(STRING_AT(ctx, 1));
	strings.len = STRING_LEN(ctx, 0);
	strings.differs = strings.len != STRING_LEN(ctx, 1);
	if (!strings.differs)
		bpf_loop(PATH_MAX / sizeof(__u64), compare, &strings, 0);
	if (!strings.differs) {
		bpf_map_delete_elem(&interpreted, &tid);
		return 0;
	}
	bpf_map_update_elem(&interpreted, &tid, &differs, BPF_ANY);
	return 0;
}

/* The file that was asked for, with a NUL: at most size bytes. */
static __always_inline long path_asked_for(__u64 *ctx, __u8 *to, __u32 size)
{
	struct linux_binprm *bprm;

	if (settings.perf_tracepoints)
		return bpf_probe_read_kernel_str(to, size, STRING_AT(ctx, 0));
	bprm = (struct linux_binprm *)ctx[2];
	return bpf_probe_read_kernel_str(to, size, bprm->filename);
}

/* Does another program run that file? */
static __always_inline bool is_interpreted(__u64 *ctx)
{
	struct linux_binprm *bprm;
	__u32 tid;

	if (settings.perf_tracepoints) {
		tid = pid_before_exec(ctx);
		return !bpf_map_delete_elem(&interpreted, &tid);
	}
	bprm = (struct linux_binprm *)ctx[2];
	return bprm->interp != bprm->filename;
}

/* What runs it, with a NUL. The kernel puts its name before the arguments. */
static __always_inline long interpreter(__u64 *ctx, __u8 *to, __u64 args)
{
	struct linux_binprm *bprm;

	if (settings.perf_tracepoints)
		return bpf_probe_read_user_str(to, PATH_MAX, (void *)args);
	bprm = (struct linux_binprm *)ctx[2];
	return bpf_probe_read_kernel_str(to, PATH_MAX, bprm->interp);
}

/* False where that is too long, or not all that is wanted. */
static __always_inline bool exec_shortly(__u64 *ctx, const struct arguments *args)
{
	struct short_record *record;
	struct event *event;
	__u64 len = args->len;
	long n;

	if (len > SHORT_ARGS || settings.collect & (COLLECT_EXE | COLLECT_CWD | COLLECT_ANCESTRY))
		return false;
	record = short_begin();
	if (!record)
		return false;
	n = path_asked_for(ctx, record->tail, SHORT_PATH);
	/* On the stack, kernels up to 6.1 forget what they know of it. */
	barrier_var(len);
	if (n < 1 || n >= SHORT_PATH || len > SHORT_ARGS ||
	    bpf_probe_read_user(record->tail + n, len, (void *)args->start)) {
		short_drop(record);
		return false;
	}
	event = &record->event;
	event->ret = 0;
	event->path_len = n;
	event->interp_len = 0;
	event->args_bytes = len;
	no_places(event);
	short_submit(record);
	return true;
}

/* Not inline, so that what most programs run through stays short. */
static __noinline int exec_at_length(__u64 *ctx, const struct arguments *args, bool interpreted)
{
	struct record *record = record_begin();
	struct event *event;
	__u64 len = args->len, at;
	long n;

	if (!record)
		return 0;
	event = &record->event;
	n = path_asked_for(ctx, record->tail, PATH_MAX);
	if (n < 1 || n > PATH_MAX) {
		record_drop(record, LOST_MEMORY_UNREADABLE);
		return 0;
	}
	event->path_len = at = n;
	n = interpreted ? interpreter(ctx, record->tail + at, args->start) : 0;
	if (n < 1 || n > PATH_MAX)
		n = 0;
	event->interp_len = n;
	at += n;
	fill_places(record, CURRENT_READ(mm, exe_file), &at);

	event->ret = 0;
	event->args_bytes = len;
	if (len > settings.max_tail)
		len = settings.max_tail;
	if (at > PLACES_LEN)
		at = PLACES_LEN;
	if (bpf_probe_read_user(record->tail + at, len, (void *)args->start))
		len = 0;
	record_submit(record, at + len);
	return 0;
}

/*
 * The new program is in place here, whatever call brought it: its arguments
 * are resident, in one piece, and they are what really runs.
 */
SEC("tracepoint/sched/sched_process_exec")
int on_exec(__u64 *ctx)
{
	struct arguments args;
	bool interpreted;

	if (!task_wanted() || count_only())
		return 0;
	args = current_arguments();
	interpreted = is_interpreted(ctx);
	if (!interpreted && exec_shortly(ctx, &args))
		return 0;
	return exec_at_length(ctx, &args, interpreted);
}

/*
 * Puts argument i of a failed call into the tail behind record->start + record->used; true if there
 * may be more. A global function: event.bpf.h says why.
 */
__noinline bool write_failed_argument(__u32 slot, __u64 argv, __u32 i, __u32 compat)
{
	struct record *record = record_at(slot);
	__u32 size = compat ? 4 : 8; /* of an address */
	__u64 address = 0, at, len;
	long n;

	if (!record)
		return false;
	if (bpf_probe_read_user(&address, size, (void *)(argv + size * i)))
		return false;
	at = *(volatile __u64 *)&record->start;
	len = *(volatile __u64 *)&record->used;
	if (!address) {
		record->event.args_bytes = len;
		return false;
	}
	if (at > PLACES_LEN || len > settings.max_tail - PATH_MAX)
		return false;
	n = read_user_string(record->tail + at + len, PATH_MAX, (void *)address);
	if (n < 1 || n > PATH_MAX) {
		record->event.unreadable |= 1ULL << (i & 63);
		record->tail[at + len] = 0;
		n = 1;
	}
	record->used = len + n;
	/* It has no NUL within PATH_MAX: cut. */
	return n < PATH_MAX;
}

__noinline int write_failed_arguments(__u32 slot, __u64 argv, __u32 compat)
{
	struct record *record = record_at(slot);
	int i;

	if (!record)
		return 0;
	/* Linux takes no list for an empty one. */
	record->event.args_bytes = argv ? ~0 : 0;
	record->used = 0;
	for (i = 0; i < FAILED_ARGS_MAX && argv; i++)
		if (!write_failed_argument(slot, argv, i, compat))
			break;
	return 0;
}

/* A call that failed left the caller's memory as it was: read the arguments from there. */
static __always_inline void failed(long ret, __u64 path, __u64 argv, bool compat)
{
	struct record *record;
	struct event *event;
	__u64 len, at;
	long n;

	if (!task_wanted() || count_only())
		return;
	record = record_begin();
	if (!record)
		return;
	event = &record->event;
	n = read_user_string(record->tail, PATH_MAX, (void *)path);
	if (n < 1 || n > PATH_MAX)
		n = 0;
	event->path_len = at = n;
	event->interp_len = 0;
	fill_places(record, NULL, &at);
	if (at > PLACES_LEN)
		at = PLACES_LEN;
	event->ret = call_returned(ret);
	record->start = at;
	write_failed_arguments(record->slot, argv, compat);
	len = *(volatile __u64 *)&record->used;
	if (len > settings.max_tail)
		len = settings.max_tail;
	record_submit(record, at + len);
}

/* -x: all system calls end here, 64-bit and 32-bit ones; a success is seen by on_exec. */
SEC("tracepoint/raw_syscalls/sys_exit")
int on_exec_failed(__u64 *ctx)
{
	long number, ret = syscall_ret(ctx);
	struct pt_regs *regs;
	bool compat;
	int first;

	if (ret >= 0)
		return 0;
	regs = syscall_regs(ctx);
	number = call_number(regs);
	compat = is_compat_call();
	if (IS_EXECVE(number, compat))
		first = 0;
	else if (IS_EXECVEAT(number, compat))
		first = 1; /* behind the directory */
	else
		return 0;
	failed(ret, call_argument(regs, first, compat), call_argument(regs, first + 1, compat),
	       compat);
	return 0;
}
