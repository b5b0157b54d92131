/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Signals: who or what sends one, where the kernel does it. */
#ifndef EBTOOLS_SIGNAL_H
#define EBTOOLS_SIGNAL_H

#include "task.bpf.h"

/* Who or what. */
enum by {
	BY_NOBODY, /* nothing has sent one, or it was not seen */
	BY_ITSELF,
	BY_PROCESS,
	BY_FAULT, /* of its own: what it did is not possible */
	BY_FAULT_SOMEWHERE, /* the same, and the processor does not say where */
	BY_SECCOMP, /* a system call that it may not make */
	BY_OOM, /* known later: the signal is sent first */
	BY_NAMESPACE, /* the first process of its PID namespace has ended */
	BY_CHILD, /* it has ended, stopped or gone on */
	BY_TIMER,
	BY_KERNEL,
};

/* Calls that send signals. From CALL_SIGQUEUE on, the caller says what the signal is. */
enum signal_call {
	CALL_NONE,
	CALL_KILL,
	CALL_TKILL,
	CALL_TGKILL,
	CALL_SIGQUEUE,
	CALL_TGSIGQUEUE,
	CALL_PIDFD,
};

static __always_inline enum signal_call signal_call(long number, bool compat)
{
	if (IS_PIDFD_SEND_SIGNAL(number))
		return CALL_PIDFD;
	return IS_KILL(number, compat)	       ? CALL_KILL
	       : IS_TKILL(number, compat)      ? CALL_TKILL
	       : IS_TGKILL(number, compat)     ? CALL_TGKILL
	       : IS_SIGQUEUE(number, compat)   ? CALL_SIGQUEUE
	       : IS_TGSIGQUEUE(number, compat) ? CALL_TGSIGQUEUE
					       : CALL_NONE;
}

struct origin {
	__u64 fault_address;
	__u32 by; /* enum by */
	__u32 call; /* enum signal_call: what it was asked for by, if it was */
	__s32 code; /* si_code, as who gets it sees it */
	__u32 reserved;
};

/* asm-generic/signal.h, asm-generic/siginfo.h. */
#define SIGILL 4
#define SIGTRAP 5
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGSEGV 11
#define SIGALRM 14
#define SIGCHLD 17
#define SIGVTALRM 26
#define SIGPROF 27
#define SIGSYS 31
#define SIGNALS_MAX 64
/* Of signals below SIGNALS_MAX. */
#define BIT_OF(signal) (1ULL << (signal))
#define FAULTS                                                                                     \
	(BIT_OF(SIGILL) | BIT_OF(SIGTRAP) | BIT_OF(SIGBUS) | BIT_OF(SIGFPE) | BIT_OF(SIGSEGV))
#define TIMERS (BIT_OF(SIGALRM) | BIT_OF(SIGVTALRM) | BIT_OF(SIGPROF))
#define IS_OF(signal, set) ((signal) < SIGNALS_MAX && BIT_OF(signal) & (set))
#define SI_USER 0
#define SI_TIMER -2
#define SI_MESGQ -3
#define SI_TKILL -6
#define SI_KERNEL 0x80
#define CLD_CONTINUED 6
/* What stands for the address of a struct kernel_siginfo: linux/sched/signal.h. */
#define SEND_SIG_NOINFO 0
#define SEND_SIG_PRIV 1
#define PF_EXITING 4
/* trace/events/signal.h. */
enum sent {
	SENT,
	SENT_IGNORED,
	SENT_PENDING,
	SENT_NO_ROOM,
	SENT_WITHOUT_INFO,
};

/* The kernel itself has sent it, while the current task did something. */
static __always_inline enum by by_kernel(__u32 signal)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (IS_OF(signal, TIMERS))
		return BY_TIMER;
	if (signal == SIGKILL && BPF_CORE_READ(task, flags) & PF_EXITING &&
	    pid_in_own_namespace(task) == 1)
		return BY_NAMESPACE;
	return BY_KERNEL;
}

/* The same, with a struct kernel_siginfo that no call has made. */
static __always_inline enum by by_code(__u32 signal, int code)
{
	if (code == SI_TIMER)
		return BY_TIMER;
	if (signal == SIGCHLD && code > 0 && code <= CLD_CONTINUED)
		return BY_CHILD;
	if (code <= 0 || !IS_OF(signal, FAULTS))
		return BY_KERNEL;
	return code == SI_KERNEL ? BY_FAULT_SOMEWHERE : BY_FAULT;
}

/* The call that the current task is in, if it is one for signals. */
static __always_inline enum signal_call current_signal_call(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return CALL_NONE;
	return signal_call(current_call_number(), is_compat_call());
}

/* info: the address of a struct kernel_siginfo, or what stands for one. */
static __always_inline void fill_origin(struct origin *origin, __u32 signal, __u64 info,
					struct task_struct *to)
{
	struct kernel_siginfo *siginfo = (void *)info;
	bool is_own = BPF_CORE_READ(to, tgid) == bpf_get_current_pid_tgid() >> 32;

	*origin = (struct origin){.by = is_own ? BY_ITSELF : BY_PROCESS};
	if (info == SEND_SIG_NOINFO) {
		/* kill has none in Linux 7.3. */
		origin->call = current_signal_call();
		return;
	}
	if (info == SEND_SIG_PRIV) {
		origin->code = SI_KERNEL;
		origin->by = by_kernel(signal);
		return;
	}
	origin->code = BPF_CORE_READ(siginfo, si_code);
	if (origin->code == SI_MESGQ)
		return;
	if (origin->code > 0 && signal == SIGSYS) {
		origin->by = BY_SECCOMP;
		return;
	}
	origin->call = current_signal_call();
	/* The later ones have codes of their own, whatever their callers write there. */
	if (origin->code == SI_USER || origin->code == SI_TKILL || origin->call >= CALL_SIGQUEUE)
		return;
	origin->call = CALL_NONE;
	origin->by = by_code(signal, origin->code);
	if (origin->by == BY_FAULT)
		origin->fault_address = (__u64)BPF_CORE_READ(siginfo, _sifields._sigfault._addr);
}

#endif
