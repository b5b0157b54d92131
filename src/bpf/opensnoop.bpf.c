// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* opensnoop: who opens which file. */
#include "ebtools.bpf.h"

#define TAIL_MAX (PATH_MAX + NAMES_LEN)

/* Tail: the name, and with COLLECT_BASE where it starts from. */
struct event {
	struct event_header header;
	__s32 ret; /* a file descriptor, or -errno */
	__u32 flags; /* O_...: those that the kernel takes */
	struct name path;
	__u32 flags_unreadable; /* nobody knows them, but that the call failed */
};

#include "event.bpf.h"
#include "name.bpf.h"

/* -x: only failures. */
const volatile __u8 only_failed = 0;
/* -f: only opens with one of these flags, or with an access mode whose bit is set here. */
const volatile __u32 flags_wanted = 0;
const volatile __u8 modes_wanted = 0;

static __always_inline bool are_flags_wanted(__u32 flags)
{
	if (!flags_wanted && !modes_wanted)
		return true;
	return flags & flags_wanted || modes_wanted & 1 << (flags & O_ACCMODE);
}

/* What an open was asked for. */
struct open_request {
	int dfd;
	__u32 flags;
	__u64 path;
	__u32 flags_unreadable;
	__u32 in_root; /* dfd stands for the root */
};

static __always_inline void fill_event(struct event *event, long ret,
				       const struct open_request *asked)
{
	event->ret = call_returned(ret);
	event->flags = asked->flags & ~O_LARGEFILE;
	event->flags_unreadable = asked->flags_unreadable;
}

/* False where the name is too long, or not all that is wanted. */
static __always_inline bool opened_shortly(long ret, const struct open_request *asked)
{
	struct short_record *record;
	long len;

	if (settings.prefix_len || settings.collect & COLLECT_BASE)
		return false;
	record = short_begin();
	if (!record)
		return false;
	len = read_user_string(record->tail, SHORT_TAIL, (void *)asked->path);
	if (len < 1 || len >= SHORT_TAIL) {
		short_drop(record);
		return false;
	}
	fill_event(&record->event, ret, asked);
	no_name(&record->event.path);
	record->event.path.len = len;
	short_submit(record);
	return true;
}

/* Not inline, so that what most opens run through stays short. */
static __noinline int opened_at_length(long ret, const struct open_request *asked)
{
	struct record *record = record_begin();
	__u64 at = 0;
	long len;

	if (!record)
		return 0;
	record->tail[0] = 0;
	len = read_user_string(record->tail, PATH_MAX, (void *)asked->path);
	if (!asked->in_root && !name_wanted(record)) {
		record_release(record);
		return 0;
	}
	fill_event(&record->event, ret, asked);
	fill_name_in(&record->event.path, record, &at, 0, asked->dfd, len, asked->in_root);
	if (at > TAIL_MAX)
		at = TAIL_MAX;
	record_submit(record, at);
	return 0;
}

/* is_alone: it is not preempted, and no other program runs on this CPU meanwhile. */
static __always_inline void opened(long ret, const struct open_request *asked, bool is_alone)
{
	if (!(asked->flags_unreadable || are_flags_wanted(asked->flags)) || !task_wanted())
		return;
	if (!settings.prefix_len && count_only())
		return;
	if (!is_alone || !opened_shortly(ret, asked))
		opened_at_length(ret, asked);
}

/* struct open_how of linux/openat2.h. */
struct how {
	__u64 flags;
	__u64 mode;
	__u64 resolve;
};

/*
 * First way: the kernel's function that all these calls go through, when it returns. Other system
 * calls know nothing of it. The name is resident because the kernel has just read it. openat2 may
 * fail before it gets there: on_openat2 sees that.
 */
SEC("fexit")
int BPF_PROG(on_open, int dfd, const char *path, void *how, long returned)
{
	int ret = returned; /* since Linux 6.18 it is an int, and the rest of the register is 0 */
	struct open_request asked = {.dfd = dfd, .path = (__u64)path};
	__u64 flags = 0;

	if ((only_failed && ret >= 0) || IS_OPENAT2(current_call_number()))
		return 0;
	bpf_probe_read_kernel(&flags, sizeof(flags), how);
	asked.flags = flags;
	opened(ret, &asked, false);
	return 0;
}

/* What do_sys_open() leaves of the flags. */
static __always_inline __u32 valid_flags(__u32 flags)
{
	return flags & O_PATH ? flags & O_PATH_FLAGS : flags & O_VALID;
}

/*
 * Not inline: what every system call runs through stays short. It returns what the compiler knows
 * nothing of, or there would be no result: then r0 is whatever was in it last, and verifiers before
 * Linux 5.15 refuse that if it is the address of the stack.
 */
static __noinline int call_ended(struct pt_regs *regs, long number, long ret, bool is_alone)
{
	bool compat = is_compat_call();
	struct open_request asked = {.dfd = AT_FDCWD};
	__u64 first = call_argument(regs, 0, compat), second = call_argument(regs, 1, compat);
	__u64 third = call_argument(regs, 2, compat), resolve = 0;
	struct how *how = (void *)third;
	int done = 0;

	if (IS_OPENAT2(number)) {
		asked.flags_unreadable =
			bpf_probe_read_user(&asked.flags, sizeof(asked.flags), &how->flags) != 0;
		bpf_probe_read_user(&resolve, sizeof(resolve), &how->resolve);
		asked.in_root = resolve & RESOLVE_IN_ROOT;
		asked.dfd = first;
		asked.path = second;
	} else if (IS_OPENAT(number, compat)) {
		asked.dfd = first;
		asked.path = second;
		asked.flags = valid_flags(third);
	} else if (IS_OPEN(number, compat)) {
		asked.path = first;
		asked.flags = valid_flags(second);
	} else if (IS_CREAT(number, compat)) {
		asked.path = first;
		asked.flags = O_CREAT_WRONLY_TRUNC;
	} else {
		goto out;
	}
	opened(ret, &asked, is_alone);
out:
	barrier_var(done);
	return done;
}

#define OPENAT2 437

/* openat2 itself, for 64-bit and for 32-bit callers; the same as in the second way. */
SEC("fexit")
int BPF_PROG(on_openat2, struct pt_regs *regs, long ret)
{
	return only_failed && ret >= 0 ? 0 : call_ended(regs, OPENAT2, ret, false);
}

SEC("fexit")
int BPF_PROG(on_openat2_32, struct pt_regs *regs, long ret)
{
	return only_failed && ret >= 0 ? 0 : call_ended(regs, OPENAT2, ret, false);
}

/*
 * The same by kretprobe.multi, since Linux 5.18, which is not preempted: tracepoint.bpf.h. The
 * arguments are gone there, but the saved registers still have them.
 */
SEC("kretprobe.multi")
int BPF_KRETPROBE(on_open_multi, int ret)
{
	long number = current_call_number();

	if ((only_failed && ret >= 0) || IS_OPENAT2(number))
		return 0;
	return call_ended(user_regs(), number, ret, true);
}

SEC("kretprobe.multi")
int BPF_KRETPROBE(on_openat2_multi, int ret)
{
	return only_failed && ret >= 0 ? 0 : call_ended(user_regs(), OPENAT2, ret, true);
}

/*
 * Second way: where all system calls end, 64-bit and 32-bit ones. The saved registers still have
 * the arguments.
 */
SEC("tracepoint/raw_syscalls/sys_exit")
int on_call_exit(__u64 *ctx)
{
	struct pt_regs *regs = syscall_regs(ctx);
	long number = call_number(regs), ret = syscall_ret(ctx);

	if (MAY_BE_OPEN(number) && (!only_failed || ret < 0))
		return call_ended(regs, number, ret, true);
	return 0;
}
