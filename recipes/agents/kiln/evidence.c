#include "evidence.h"

#include <fcntl.h>
#include <string.h>

#include "event.h"
#include "file.h"
#include "scan.h"
#include "sys.h"
#include "tables.h"
#include "text.h"

#define MOST_PROCESSES 32
#define MOST_FILES 32
#define MOST_CODE 32

typedef void visitor(const char *folder, const char *name, void *argument);

static const char *join(struct text *text, const char *folder, const char *name, const char *more)
{
	text_string(text, folder);
	text_string(text, "/");
	text_string(text, name);
	text_string(text, more);
	return text_end(text);
}

/* Every entry of a folder that is a number. */
static void each_number(const char *folder, visitor *visit, void *argument)
{
	_Alignas(struct dirent) char entries[1024];
	long fd = sys_open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long size, at;

	while (fd >= 0 && (size = sys_getdents((int)fd, entries, sizeof entries)) > 0)
		for (at = 0; at < size;) {
			const struct dirent *entry = (const void *)(entries + at);

			if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
				visit(folder, entry->d_name, argument);
			at += entry->d_reclen;
		}
	if (fd >= 0)
		sys_close((int)fd);
}

static void tell_link(const char *key, const char *path)
{
	char target[256];
	long size = sys_readlink(path, target, sizeof target);

	if (size > 0)
		event_bytes(key, target, (size_t)size);
}

static void tell_file(const char *folder, const char *name, void *argument)
{
	size_t *left = argument;
	char path[96];
	struct text text = text_in(path, sizeof path);

	if (!*left)
		return;
	--*left;
	event_begin("evidence");
	event_string("descriptor", name);
	tell_link("file", join(&text, folder, name, ""));
	event_end();
}

/* Arguments, which NULs end, with blanks between. */
static void tell_arguments(const char *path)
{
	char data[256];
	long size = file_read(path, data, sizeof data);
	long i;

	for (i = 0; i < size - 1; i++)
		if (!data[i])
			data[i] = ' ';
	if (size > 0)
		event_bytes("arguments", data, (size_t)size - (data[size - 1] ? 0 : 1));
}

static bool is_of_kernel(const char *folder, const char *name)
{
	char path[64], data[1024];
	struct text text = text_in(path, sizeof path);
	long size = file_read(join(&text, folder, name, "/stat"), data, sizeof data);
	struct process process;

	return size <= 0 || !process_parse(data, (size_t)size, &process) || process_is_kernel_thread(&process);
}

static void tell_process(const char *folder, const char *name, void *argument)
{
	size_t *left = argument;
	uint64_t parent = 0, user = 0, threads = 0;
	const struct counter wanted[] = {{"PPid", &parent}, {"Uid", &user}, {"Threads", &threads}};
	char path[64], data[2048];
	struct text text = text_in(path, sizeof path);
	long size;

	if (!*left || strcmp(name, "1") == 0 || is_of_kernel(folder, name))
		return;
	--*left;
	size = file_read(join(&text, folder, name, "/status"), data, sizeof data);
	if (size > 0)
		named_parse(data, (size_t)size, wanted, 3);
	event_begin("evidence");
	event_string("process", name);
	event_number("parent", (int64_t)parent);
	event_number("uid", (int64_t)user);
	event_number("threads", (int64_t)threads);
	text = text_in(path, sizeof path);
	tell_link("program", join(&text, folder, name, "/exe"));
	text = text_in(path, sizeof path);
	tell_arguments(join(&text, folder, name, "/cmdline"));
	event_end();
}

/* `address perms offset device inode path` of what may be run (proc_pid_maps(5)). */
static void tell_code(const char *path)
{
	static char data[8192];
	long size = file_read(path, data, sizeof data);
	struct scan scan = scan_of(data, size > 0 ? (size_t)size : 0);
	size_t left = MOST_CODE;
	struct scan line;

	while (left && scan_line(&scan, &line)) {
		const char *perms = memchr(line.at, ' ', (size_t)(line.end - line.at));

		if (!perms || line.end - perms < 5 || perms[3] != 'x')
			continue;
		event_begin("evidence");
		event_bytes("code", line.at, (size_t)(line.end - line.at));
		event_end();
		left--;
	}
}

void evidence_tell(int64_t pid)
{
	size_t processes = MOST_PROCESSES, files = MOST_FILES;
	char path[64];
	struct text text = text_in(path, sizeof path);
	size_t name;

	each_number("/proc", tell_process, &processes);
	if (pid <= 0)
		return;
	text_string(&text, "/proc/");
	text_unsigned(&text, (uint64_t)pid);
	name = text.used;
	text_string(&text, "/fd");
	each_number(text_end(&text), tell_file, &files);
	text.used = name;
	text_string(&text, "/maps");
	tell_code(text_end(&text));
}
