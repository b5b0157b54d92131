// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* opensnoop: who opens which file. */
#include "ebtools.bpf.h"

#define TAIL_MAX (PATH_MAX + NAMES_LEN)

/* Tail: the name, and with COLLECT_BASE where it starts from. */
struct event {
	struct event_header header;
	__s32 ret; /* a file descriptor, or -errno */
	__u32 flags; /* as given: O_... */
	struct name path;
	__u32 reserved;
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

static __always_inline void opened(long ret, int dfd, __u64 path, __u32 flags)
{
	struct record *record;
	__u64 at = 0;
	long len;

	if (!are_flags_wanted(flags) || !task_wanted())
		return;
	if (!settings.prefix_len && count_only())
		return;
	record = record_begin();
	if (!record)
		return;
	record->tail[0] = 0;
	len = bpf_probe_read_user_str(record->tail, PATH_MAX, (void *)path);
	if (!name_wanted(record)) {
		record_release(record);
		return;
	}
	record->event.ret = ret;
	record->event.flags = flags & ~O_LARGEFILE;
	record->event.reserved = 0;
	fill_name(&record->event.path, record, &at, 0, dfd, len);
	if (at > TAIL_MAX)
		at = TAIL_MAX;
	record_submit(record, at);
}

/*
 * First way: the kernel's function that all these calls go through, when it returns. Other system
 * calls know nothing of it. The name is resident because the kernel has just read it.
 */
SEC("fexit")
int BPF_PROG(on_open, int dfd, const char *path, void *how, long returned)
{
	int ret = returned; /* since Linux 6.18 it is an int, and the rest of the register is 0 */
	__u64 flags = 0; /* the first member of struct open_how in linux/openat2.h */

	if (only_failed && ret >= 0)
		return 0;
	bpf_probe_read_kernel(&flags, sizeof(flags), how);
	opened(ret, dfd, (__u64)path, flags);
	return 0;
}

/*
 * Not inline: what every system call runs through stays short. It returns what the compiler knows
 * nothing of, or there would be no result: then r0 is whatever was in it last, and verifiers before
 * Linux 5.15 refuse that if it is the address of the stack.
 */
static __noinline int call_ended(struct pt_regs *regs, long number, long ret)
{
	bool compat = is_compat_call();
	int done = 0;
	int dfd = AT_FDCWD;
	__u64 path, how;
	__u32 flags = 0;

	if (IS_OPENAT(number, compat) || IS_OPENAT2(number)) {
		dfd = call_argument(regs, 0, compat);
		path = call_argument(regs, 1, compat);
		flags = how = call_argument(regs, 2, compat);
		if (IS_OPENAT2(number))
			bpf_probe_read_user(&flags, sizeof(flags), (void *)how);
	} else if (IS_OPEN(number, compat)) {
		path = call_argument(regs, 0, compat);
		flags = call_argument(regs, 1, compat);
	} else if (IS_CREAT(number, compat)) {
		path = call_argument(regs, 0, compat);
		flags = O_CREAT_WRONLY_TRUNC;
	} else {
		goto out;
	}
	opened(ret, dfd, path, flags);
out:
	barrier_var(done);
	return done;
}

/*
 * Second way: where all system calls end, 64-bit and 32-bit ones. The saved registers still have
 * the arguments.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_call_exit, struct pt_regs *regs, long ret)
{
	long number = call_number(regs);

	if (MAY_BE_OPEN(number) && (!only_failed || ret < 0))
		return call_ended(regs, number, ret);
	return 0;
}
