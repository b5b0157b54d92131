/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every tool shares with user space: the layout of settings, records and
 * accounts. shared.bpf.c makes the Rust types from it.
 *
 * Integers and arrays of __u8 only, every byte named, so that user space may
 * read any bytes as these types and no padding carries kernel memory out.
 */
#ifndef EBTOOLS_SHARED_H
#define EBTOOLS_SHARED_H

#include "vmlinux.h"

#define COMM_LEN 16 /* TASK_COMM_LEN: 15 bytes and a NUL */

/* What --count counts by. */
enum count_by {
	COUNT_OFF, /* no: a record for each event */
	COUNT_ALL,
	COUNT_COMM,
	COUNT_UID,
	COUNT_PID,
};

/* Set by user space before the load; the verifier drops code that they rule out. */
struct settings {
	__u32 tracer; /* its own pid, never reported */
	__u32 wake_shift; /* wake the reader when 1 << wake_shift more bytes are there */
	__u8 by_pid; /* only those in wanted_pids */
	__u8 by_uid; /* only those in wanted_uids */
	__u8 by_comm; /* only where comm contains these bytes of .comm; 0 is any */
	__u8 follow; /* only those in followed */
	__u8 count_by; /* enum count_by */
	__u8 reserved[3];
	__u8 comm[COMM_LEN];
};

/* The start of every record: the task that did it. */
struct event_header {
	__u64 time_ns; /* CLOCK_BOOTTIME */
	__u32 pid; /* what the kernel calls tgid */
	__u32 tid;
	__u32 ppid;
	__u32 uid;
	__u8 comm[COMM_LEN]; /* NUL-terminated; bytes after the NUL are 0 */
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
	__u64 lost[LOST_REASONS];
};

/* What --count counts: the name, or the number in the first four bytes. */
struct count_key {
	__u8 bytes[COMM_LEN];
};

#endif
