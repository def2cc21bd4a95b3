// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/kiln, for process 1 alone: opened to be written too, it takes the
 * policy and gives events; opened to be read only, it gives the numbers.
 */
#include <linux/init.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "guard.h"

#define MOST_WRITTEN 1024

static DEFINE_MUTEX(writing);

static int kiln_open(struct inode *inode, struct file *file)
{
	if (!is_global_init(current)) {
		kiln_against(KILN_POLICY, NULL, "open");
		return -EPERM;
	}
	return file->f_mode & FMODE_WRITE ? stream_open(inode, file) : single_open(file, kiln_counts_show, NULL);
}

static ssize_t kiln_read(struct file *file, char __user *to, size_t size, loff_t *at)
{
	return file->f_mode & FMODE_WRITE ? kiln_events_read(file, to, size) : seq_read(file, to, size, at);
}

static int take_lines(char *text)
{
	int error = 0;

	while (!error && text && *text) {
		char *line = strsep(&text, "\n");

		error = kiln_policy.sealed ? -EPERM : kiln_policy_line(line);
	}
	return error;
}

/* Whole lines, at once. */
static ssize_t kiln_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char *text;
	int error;

	if (!is_global_init(current) || READ_ONCE(kiln_policy.sealed)) {
		kiln_against(KILN_POLICY, NULL, "write");
		return -EPERM;
	}
	if (size > MOST_WRITTEN)
		return -EINVAL;
	text = memdup_user_nul(from, size);
	if (IS_ERR(text))
		return PTR_ERR(text);
	mutex_lock(&writing);
	error = take_lines(text);
	mutex_unlock(&writing);
	kfree(text);
	return error ? error : size;
}

static __poll_t kiln_poll(struct file *file, struct poll_table_struct *table)
{
	return file->f_mode & FMODE_WRITE ? kiln_events_poll(file, table) : DEFAULT_POLLMASK;
}

static int kiln_release(struct inode *inode, struct file *file)
{
	return file->f_mode & FMODE_WRITE ? 0 : single_release(inode, file);
}

static const struct proc_ops operations = {
	.proc_open = kiln_open,
	.proc_read = kiln_read,
	.proc_write = kiln_write,
	.proc_poll = kiln_poll,
	.proc_release = kiln_release,
};

static int __init kiln_file_init(void)
{
	return proc_create("kiln", 0600, NULL, &operations) ? 0 : -ENOMEM;
}
fs_initcall(kiln_file_init);
