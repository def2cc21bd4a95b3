#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "event.h"
#include "sys.h"
#include "text.h"

#define FOLDER "/run/secrets"
#define FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define ROOM "size=1m,nr_inodes=32,mode=0755" /* CONF_SECRETS times MOST, and a file each */
#define DEVICE "/sys/firmware/qemu_fw_cfg/by_name/opt/kiln/secret/"
#define MOST 65536
#define PIECE 4096

/* Nothing of a secret is in an event: its name and what went wrong. */
static bool refuse(const char *name, const char *why)
{
	char what[96];
	struct text text = text_in(what, sizeof what);

	text_string(&text, "secret ");
	text_string(&text, name);
	event_begin("error");
	event_string("what", text_end(&text));
	event_string("error", why);
	event_end();
	return false;
}

static bool is_done(long error, const char *what)
{
	if (error < 0)
		event_error(what, error);
	return error >= 0;
}

static bool open_folder(void)
{
	sys_mkdir("/run", 0755); /* they may be there */
	sys_mkdir(FOLDER, 0755);
	sys_mkdir("/sys", 0755);
	return is_done(sys_mount("tmpfs", FOLDER, "tmpfs", FLAGS, ROOM), "mount tmpfs on " FOLDER) &&
	       is_done(sys_mount("sysfs", "/sys", "sysfs", FLAGS | MS_RDONLY, NULL), "mount sysfs on /sys");
}

/* From now on the files stay as they are, and the device is out of everybody's reach. */
static bool close_folder(void)
{
	return is_done(sys_umount("/sys"), "unmount /sys") &&
	       is_done(sys_mount(NULL, FOLDER, NULL, FLAGS | MS_REMOUNT | MS_RDONLY, NULL), FOLDER " read-only");
}

/* Why it could not be copied, or NULL. */
static const char *copy(int from, int to)
{
	char piece[PIECE];
	long got, all = 0, put = 0;

	while ((got = sys_read(from, piece, sizeof piece)) > 0) {
		all += got;
		if (all > MOST || (put = sys_write(to, piece, (size_t)got)) != got)
			break;
	}
	explicit_bzero(piece, sizeof piece);
	if (all > MOST)
		return "larger than 64 KiB";
	if (got < 0 || put < 0)
		return strerror((int)-(got < 0 ? got : put));
	return got ? "not written whole" : NULL;
}

static const char *put(int from, const struct conf_secret *secret)
{
	long to = sys_create(secret->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, secret->mode);
	const char *wrong;
	long error;

	if (to < 0)
		return strerror((int)-to);
	error = sys_fchown((int)to, secret->uid, secret->gid);
	wrong = error < 0 ? strerror((int)-error) : copy(from, (int)to);
	sys_close((int)to);
	return wrong;
}

static bool receive(const struct conf_secret *secret)
{
	char path[sizeof DEVICE + 64];
	struct text text = text_in(path, sizeof path);
	const char *wrong;
	long from;

	text_string(&text, DEVICE);
	text_string(&text, secret->name);
	text_string(&text, "/raw");
	from = sys_open(text_end(&text), O_RDONLY | O_CLOEXEC);
	if (from == -ENOENT)
		return refuse(secret->name, "not handed over: give it with --secret");
	if (from < 0)
		return refuse(secret->name, strerror((int)-from));
	wrong = put((int)from, secret);
	sys_close((int)from);
	return wrong ? refuse(secret->name, wrong) : true;
}

bool secret_receive(const struct conf *conf)
{
	size_t i;

	if (!conf->secrets)
		return true;
	if (!open_folder())
		return false;
	for (i = 0; i < conf->secrets; i++)
		if (!receive(&conf->secret[i]))
			return false;
	return close_folder();
}
