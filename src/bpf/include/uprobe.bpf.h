/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs of uprobes have to mind. */
#ifndef EBTOOLS_UPROBE_H
#define EBTOOLS_UPROBE_H

#include "ebtools.bpf.h"

const volatile __u8 makes_tail_calls = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} no_programs SEC(".maps");

/*
 * First in every program of a uprobe. Since Linux 6.13 programs of this type that take 64 bytes of
 * stack or more have one of their own on each CPU, though they may be preempted there and entered by
 * another task: then two write to one stack. The verifier gives none to a program that has a tail
 * call; this one is never made.
 */
#define ON_OWN_STACK(ctx)                                                                          \
	do {                                                                                       \
		if (makes_tail_calls)                                                              \
			bpf_tail_call(ctx, &no_programs, 0);                                       \
	} while (0)

#endif
