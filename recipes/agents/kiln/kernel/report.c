// SPDX-License-Identifier: GPL-2.0
/*
 * What is told: events, of which a flood is counted but not written down, and
 * the numbers of events and system calls.
 */
#include <linux/atomic.h>
#include <linux/dcache.h>
#include <linux/jiffies.h>
#include <linux/kiln_guard.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/ptrace.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "guard.h"

#define SLOTS		64	/* events that wait for process 1 */
#define BURST		16	/* events of one kind at once, and then one in every INTERVAL */
#define INTERVAL	HZ

DEFINE_PER_CPU(struct kiln_calls, kiln_calls);

static const char *const kind_words[KILN_KINDS] = {
	[KILN_EXEC] = "exec", [KILN_CODE] = "code", [KILN_LISTEN] = "listen", [KILN_CONNECT] = "connect",
	[KILN_SOCKET] = "socket", [KILN_PRIVILEGE] = "privilege", [KILN_PTRACE] = "ptrace",
	[KILN_SIGNAL] = "signal", [KILN_MOUNT] = "mount", [KILN_FILE] = "file", [KILN_POLICY] = "policy",
	[KILN_CALL] = "call", [KILN_ACCESS] = "access", [KILN_LIMIT] = "limit", [KILN_DEATH] = "death",
};
static const char *const verdict_words[KILN_VERDICTS] = { "allowed", "audited", "denied" };

static atomic64_t counts[KILN_KINDS][KILN_VERDICTS];

/* How much may be told of one kind. */
struct allowance {
	unsigned long refilled;	/* in jiffies */
	unsigned int spent;
	unsigned long kept;	/* counted but not told since the last one that was */
};

static DEFINE_SPINLOCK(lock);	/* of all that follows */
static struct allowance allowances[KILN_KINDS];
static struct {
	u16 size;
	char text[KILN_LINE];
} slots[SLOTS];
static unsigned int first, filled;
static u64 lost;

static DECLARE_WAIT_QUEUE_HEAD(readers);
static DEFINE_MUTEX(reading);

const char *kiln_kind_word(enum kiln_kind kind)
{
	return kind_words[kind];
}

void kiln_allowed(enum kiln_kind kind)
{
	atomic64_inc(&counts[kind][KILN_ALLOW]);
}

/* Whether one more may be told, or must be; then `kept` says how many were not. */
static bool may_tell(enum kiln_kind kind, bool must, unsigned long *kept)
{
	struct allowance *a = &allowances[kind];
	unsigned long flags, more;
	bool may;

	spin_lock_irqsave(&lock, flags);
	more = (jiffies - a->refilled) / INTERVAL;
	a->refilled += more * INTERVAL;
	a->spent -= min_t(unsigned long, a->spent, more);
	may = must || a->spent < BURST;
	*kept = a->kept;
	if (may) {
		a->spent++;
		a->kept = 0;
	} else {
		a->kept++;
	}
	spin_unlock_irqrestore(&lock, flags);
	return may;
}

/* Appends with the bytes that would end a field or a line written as \xNN. */
static size_t escape(char *to, size_t room, const char *from, char least)
{
	size_t used = 0;

	for (; *from && used + 5 <= room; from++) {
		unsigned char byte = *from;

		if (byte < least || byte == 0x7f || byte == '\\')
			used += scnprintf(to + used, room - used, "\\x%02x", byte);
		else
			to[used++] = byte;
	}
	return used;
}

static void keep(const char *line, size_t size)
{
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	if (filled == SLOTS) {
		lost++;
	} else {
		unsigned int at = (first + filled++) % SLOTS;

		memcpy(slots[at].text, line, size);
		slots[at].size = size;
	}
	spin_unlock_irqrestore(&lock, flags);
	wake_up_interruptible(&readers);
}

/* kind verdict pid uid ip kept comm what */
static void tell(enum kiln_kind kind, enum kiln_verdict verdict, unsigned long kept, const char *what)
{
	char line[KILN_LINE], comm[TASK_COMM_LEN];
	const size_t room = sizeof(line) - 1;
	size_t used;

	strscpy_pad(comm, current->comm);
	used = scnprintf(line, room, "%s %s %d %u %lx %lu ", kind_words[kind], verdict_words[verdict],
			 task_tgid_nr(current), from_kuid(&init_user_ns, current_uid()),
			 current->mm ? instruction_pointer(current_pt_regs()) : 0, kept);
	used += escape(line + used, room - used, comm, ' ' + 1);
	line[used++] = ' ';
	used += escape(line + used, room - used, what, ' ');
	line[used++] = '\n';
	keep(line, used);
}

/* The path from the real root; of one that is too long, the last name. */
static void append_path(char *what, size_t used, const struct path *path)
{
	char buffer[KILN_WHAT];
	const char *found = d_absolute_path(path, buffer, sizeof(buffer));

	if (!IS_ERR(found))
		strscpy(what + used, found, KILN_WHAT - used);
	else
		scnprintf(what + used, KILN_WHAT - used, "%pd", path->dentry);
}

static __printf(5, 0) void count_and_tell(enum kiln_kind kind, enum kiln_verdict verdict, bool must,
					  const struct path *path, const char *format, va_list arguments)
{
	unsigned long kept;
	char what[KILN_WHAT];
	size_t used;

	atomic64_inc(&counts[kind][verdict]);
	if (verdict == KILN_ALLOW || !may_tell(kind, must, &kept))
		return;
	used = vscnprintf(what, sizeof(what), format, arguments);
	if (path)
		append_path(what, used, path);
	tell(kind, verdict, kept, what);
}

int kiln_against(enum kiln_kind kind, const struct path *path, const char *format, ...)
{
	enum kiln_verdict verdict = kiln_policy.stance[kind];
	va_list arguments;

	va_start(arguments, format);
	count_and_tell(kind, verdict, false, path, format, arguments);
	va_end(arguments);
	if (verdict != KILN_DENY)
		return 0;
	kiln_set_told();
	return -EPERM;
}

void kiln_refused(enum kiln_kind kind, bool first, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	count_and_tell(kind, kiln_policy.stance[kind] == KILN_ALLOW ? KILN_ALLOW : KILN_DENY, first, NULL, format,
		       arguments);
	va_end(arguments);
}

static bool is_filled(void)
{
	return READ_ONCE(filled) != 0;
}

/* Takes the oldest event out; its size, 0 if there is none or it has no room. */
static size_t take(char *line, size_t room)
{
	size_t size = 0;

	spin_lock_irq(&lock);
	if (filled && slots[first].size <= room) {
		size = slots[first].size;
		memcpy(line, slots[first].text, size);
		first = (first + 1) % SLOTS;
		filled--;
	}
	spin_unlock_irq(&lock);
	return size;
}

/* As many whole lines as there is room for. */
ssize_t kiln_events_read(struct file *file, char __user *to, size_t size)
{
	char line[KILN_LINE];
	size_t done = 0, one;

	if (size < sizeof(line))
		return -EINVAL;
	if (file->f_flags & O_NONBLOCK) {
		if (!is_filled())
			return -EAGAIN;
	} else if (wait_event_interruptible(readers, is_filled())) {
		return -ERESTARTSYS;
	}
	mutex_lock(&reading);
	while ((one = take(line, min(size - done, sizeof(line)))) > 0) {
		if (copy_to_user(to + done, line, one)) {
			mutex_unlock(&reading);
			return done ? done : -EFAULT;
		}
		done += one;
	}
	mutex_unlock(&reading);
	return done;
}

__poll_t kiln_events_poll(struct file *file, struct poll_table_struct *table)
{
	poll_wait(file, &readers, table);
	return is_filled() ? EPOLLIN | EPOLLRDNORM : 0;
}

static void show_calls(struct seq_file *seq)
{
	unsigned int nr;
	int cpu;

	for (nr = 0; nr < NR_syscalls; nr++) {
		unsigned long made = 0, failed = 0;

		for_each_possible_cpu(cpu) {
			made += per_cpu(kiln_calls, cpu).made[nr];
			failed += per_cpu(kiln_calls, cpu).failed[nr];
		}
		if (made)
			seq_printf(seq, "call %u %lu %lu\n", nr, made, failed);
	}
}

/* Of system calls that were never made there is no line; of events there are all, as their growth from zero counts. */
int kiln_counts_show(struct seq_file *seq, void *unused)
{
	unsigned int kind, verdict;

	seq_printf(seq, "sealed %u\nlost %llu\n", READ_ONCE(kiln_policy.sealed), READ_ONCE(lost));
	for (kind = 0; kind < KILN_KINDS; kind++)
		for (verdict = 0; verdict < KILN_VERDICTS; verdict++)
			seq_printf(seq, "event %s %s %lld\n", kind_words[kind], verdict_words[verdict],
				   atomic64_read(&counts[kind][verdict]));
	show_calls(seq);
	return 0;
}
