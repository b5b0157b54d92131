/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every tool shares with user space: the layout of settings, records and
 * accounts. shared.bpf.c makes the Rust types from it.
 *
 * Integers and arrays of __u8 only, every byte named, so that user space may
 * read any bytes as these types and no padding carries kernel memory out: the
 * compiler refuses padding (-Wpadded).
 */
#ifndef EBTOOLS_SHARED_H
#define EBTOOLS_SHARED_H

#include "vmlinux.h"

#define COMM_LEN 16 /* TASK_COMM_LEN: 15 bytes and a NUL */

#define PREFIX_MAX 128

/* How many there may be. */
enum limit {
	CGROUPS_MAX = 64, /* in wanted_cgroups */
	SCRATCH_SLOTS = 2, /* of scratch memory, for each CPU: event.bpf.h */
};

/* What of the task the kernel counts by. Of settings.count_by 0 is a record for each event. */
enum count_by {
	COUNT_ON = 1 << 0,
	COUNT_COMM = 1 << 1,
	COUNT_UID = 1 << 2,
	COUNT_PID = 1 << 3,
	COUNT_CGROUP = 1 << 4,
	COUNT_PROCESS_COMM = 1 << 5, /* its process's name, where its own is not counted by */
};

/* Whose descendants are wanted. */
enum follow {
	FOLLOW_NOBODY,
	FOLLOW_COMMAND, /* the process that the tracer starts */
	FOLLOW_PIDS, /* those in wanted_pids */
};

/* How a path turned out. */
enum path_state {
	PATH_NONE, /* there is none, or it was not asked for */
	PATH_WHOLE, /* up to the root */
	PATH_CUT, /* the upper part is missing */
	PATH_DELETED, /* up to the root, but nobody can get there any more */
	PATH_CONFINED, /* up to the root, of a process that has another root: COLLECT_ROOT */
};

/* What is collected only when it is shown: bits of settings.collect. */
enum collect {
	COLLECT_CGROUP = 1 << 0, /* header.cgroup_id */
	COLLECT_NS_PID = 1 << 1, /* header.ns_pid */
	COLLECT_PARENT = 1 << 2, /* header.parent_comm */
	COLLECT_CWD = 1 << 3,
	COLLECT_EXE = 1 << 4,
	COLLECT_ANCESTRY = 1 << 5,
	COLLECT_PPID = 1 << 6, /* header.ppid */
	COLLECT_BASE = 1 << 7, /* name.base_len: where a name starts from */
	COLLECT_UID = 1 << 8, /* header.uid */
	COLLECT_ROOT = 1 << 9, /* whether the process has a root of its own */
	COLLECT_STACK = 1 << 10, /* of the kernel */
};

/* Set by user space before the load; the verifier drops code that they rule out. */
struct settings {
	__u8 wake_shift; /* wake the reader for each 1 << wake_shift bytes */
	__u8 has_filters; /* any of by_... and follow: one look, where most often there is none */
	__u8 reserved[2];
	__u8 by_pid; /* only those in wanted_pids */
	__u8 by_uid; /* only those in wanted_uids */
	__u8 by_comm; /* only where comm contains these bytes of .comm; 0 is any */
	__u8 by_cgroup; /* only those in or below one of wanted_cgroups; how many there are */
	__u8 follow; /* enum follow */
	__u8 count_by; /* enum count_by */
	__u8 perf_tracepoints; /* programs of tracepoints are perf's: tracepoint.bpf.h */
	__u8 by_tid; /* only those in wanted_tids */
	__u32 collect; /* enum collect */
	__u32 max_tail; /* the most of what has no limit of its own, like arguments */
	/* A path that does not begin with this is not wanted: --path up to its first wildcard. */
	__u32 prefix_len;
	/* The tracer's PID namespace, where that is not the host's: -p means its numbers. */
	__u64 pidns_dev;
	__u64 pidns_ino;
	__u8 comm[COMM_LEN];
	__u8 prefix[PREFIX_MAX];
};

/* The start of every record: the task that did it. */
struct event_header {
	__u64 time_ns; /* CLOCK_BOOTTIME */
	__u32 pid; /* what the kernel calls tgid */
	__u32 tid;
	__u32 ppid; /* 0 when not collected */
	__u32 uid; /* 0 when not collected */
	__u64 cgroup_id; /* of cgroup v2; 0 when not collected */
	__u32 ns_pid; /* pid in the task's own PID namespace; 0 when not collected */
	__u32 reserved;
	__u8 comm[COMM_LEN]; /* NUL-terminated; bytes after the NUL are 0 */
	__u8 parent_comm[COMM_LEN]; /* of the parent's leader; all 0 when not collected */
};

/* A file name in a tail, as the caller gave it, and behind it where it starts from. */
struct name {
	__u32 len; /* with its NUL; 0 when it was not readable */
	__u32 base_len; /* names of the directory: path.bpf.h; of the root for an absolute name */
	__u32 base_state; /* enum path_state */
};

/* Why an event could not be delivered. The names are shown to users in lower case. */
enum lost_reason {
	LOST_RING_FULL, /* the reader was too slow for the ring's size */
	LOST_MAP_FULL, /* a table of counts, calls or processes was full */
	LOST_SCRATCH_BUSY, /* events nested deeper than the scratch memory */
	LOST_MEMORY_UNREADABLE, /* the string was not readable */
	LOST_RETURN_MISSED, /* the kernel skipped the probe on the call's return */
	LOST_REASONS,
};

/* One CPU's accounts. */
struct counters {
	__u64 submitted; /* records in the ring, or counted by --count */
	__u64 calls; /* that have begun and not ended; of all CPUs together, modulo 2^64 */
	__u64 lost[LOST_REASONS];
	__u64 followed; /* processes, by --follow or from a command on */
	__u64 hidden; /* events that are shown to those who ask for them */
};

/* What counts have in common of the task; 0 where they are not counted by it. */
struct task_key {
	__u64 cgroup_id;
	__u32 pid;
	__u32 uid;
	__u8 comm[COMM_LEN];
};

/* What counted events have in common. */
struct count_key {
	struct task_key task;
	__u32 kind; /* what the tool tells apart; 0 where it does not */
	__u32 reserved;
};

/* What packets are counted by besides their protocol: bits. */
enum packets_by {
	PACKETS_BY_SRC = 1 << 0,
	PACKETS_BY_DST = 1 << 1,
	PACKETS_BY_PORT = 1 << 2,
};

enum ip_protocol {
	PROTOCOL_CUT = 255, /* reserved: the header of IP is cut off */
};

enum echo {
	ECHO_NONE,
	ECHO_ASKS,
	ECHO_ANSWERS,
};

/* What is done with a packet that a rule is about: bits. */
enum rule {
	RULE_DROP = 1 << 0,
	RULE_ONLY = 1 << 1, /* others pass, and are not counted */
};

/* A network: its first byte tells IPv4 (4) from IPv6 (6), the address follows. */
struct network {
	__u32 bits; /* 8 more than the network's own */
	__u8 family;
	__u8 address[16];
	__u8 reserved[3];
};

/*
 * Of tools that see packets, as struct settings: rules that are no network and no port, in bits of enum
 * rule where nothing else is said.
 */
struct packet_settings {
	__u64 protocols[4]; /* of IP, a bit each: those with RULE_DROP */
	__u64 only_protocols[4]; /* those with RULE_ONLY */
	__u8 arp;
	__u8 echo;
	__u8 echo6;
	__u8 with_src; /* there are such rules: 0 or 1 */
	__u8 with_dst;
	__u8 with_ports;
	__u8 with_only;
	__u8 by; /* bits of enum packets_by */
};

/* What packets are counted by. */
struct packet_key {
	__u8 src[16]; /* an IPv4 address is in the first four */
	__u8 dst[16];
	__u16 ethertype; /* host order; 0: shorter than an Ethernet header */
	__u16 port;
	__u8 protocol; /* of IP */
	__u8 echo; /* enum echo */
	__u8 action; /* the tool's */
	__u8 reserved;
	__u32 cpu; /* so that no two CPUs write to the same memory */
};

/* The same, and whose. */
struct owned_key {
	struct packet_key packet;
	__u32 reserved;
	struct task_key task;
};

struct packet_value {
	__u64 packets;
	__u64 bytes;
};

#endif
