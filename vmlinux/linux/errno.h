/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What libbpf's usdt.bpf.h takes from the system's header: the same on all architectures. */
#ifndef EBTOOLS_LINUX_ERRNO_H
#define EBTOOLS_LINUX_ERRNO_H

#define ENOENT 2
#define ESRCH 3
#define E2BIG 7
#define EINVAL 22

#endif
