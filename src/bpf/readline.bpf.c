// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* readline: what is typed into bash. */
#include "ebtools.bpf.h"
#include "uprobe.bpf.h"

/* The longest line that is shown whole, with its NUL. */
#define TAIL_MAX 65536

/* Tail: the line. */
struct event {
	struct event_header header;
	__u32 cut; /* the line is longer than its tail */
	__u32 eof; /* there was no line: the end of the input, Ctrl-D */
};

#include "event.bpf.h"

/* readline returns the line, or NULL at the end of the input. */
SEC("uretprobe")
int BPF_KRETPROBE(on_readline, const char *line)
{
	struct record *record;
	long len = 1;

	ON_OWN_STACK(ctx);
	if (!task_wanted() || count_only())
		return 0;
	record = record_begin();
	if (!record)
		return 0;
	if (line)
		len = read_user_string(record->tail, TAIL_MAX, line);
	if (len < 1 || len > TAIL_MAX) {
		record_drop(record, LOST_MEMORY_UNREADABLE);
		return 0;
	}
	record->event.cut = len == TAIL_MAX;
	record->event.eof = !line;
	record_submit(record, len - 1);
	return 0;
}
