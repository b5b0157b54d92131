/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's types for the architecture that is compiled for; see README.md. */
#if defined(__TARGET_ARCH_x86)
#include "x86_64.h"
#elif defined(__TARGET_ARCH_arm64)
#include "aarch64.h"
#else
#error "no kernel types for this architecture: see vmlinux/README.md"
#endif
