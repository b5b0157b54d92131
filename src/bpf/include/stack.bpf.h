/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stacks: the addresses of calls, the last one first. */
#ifndef EBTOOLS_STACK_H
#define EBTOOLS_STACK_H

#include "ebtools.bpf.h"

/* How many bytes of addresses there are; 0 when there is no stack, or none that can be read. */
static __always_inline __u64 read_stack(void *ctx, void *to, __u32 size, __u64 flags)
{
	__s64 len = bpf_get_stack(ctx, to, size, flags);

	return len < 0 || len > size ? 0 : len;
}

#endif
