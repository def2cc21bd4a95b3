// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel does by itself: calls that it refuses because a permission is
 * missing or a limit is reached, and processes that it ends for a fault. Nothing
 * else is asked there, and yet this is what an attack looks like.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/kiln_guard.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>

#include <asm/unistd.h>

#include "guard.h"

#define PATH_ROOM 96

static DECLARE_BITMAP(seen, 2 * NR_syscalls);	/* access and limit, by call */

static bool starts_program(unsigned int nr)
{
	return nr == __NR_execve || nr == __NR_execveat;
}

static const char *access_word(unsigned int nr, long error)
{
	switch (error) {
	case -EACCES:
		return "EACCES";
	case -EROFS:
		return "EROFS";
	case -EPERM:
		return "EPERM";
	case -ENOENT: /* a shell that no image has */
		return starts_program(nr) ? "ENOENT" : NULL;
	}
	return NULL;
}

static const char *limit_word(unsigned int nr, long error)
{
	switch (error) {
	case -EMFILE:
		return "EMFILE";
	case -ENFILE:
		return "ENFILE";
	case -ENOMEM:
		return "ENOMEM";
	case -ENOSPC:
		return "ENOSPC";
	case -EAGAIN: /* of others it says that there is nothing yet */
		return nr == __NR_clone || nr == __NR_clone3 || nr == __NR_fork || nr == __NR_vfork ? "EAGAIN" : NULL;
	}
	return NULL;
}

/* Where the caller has the path that a call is about, if it is about one (arch/x86/entry/syscalls/syscall_64.tbl). */
static const char __user *path_of(unsigned int nr, const struct pt_regs *regs)
{
	if (nr >= __NR_openat && nr <= __NR_faccessat)
		return (const char __user *)regs->si;
	switch (nr) {
	case __NR_renameat2:
	case __NR_execveat:
	case __NR_openat2:
	case __NR_faccessat2:
		return (const char __user *)regs->si;
	case __NR_open:
	case __NR_access:
	case __NR_execve:
	case __NR_truncate:
	case __NR_chdir:
	case __NR_rename:
	case __NR_mkdir:
	case __NR_rmdir:
	case __NR_creat:
	case __NR_link:
	case __NR_unlink:
	case __NR_symlink:
	case __NR_chmod:
	case __NR_chown:
	case __NR_lchown:
	case __NR_mknod:
	case __NR_chroot:
		return (const char __user *)regs->di;
	}
	return NULL;
}

void kiln_guard_failed(unsigned int nr, long error)
{
	const char *access = access_word(nr, error);
	const char *word = access ?: limit_word(nr, error);
	const char __user *from;
	char path[PATH_ROOM];
	bool told = kiln_take_told();
	unsigned int sort = nr + (access ? 0 : NR_syscalls);

	if (!word || kiln_is_exempt() || (told && error == -EPERM))
		return;
	from = path_of(nr, current_pt_regs());
	if (!from || strncpy_from_user(path, from, sizeof(path)) < 0)
		path[0] = '\0';
	path[sizeof(path) - 1] = '\0';
	kiln_refused(access ? KILN_ACCESS : KILN_LIMIT, !test_and_set_bit(sort, seen), "call %u %s%s%s", nr, word, path[0] ? " " : "", path);
}

bool kiln_guard_may_call(unsigned int nr)
{
	return kiln_is_exempt() || !kiln_against(KILN_CALL, NULL, "call %u", nr);
}

void kiln_guard_died(int signal)
{
	if (!kiln_is_exempt())
		kiln_refused(KILN_DEATH, false, "signal %d", signal);
}
