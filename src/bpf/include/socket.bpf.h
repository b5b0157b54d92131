/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets of IP, and the system calls that are about them. */
#ifndef EBTOOLS_SOCKET_H
#define EBTOOLS_SOCKET_H

#include "ebtools.bpf.h"

#define AF_INET 2
#define AF_INET6 10

#define S_IFMT 0170000
#define S_IFSOCK 0140000

/*
 * Flavours with the members that are read: the kernel's own structs of the network name hundreds of
 * others, which would all have to be looked up.
 */
#define FLAVOUR __attribute__((preserve_access_index, packed))

struct net___part {
	struct ns_common ns;
} FLAVOUR;

struct sock_common___part {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	unsigned char skc_state;
	struct {
		struct net___part *net;
	} skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
	struct sock___part *skc_listener;
} FLAVOUR;

struct sock___part {
	struct sock_common___part __sk_common;
	__u16 sk_protocol;
	int sk_err;
	__u8 sk_shutdown;
	__u32 sk_max_ack_backlog;
} FLAVOUR;

struct socket___part {
	struct sock___part *sk;
} FLAVOUR;

/* NULL for a file that is no socket of IP. */
static __always_inline struct sock___part *sock_in(struct file *file)
{
	struct socket___part *socket;
	struct sock___part *sk;
	__u16 family;

	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	return family == AF_INET || family == AF_INET6 ? sk : NULL;
}

/* The same for a descriptor of the current task, or what it takes for one. */
static __always_inline struct sock___part *sock_of_fd(__u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = NULL;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file ? sock_in(file) : NULL;
}

/* What is done with a socket: linux/net.h. */
enum socket_call {
	SOCKET_OTHER = 0,
	SOCKET_CONNECT = 3,
	SOCKET_LISTEN = 4,
	SOCKET_ACCEPT = 5,
	SOCKET_ACCEPT4 = 18, /* in socketcall alone */
};

/* Which of them a system call is, of whatever caller; 32-bit callers have one call for all. */
static __always_inline enum socket_call socket_call_of(struct pt_regs *regs)
{
	bool compat = is_compat_call();
	long number = call_number(regs);

	if (IS_SOCKETCALL(number, compat)) {
		number = call_argument(regs, 0, compat);
		return number == SOCKET_ACCEPT4 ? SOCKET_ACCEPT : number;
	}
	return IS_ACCEPT(number, compat)    ? SOCKET_ACCEPT
	       : IS_CONNECT(number, compat) ? SOCKET_CONNECT
	       : IS_LISTEN(number, compat)  ? SOCKET_LISTEN
					    : SOCKET_OTHER;
}

/* Argument n of such a call, 0 to 2: socketcall has them in memory. */
static __always_inline __u64 socket_argument(struct pt_regs *regs, int n)
{
	bool compat = is_compat_call();
	__u32 argument = 0;

	if (!IS_SOCKETCALL(call_number(regs), compat))
		return call_argument(regs, n, compat);
	bpf_probe_read_user(&argument, sizeof(argument),
			    (__u32 *)call_argument(regs, 1, compat) + n);
	return argument;
}

#endif
