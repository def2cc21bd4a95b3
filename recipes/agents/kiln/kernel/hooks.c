// SPDX-License-Identifier: GPL-2.0
/*
 * Where the kernel asks: programs, code, privileges, other processes, file
 * systems and special files.
 */
#include <linux/binfmts.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/init.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/sched/task_stack.h>
#include <linux/security.h>
#include <linux/uidgid.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

#include "guard.h"

#define ID_KILN 200
#define MEMORY 1	/* minors of MEM_MAJOR: /dev/mem, /dev/kmem, /dev/port */
#define KERNEL_MEMORY 2
#define IO_PORTS 4

const struct lsm_id kiln_lsmid = { .name = "kiln", .id = ID_KILN };

static struct lsm_blob_sizes blobs __ro_after_init = { .lbs_task = sizeof(bool) };

static bool *told(void)
{
	return current->security + blobs.lbs_task;
}

void kiln_set_told(void)
{
	*told() = true;
}

bool kiln_take_told(void)
{
	bool was = *told();

	*told() = false;
	return was;
}

/* An interpreter is asked about after its script. */
static int on_exec(struct linux_binprm *bprm)
{
	const struct inode *inode = file_inode(bprm->file);

	if (kiln_is_exempt())
		return 0;
	if (kiln_is_program(inode) && kiln_is_unchanged(inode)) {
		kiln_allowed(KILN_EXEC);
		return 0;
	}
	return kiln_against(KILN_EXEC, &bprm->file->f_path, "%s", "");
}

/* Files that came with the image and have not been touched since. */
static bool is_of_image(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	return (inode->i_sb == kiln_policy.root || kiln_is_program(inode)) && kiln_is_unchanged(inode);
}

static int on_map(struct file *file, unsigned long asked, unsigned long prot, unsigned long flags)
{
	if (!(prot & PROT_EXEC) || kiln_is_exempt())
		return 0;
	if (!file)
		return kiln_against(KILN_CODE, NULL, "mmap %s memory", prot & PROT_WRITE ? "writable" : "anonymous");
	if (prot & PROT_WRITE)
		return kiln_against(KILN_CODE, &file->f_path, "mmap writable ");
	return is_of_image(file) ? 0 : kiln_against(KILN_CODE, &file->f_path, "mmap ");
}

/* Private pages of a file that have been written are anonymous ones. */
static int on_protect(struct vm_area_struct *vma, unsigned long asked, unsigned long prot)
{
	if (!(prot & PROT_EXEC) || kiln_is_exempt())
		return 0;
	if (!(prot & PROT_WRITE) && (vma->vm_flags & VM_EXEC) && !(vma->vm_flags & VM_WRITE))
		return 0; /* it is code already */
	if (!vma->vm_file)
		return kiln_against(KILN_CODE, NULL, "mprotect anonymous memory");
	if (!(prot & PROT_WRITE) && !vma->anon_vma && !(vma->vm_flags & VM_SHARED && vma->vm_flags & VM_WRITE) &&
	    is_of_image(vma->vm_file))
		return 0;
	return kiln_against(KILN_CODE, &vma->vm_file->f_path, "mprotect ");
}

/* Taking the ids one has needs no privilege, although the kernel asks for it first. */
static bool keeps_own_id(void)
{
	const struct pt_regs *regs = current_pt_regs();

	switch (syscall_get_nr(current, (struct pt_regs *)regs)) {
	case __NR_setuid:
		return regs->di == from_kuid(current_user_ns(), current_uid());
	case __NR_setgid:
		return regs->di == from_kgid(current_user_ns(), current_gid());
	}
	return false;
}

/* Asked before the capabilities themselves, so that vain attempts are seen too. */
static int on_capable(const struct cred *cred, struct user_namespace *ns, int capability, unsigned int options)
{
	switch (capability) {
	case CAP_SETUID:
	case CAP_SETGID: /* who can give up privileges may; on_ids() sees to the rest */
		if (!(options & CAP_OPT_INSETID) || cap_raised(cred->cap_effective, capability))
			return 0;
		break;
	case CAP_SYS_PTRACE:
	case CAP_SYS_MODULE:
	case CAP_SYS_RAWIO:
	case CAP_SYS_BOOT:
	case CAP_SYS_TIME:
	case CAP_MKNOD:
		break;
	default:
		return 0;
	}
	if ((options & CAP_OPT_NOAUDIT) || kiln_is_exempt() || (options & CAP_OPT_INSETID && keeps_own_id()))
		return 0;
	return kiln_against(KILN_PRIVILEGE, NULL, "capability %d", capability);
}

static bool has_root(const struct cred *cred)
{
	return uid_eq(cred->uid, GLOBAL_ROOT_UID) || uid_eq(cred->euid, GLOBAL_ROOT_UID) ||
	       uid_eq(cred->suid, GLOBAL_ROOT_UID);
}

static int on_ids(struct cred *new, const struct cred *old, int flags)
{
	if (!has_root(new) || has_root(old) || kiln_is_exempt())
		return 0;
	return kiln_against(KILN_PRIVILEGE, NULL, "user 0");
}

static int on_capset(struct cred *new, const struct cred *old, const kernel_cap_t *effective,
		     const kernel_cap_t *inheritable, const kernel_cap_t *permitted)
{
	if (kiln_is_exempt() || (cap_issubset(*effective, old->cap_effective) &&
				 cap_issubset(*permitted, old->cap_permitted) &&
				 cap_issubset(*inheritable, old->cap_inheritable)))
		return 0;
	return kiln_against(KILN_PRIVILEGE, NULL, "further capabilities");
}

static int on_user_namespace(const struct cred *cred)
{
	return kiln_is_exempt() ? 0 : kiln_against(KILN_PRIVILEGE, NULL, "user namespace");
}

static int on_ptrace(struct task_struct *child, unsigned int mode)
{
	if (!(mode & PTRACE_MODE_ATTACH) || kiln_is_exempt())
		return 0;
	return kiln_against(KILN_PTRACE, NULL, "process %d", task_tgid_nr(child));
}

static int on_traceme(struct task_struct *parent)
{
	return kiln_is_exempt() ? 0 : kiln_against(KILN_PTRACE, NULL, "process itself, by %d", task_tgid_nr(parent));
}

static int on_kill(struct task_struct *task, struct kernel_siginfo *info, int signal, const struct cred *cred)
{
	if (!signal || !is_global_init(task) || kiln_is_exempt())
		return 0;
	return kiln_against(KILN_SIGNAL, NULL, "signal %d to process 1", signal);
}

static int on_mount(const char *device, const struct path *path, const char *type, unsigned long flags, void *data)
{
	return kiln_is_exempt() ? 0 : kiln_against(KILN_MOUNT, path, "mount %.16s on ", type ?: "");
}

static int on_umount(struct vfsmount *mnt, int flags)
{
	struct path path = { .mnt = mnt, .dentry = mnt->mnt_root };

	return kiln_is_exempt() ? 0 : kiln_against(KILN_MOUNT, &path, "unmount ");
}

static int on_move(const struct path *from, const struct path *to)
{
	return kiln_is_exempt() ? 0 : kiln_against(KILN_MOUNT, to, "move to ");
}

static int on_remount(struct super_block *sb, void *options)
{
	return kiln_is_exempt() ? 0 : kiln_against(KILN_MOUNT, NULL, "remount %.16s", sb->s_type->name);
}

/* In /proc: settings of the kernel are all that is of no process, and `mem` writes even what is protected. */
static bool is_setting(const struct dentry *dentry)
{
	const struct dentry *root = dentry->d_sb->s_root;
	const struct dentry *parent;
	bool found;

	rcu_read_lock();
	found = !strcmp(dentry->d_name.name, "mem");
	while ((parent = READ_ONCE(dentry->d_parent)) != root && parent != dentry)
		dentry = parent;
	found |= dentry->d_name.name[0] < '0' || dentry->d_name.name[0] > '9';
	rcu_read_unlock();
	return found;
}

static int on_open(struct file *file)
{
	struct inode *inode = file_inode(file);
	unsigned int minor = iminor(inode);
	bool special = S_ISBLK(inode->i_mode);

	if (S_ISREG(inode->i_mode) && file->f_mode & FMODE_WRITE &&
	    (inode->i_sb == kiln_policy.root || kiln_is_program(inode)) && !kiln_is_exempt())
		kiln_mark_changed(inode);
	if (S_ISCHR(inode->i_mode) && imajor(inode) == MEM_MAJOR)
		special = minor == MEMORY || minor == KERNEL_MEMORY || minor == IO_PORTS;
	else if (inode->i_sb->s_magic == PROC_SUPER_MAGIC && file->f_mode & FMODE_WRITE)
		special = is_setting(file->f_path.dentry);
	if (!special || kiln_is_exempt())
		return 0;
	return kiln_against(KILN_FILE, &file->f_path, "%s", "");
}

static struct security_hook_list hooks[] __ro_after_init = {
	LSM_HOOK_INIT(bprm_check_security, on_exec),
	LSM_HOOK_INIT(mmap_file, on_map),
	LSM_HOOK_INIT(file_mprotect, on_protect),
	LSM_HOOK_INIT(capable, on_capable),
	LSM_HOOK_INIT(task_fix_setuid, on_ids),
	LSM_HOOK_INIT(capset, on_capset),
	LSM_HOOK_INIT(userns_create, on_user_namespace),
	LSM_HOOK_INIT(ptrace_access_check, on_ptrace),
	LSM_HOOK_INIT(ptrace_traceme, on_traceme),
	LSM_HOOK_INIT(task_kill, on_kill),
	LSM_HOOK_INIT(sb_mount, on_mount),
	LSM_HOOK_INIT(sb_umount, on_umount),
	LSM_HOOK_INIT(move_mount, on_move),
	LSM_HOOK_INIT(sb_remount, on_remount),
	LSM_HOOK_INIT(file_open, on_open),
};

static int __init kiln_init(void)
{
	security_add_hooks(hooks, ARRAY_SIZE(hooks), &kiln_lsmid);
	kiln_network_init();
	return 0;
}

DEFINE_LSM(kiln) = {
	.name = "kiln",
	.order = LSM_ORDER_FIRST,
	.init = kiln_init,
	.blobs = &blobs,
};
