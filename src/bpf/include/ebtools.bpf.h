/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every tool starts from: kernel types, helpers, settings, accounts, licence. */
#ifndef EBTOOLS_H
#define EBTOOLS_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "shared.bpf.h"
#include "kernel.bpf.h"

/* What the names of a path may take in a tail: path.bpf.h. */
#define NAMES_LEN 4096

/* The kernel lets helpers like bpf_probe_read_user to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* A section of its own, so that user space finds it whatever other constants a tool has. */
const volatile struct settings settings SEC(".rodata.settings") = {};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct counters);
	__uint(max_entries, 1);
} counters SEC(".maps");

static __always_inline void count_all_submitted(__u64 events)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	if (c)
		__sync_fetch_and_add(&c->submitted, events);
}

static __always_inline void count_submitted(void)
{
	count_all_submitted(1);
}

/* The same, where what counts runs once at a time on a CPU: an atomic addition costs more. */
static __always_inline void count_submitted_alone(void)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	if (c)
		c->submitted++;
}

/* step: 1 when a call begins, -1 when it ends. */
static __always_inline void count_call(__s64 step)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	if (c)
		__sync_fetch_and_add(&c->calls, step);
}

static __always_inline void count_followed(void)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	if (c)
		__sync_fetch_and_add(&c->followed, 1);
}

static __always_inline void count_hidden(void)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	if (c)
		__sync_fetch_and_add(&c->hidden, 1);
}

static __always_inline void count_all_lost(enum lost_reason reason, __u64 events)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	if (c)
		__sync_fetch_and_add(&c->lost[reason], events);
}

static __always_inline void count_lost(enum lost_reason reason)
{
	count_all_lost(reason, 1);
}

#endif
