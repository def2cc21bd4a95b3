#include "setup.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "event.h"
#include "sys.h"
#include "text.h"

static void report(const char *action, const char *object, const char *place, long error)
{
	char what[256];
	struct text text = text_in(what, sizeof what);

	text_string(&text, action);
	text_string(&text, object);
	text_string(&text, place[0] ? " on " : "");
	text_string(&text, place);
	event_error(text_end(&text), error);
}

static long mount_at(const struct conf_mount *mount)
{
	long error = sys_mount(mount->source, mount->target, mount->type, mount->flags, mount->data);

	if (error == -ENOENT && sys_mkdir(mount->target, 0755) == 0)
		error = sys_mount(mount->source, mount->target, mount->type, mount->flags, mount->data);
	return error;
}

/* After everything that is made in it. */
static bool protect_root(void)
{
	long error = sys_mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);

	if (error < 0)
		report("make ", "/", "read-only", error);
	return error >= 0;
}

bool setup_machine(const struct conf *conf)
{
	long error = conf->hostname ? sys_sethostname(conf->hostname, strlen(conf->hostname)) : 0;
	size_t i;

	if (error < 0)
		event_error("host name", error);
	for (i = 0; i < conf->mounts; i++) {
		error = mount_at(&conf->mount[i]);
		if (error < 0) {
			report("mount ", conf->mount[i].type, conf->mount[i].target, error);
			return false;
		}
	}
	for (i = 0; i < conf->owners; i++) {
		error = sys_chown(conf->owner[i].path, conf->owner[i].uid, conf->owner[i].gid);
		if (error < 0) {
			report("own ", conf->owner[i].path, "", error);
			return false;
		}
	}
	return !conf->read_only || protect_root();
}

static bool has_device(const struct conf_mount *mount)
{
	return strncmp(mount->source, "/dev/", 5) == 0;
}

void setup_release(const struct conf *conf)
{
	size_t i = conf->mounts;

	sys_sync();
	while (i--) {
		const struct conf_mount *mount = &conf->mount[i];
		long error = has_device(mount) ? sys_umount(mount->target) : 0;

		if (error == -EBUSY)
			error = sys_mount(NULL, mount->target, NULL, MS_REMOUNT | MS_RDONLY, NULL);
		if (error < 0 && error != -EINVAL) /* it was never mounted */
			report("unmount ", mount->target, "", error);
	}
}
