/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Histograms of any 64-bit values: a slot for each small one, then eight for each power of two, each
 * 9 % wide, so that a value in the middle of one is at most 5 % off. src/hist.rs reads them.
 */
#ifndef EBTOOLS_HIST_H
#define EBTOOLS_HIST_H

#include "vmlinux.h"

#define HIST_SMALL 32 /* these have slots of their own */
#define HIST_SLOTS 512 /* of which 504 are used */

struct histogram {
	__u64 min, max;
	__u32 slots[HIST_SLOTS];
};

#define NO_HISTOGRAM {.min = ~0ULL}

/*
 * Which of its power of two's slots a value is in, by the eight bits behind its highest one: each
 * slot begins at 2^(1/8) of the one before.
 */
static const __u8 hist_parts[256] = {
	[0 ... 22] = 0,	   [23 ... 47] = 1,   [48 ... 75] = 2,	 [76 ... 105] = 3,
	[106 ... 138] = 4, [139 ... 174] = 5, [175 ... 213] = 6, [214 ... 255] = 7,
};

static __always_inline __u32 log2_of(__u64 value)
{
	__u32 log = 0;

	if (value >> 32) {
		log += 32;
		value >>= 32;
	}
	if (value >> 16) {
		log += 16;
		value >>= 16;
	}
	if (value >> 8) {
		log += 8;
		value >>= 8;
	}
	if (value >> 4) {
		log += 4;
		value >>= 4;
	}
	if (value >> 2) {
		log += 2;
		value >>= 2;
	}
	return log + (value >> 1);
}

static __always_inline __u32 hist_slot(__u64 value)
{
	__u32 slot = value;

	if (value >= HIST_SMALL) {
		__u32 log = log2_of(value);
		__u64 bits = log > 8 ? value >> (log - 8) : value << (8 - log);

		slot = (log - 1) * 8 + hist_parts[bits & 255];
	}
	/* Last, and nothing the compiler may leave out: old verifiers know no other limit. */
	asm volatile("%0 &= %1" : "+r"(slot) : "i"(HIST_SLOTS - 1));
	return slot;
}

/* The caller adds to the value's slot, by an atomic addition if it must. */
static __always_inline __u32 *hist_add(struct histogram *histogram, __u64 value)
{
	if (value < histogram->min)
		histogram->min = value;
	if (value > histogram->max)
		histogram->max = value;
	return &histogram->slots[hist_slot(value)];
}

#endif
