/* SPDX-License-Identifier: GPL-2.0 */
/* Kiln's guard: a policy that process 1 seals, and what it says about the rest of the machine. */
#ifndef _SECURITY_KILN_GUARD_H
#define _SECURITY_KILN_GUARD_H

#include <linux/fs.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/lsm_hooks.h>
#include <linux/sched.h>

#define KILN_LIST	64	/* entries of each list of the policy */
#define KILN_LINE	256	/* bytes of the longest event */
#define KILN_WHAT	160	/* of its last field */

/* What is watched. The words are in report.c. */
enum kiln_kind {
	KILN_EXEC,	/* a program is started */
	KILN_CODE,	/* memory becomes executable that was or may be written */
	KILN_LISTEN,	/* a port is served */
	KILN_CONNECT,	/* a peer is connected or sent to */
	KILN_SOCKET,	/* a socket of an unusual kind is made */
	KILN_PRIVILEGE,	/* privileges are asked for */
	KILN_PTRACE,	/* another process is looked into */
	KILN_SIGNAL,	/* process 1 is sent a signal */
	KILN_MOUNT,	/* file systems are rearranged */
	KILN_FILE,	/* memory, disks or settings of the kernel are opened */
	KILN_POLICY,	/* somebody else wants this policy's file */
	KILN_CALL,	/* a system call is made that the kernel has for process 1 */
	KILN_ACCESS,	/* the kernel itself refuses a call: a permission is missing */
	KILN_LIMIT,	/* the kernel itself refuses a call: a limit is reached */
	KILN_DEATH,	/* a fault ends a process */
	KILN_KINDS
};

/* What is done about it, and what has been done. */
enum kiln_verdict { KILN_ALLOW, KILN_AUDIT, KILN_DENY, KILN_VERDICTS };

struct kiln_program {
	dev_t device;
	unsigned long inode;
	u32 generation;
};

struct kiln_port {
	u16 port;
	bool udp;
};

struct kiln_peer {
	struct in6_addr address;	/* IPv4 is mapped; unspecified: any */
	u16 port;			/* 0: any */
};

/* Written before it is sealed, by process 1 alone, and never again. */
struct kiln_policy {
	bool sealed;
	u8 stance[KILN_KINDS];		/* enum kiln_verdict */
	unsigned int programs, ports, peers;
	struct kiln_program program[KILN_LIST];
	struct kiln_port port[KILN_LIST];
	struct kiln_peer peer[KILN_LIST];
	const struct mm_struct *agent;	/* who has this memory is process 1, or its child that has not started a program */
	const struct super_block *root;
	struct timespec64 sealed_at;
};

extern struct kiln_policy kiln_policy;
extern const struct lsm_id kiln_lsmid;

/* Before the policy is sealed everybody is; afterwards process 1 and the kernel itself. */
static inline bool kiln_is_exempt(void)
{
	return !smp_load_acquire(&kiln_policy.sealed) || (current->flags & PF_KTHREAD) ||
	       (current->mm && current->mm == kiln_policy.agent);
}

/* hooks.c: whether this task was denied something since it was last asked. */
void kiln_set_told(void);
bool kiln_take_told(void);

/* policy.c */
int kiln_policy_line(char *line);
bool kiln_is_program(const struct inode *inode);
void kiln_mark_changed(struct inode *inode);
bool kiln_is_unchanged(const struct inode *inode);

/* network.c */
#ifdef CONFIG_SECURITY_NETWORK
void kiln_network_init(void);
#else
static inline void kiln_network_init(void) { }
#endif

/* report.c */
struct seq_file;
struct poll_table_struct;
const char *kiln_kind_word(enum kiln_kind kind);
void kiln_allowed(enum kiln_kind kind);
/* Counts and tells what is against the policy: 0, or the error to answer. `path`, if any, is written last. */
__printf(3, 4) int kiln_against(enum kiln_kind kind, const struct path *path, const char *format, ...);
/* The same for what the kernel has refused by itself: the stance says only whether it is told. The `first` of its sort
 * is, however many of other sorts there were. */
__printf(3, 4) void kiln_refused(enum kiln_kind kind, bool first, const char *format, ...);
ssize_t kiln_events_read(struct file *file, char __user *to, size_t size);
__poll_t kiln_events_poll(struct file *file, struct poll_table_struct *table);
int kiln_counts_show(struct seq_file *seq, void *unused);

#endif
