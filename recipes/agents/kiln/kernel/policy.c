// SPDX-License-Identifier: GPL-2.0
/*
 * The policy, line by line:
 *
 *   stance KIND allow|audit|deny	what happens to what is in no list
 *   program PATH			may be started
 *   port tcp|udp NUMBER		may be served
 *   peer ADDRESS|* PORT|*		may be connected and sent to
 *   foreign NUMBER …			system calls that are process 1's alone
 *   seal				from now on it holds, and nobody can change it
 */
#include <linux/inet.h>
#include <linux/fs_struct.h>
#include <linux/kernel.h>
#include <linux/kiln_guard.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <net/ipv6.h>

#include "guard.h"

struct kiln_policy kiln_policy = {
	.stance = { [0 ... KILN_KINDS - 1] = KILN_DENY },
};

unsigned long kiln_foreign_calls[BITS_TO_LONGS(NR_syscalls)];

static int on_stance(char *kind, char *word)
{
	static const char *const stances[] = { "allow", "audit", "deny" };
	int stance = match_string(stances, ARRAY_SIZE(stances), word);
	unsigned int i;

	for (i = 0; i < KILN_KINDS && strcmp(kind, kiln_kind_word(i)); i++)
		;
	if (i == KILN_KINDS || stance < 0)
		return -EINVAL;
	kiln_policy.stance[i] = stance;
	return 0;
}

/* The file itself is meant, whatever is called by its name later. */
static int on_program(char *name)
{
	struct kiln_program *program = &kiln_policy.program[kiln_policy.programs];
	const struct inode *inode;
	struct path path;
	int error;

	if (kiln_policy.programs == KILN_LIST)
		return -ENOSPC;
	error = kern_path(name, LOOKUP_FOLLOW, &path);
	if (error)
		return error;
	inode = d_backing_inode(path.dentry);
	program->device = inode->i_sb->s_dev;
	program->inode = inode->i_ino;
	program->generation = inode->i_generation;
	path_put(&path);
	kiln_policy.programs++;
	return 0;
}

static int on_port(char *protocol, char *number)
{
	struct kiln_port *port = &kiln_policy.port[kiln_policy.ports];

	if (kiln_policy.ports == KILN_LIST)
		return -ENOSPC;
	port->udp = !strcmp(protocol, "udp");
	if ((!port->udp && strcmp(protocol, "tcp")) || kstrtou16(number, 10, &port->port))
		return -EINVAL;
	kiln_policy.ports++;
	return 0;
}

static bool parse_address(const char *text, struct in6_addr *to)
{
	__be32 old;

	memset(to, 0, sizeof(*to)); /* any */
	if (!strcmp(text, "*"))
		return true;
	if (!IS_ENABLED(CONFIG_NET)) /* nobody can be spoken to, and nothing reads addresses */
		return false;
	if (in4_pton(text, -1, (u8 *)&old, '\0', NULL)) {
		ipv6_addr_set_v4mapped(old, to);
		return true;
	}
	return in6_pton(text, -1, to->s6_addr, '\0', NULL) && !ipv6_addr_any(to);
}

static int on_peer(char *address, char *number)
{
	struct kiln_peer *peer = &kiln_policy.peer[kiln_policy.peers];

	if (kiln_policy.peers == KILN_LIST)
		return -ENOSPC;
	peer->port = 0;
	if (!parse_address(address, &peer->address) || (strcmp(number, "*") && kstrtou16(number, 10, &peer->port)))
		return -EINVAL;
	kiln_policy.peers++;
	return 0;
}

static int on_foreign(char *numbers)
{
	char *word;
	unsigned int nr;

	while ((word = strsep(&numbers, " ")) != NULL) {
		if (kstrtouint(word, 10, &nr) || nr >= NR_syscalls)
			return -EINVAL;
		__set_bit(nr, kiln_foreign_calls);
	}
	return 0;
}

static int seal(void)
{
	struct path root;

	get_fs_root(current->fs, &root);
	kiln_policy.root = root.mnt->mnt_sb;
	path_put(&root);
	kiln_policy.agent = current->mm;
	ktime_get_coarse_real_ts64(&kiln_policy.sealed_at);
	smp_store_release(&kiln_policy.sealed, true); /* whoever sees this sees the rest */
	return 0;
}

int kiln_policy_line(char *line)
{
	char *key = strsep(&line, " ");

	if (!strcmp(key, "seal") && !line)
		return seal();
	if (!strcmp(key, "program") && line && *line == '/')
		return on_program(line);
	if (!strcmp(key, "foreign") && line)
		return on_foreign(line);
	if (line) {
		char *word = strsep(&line, " ");

		if (line && !strcmp(key, "stance"))
			return on_stance(word, line);
		if (line && !strcmp(key, "port"))
			return on_port(word, line);
		if (line && !strcmp(key, "peer"))
			return on_peer(word, line);
	}
	return -EINVAL;
}

bool kiln_is_program(const struct inode *inode)
{
	unsigned int i;

	for (i = 0; i < kiln_policy.programs; i++) {
		const struct kiln_program *program = &kiln_policy.program[i];

		if (program->inode == inode->i_ino && program->device == inode->i_sb->s_dev &&
		    program->generation == inode->i_generation)
			return true;
	}
	return false;
}

/*
 * Being opened to be written counts as a change: what is then written through a
 * mapping may leave no other trace. Nobody can set this time, and the clock is
 * not turned back.
 */
void kiln_mark_changed(struct inode *inode)
{
	struct timespec64 now = current_time(inode);

	if (timespec64_compare(&now, &kiln_policy.sealed_at) <= 0) /* still the same tick */
		now = timespec64_add(kiln_policy.sealed_at, (struct timespec64){ .tv_nsec = 1 });
	inode_set_ctime_to_ts(inode, now);
}

bool kiln_is_unchanged(const struct inode *inode)
{
	struct timespec64 changed = inode_get_ctime(inode);

	return timespec64_compare(&changed, &kiln_policy.sealed_at) <= 0;
}
