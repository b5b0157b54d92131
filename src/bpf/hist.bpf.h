/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Histograms without a ceiling: four slots for each power of two, so that a value is known to an
 * eighth. src/hist.rs reads them.
 */
#ifndef EBTOOLS_HIST_H
#define EBTOOLS_HIST_H

#include "vmlinux.h"

#define HIST_SLOTS 256 /* of which 252 are used: 64 bits */

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

/* 0 to 3 have slots of their own. */
static __always_inline __u32 hist_slot(__u64 value)
{
	__u32 slot = value;

	if (value >= 4) {
		__u32 log = log2_of(value);

		slot = (log - 1) * 4 + (value >> (log - 2) & 3);
	}
	/* Last, and nothing the compiler may leave out: old verifiers know no other limit. */
	asm volatile("%0 &= %1" : "+r"(slot) : "i"(HIST_SLOTS - 1));
	return slot;
}

#endif
