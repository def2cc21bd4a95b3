/* An application with secrets that is asked how it is: does in order what its arguments say.
 *
 *   show PATH (mode, owner, size, CRC-32) · list FOLDER · tamper PATH · print TEXT · sleep MS · forever · exit CODE
 *   listen PORT · close (what listens) · serve PORT STATUS,… (one for each request, the last for ever; 0: no answer)
 *   serve-again PATH PORT STATUS,… STATUS,… (the first list unless PATH exists; makes it)
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int listener = -1;

static void pause_ms(long ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&left, &left) != 0)
		;
}

static uint32_t crc_of(int fd)
{
	unsigned char data[4096];
	uint32_t crc = 0xffffffff;
	ssize_t got, i;
	int bit;

	while ((got = read(fd, data, sizeof data)) > 0)
		for (i = 0; i < got; i++)
			for (crc ^= data[i], bit = 0; bit < 8; bit++)
				crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	return ~crc;
}

static void show(const char *path)
{
	struct stat found;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fstat(fd, &found) != 0) {
		printf("%s: %s\n", path, strerror(errno));
		return;
	}
	printf("%s: mode=%04o uid=%d gid=%d size=%ld crc=%08x\n", path, (unsigned int)found.st_mode & 07777,
	       (int)found.st_uid, (int)found.st_gid, (long)found.st_size, (unsigned int)crc_of(fd));
	close(fd);
}

static void list(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int count = 0;

	while (folder && (entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	printf("%s: %d entries\n", path, count);
}

static void attempt(const char *what, int result)
{
	printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
}

static void tamper(const char *path)
{
	char beside[128];

	snprintf(beside, sizeof beside, "%s.new", path);
	attempt("write", open(path, O_WRONLY));
	attempt("truncate", truncate(path, 0));
	attempt("chmod", chmod(path, 0777));
	attempt("unlink", unlink(path));
	attempt("rename", rename(path, beside));
	attempt("create", open(beside, O_CREAT | O_WRONLY, 0600));
}

static void listen_on(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	int again = 1;

	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &again, sizeof again);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0)
		perror("listen");
}

static void answer(int client, int status)
{
	char request[1024] = "", reply[128];
	ssize_t got = read(client, request, sizeof request - 1);
	int size = snprintf(reply, sizeof reply, "HTTP/1.1 %d Whatever\r\nContent-Length: 3\r\n\r\nok\n", status);

	if (got < 0 || write(client, reply, (size_t)size) != size)
		perror("answer");
	printf("%.*s %d\n", (int)strcspn(request, "\r\n"), request, status);
	fflush(stdout);
	close(client);
}

static void serve(int port, const char *statuses)
{
	listen_on(port);
	for (;;) {
		int client = accept(listener, NULL, NULL);
		int status = atoi(statuses);

		if (strchr(statuses, ','))
			statuses = strchr(statuses, ',') + 1;
		if (client >= 0 && status)
			answer(client, status);
	}
}

static int was_here(const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int is(const char *word, const char *wanted)
{
	return strcmp(word, wanted) == 0;
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		const char *word = argv[i];
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (is(word, "forever"))
			for (;;)
				pause();
		else if (is(word, "close"))
			close(listener);
		else if (i++, is(word, "show"))
			show(value);
		else if (is(word, "list"))
			list(value);
		else if (is(word, "tamper"))
			tamper(value);
		else if (is(word, "print"))
			printf("%s\n", value);
		else if (is(word, "sleep"))
			pause_ms(atol(value));
		else if (is(word, "exit"))
			exit(atoi(value));
		else if (is(word, "listen"))
			listen_on(atoi(value));
		else if (is(word, "serve"))
			serve(atoi(value), argv[i + 1]);
		else if (is(word, "serve-again"))
			serve(atoi(argv[i + 1]), argv[was_here(value) ? i + 3 : i + 2]);
		else
			return 99;
		fflush(stdout);
	}
	return 0;
}
