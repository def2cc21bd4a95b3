/* Figures of processes and of the machine, from /proc (proc(5)). */
#include "agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

size_t proc_read(const char *path, char *buffer, size_t size)
{
    size_t done = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && done + 1 < size) {
        ssize_t count = read(fd, buffer + done, size - 1 - done);
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    if (fd >= 0)
        close(fd);
    buffer[done] = 0;
    return done;
}

static void path_of(char *path, size_t size, pid_t pid, const char *file)
{
    struct text text = {.at = path, .size = size - 1};
    text_put(&text, "/proc/");
    text_number(&text, pid);
    text_put(&text, file);
    path[text.used] = 0;
}

static unsigned descriptors_of(pid_t pid)
{
    char path[64], names[2048];
    unsigned found = 0;
    path_of(path, sizeof path, pid, "/fd");
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), count;
    while (fd >= 0 && (count = getdents(fd, (struct dirent *)(void *)names, sizeof names)) > 0)
        for (int at = 0; at < count;) {
            const struct dirent *entry = (const struct dirent *)(const void *)(names + at);
            found += entry->d_name[0] != '.';
            at += entry->d_reclen;
        }
    if (fd >= 0)
        close(fd);
    return found;
}

/* The name in the second field may hold anything: fields are counted from the last ')'. */
bool proc_stat_parse(const char *text, struct process *process)
{
    const char *at = strrchr(text, ')');
    uint64_t fields[25] = {0};
    if (!at || at[1] != ' ')
        return false;
    at += 2;
    for (unsigned number = 3; number < 25; number++) {
        uint64_t value = 0;
        for (; *at && *at != ' '; at++)
            if (*at >= '0' && *at <= '9')
                value = value * 10 + (uint64_t)(*at - '0');
        if (!*at)
            return false;
        fields[number] = value;
        at++;
    }
    process->cpu_ticks = fields[14] + fields[15];
    process->threads = fields[20];
    process->start_ticks = fields[22];
    process->virtual_bytes = fields[23];
    process->resident_bytes = fields[24] * 4096;
    return true;
}

bool proc_process(pid_t pid, struct process *process)
{
    char path[64], text[1024];
    path_of(path, sizeof path, pid, "/stat");
    if (!proc_read(path, text, sizeof text) || !proc_stat_parse(text, process))
        return false;
    process->descriptors = descriptors_of(pid);
    return true;
}

/* One line of /proc/net/tcp: "  0: 0100007F:1F90 00000000:0000 0A …"; 0A is TCP_LISTEN (include/net/tcp_states.h). */
bool proc_listens(const char *table, uint16_t port)
{
    for (const char *line = strchr(table, '\n'); line; line = strchr(line + 1, '\n')) {
        const char *number = strchr(line + 1, ':');
        const char *local = number ? strchr(number + 1, ':') : NULL;
        const char *remote = local ? strchr(local + 1, ':') : NULL;
        unsigned value = 0;
        if (!remote)
            return false;
        for (int i = 1; i <= 4; i++) {
            char digit = local[i];
            value = value << 4 | (unsigned)(digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10);
        }
        const char *state = strchr(remote, ' ');
        if (state && value == port && !strncmp(state, " 0A", 3))
            return true;
    }
    return false;
}

bool proc_all_listen(const struct conf *conf)
{
    static char four[16384], six[16384]; /* listening sockets come first: tcp_seek_last_pos() */
    if (!conf->port_count)
        return true;
    proc_read("/proc/net/tcp", four, sizeof four);
    proc_read("/proc/net/tcp6", six, sizeof six);
    for (unsigned i = 0; i < conf->port_count; i++)
        if (!proc_listens(four, conf->ports[i]) && !proc_listens(six, conf->ports[i]))
            return false;
    return true;
}

/* /proc/net/dev: "  eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop …" */
unsigned proc_traffic(const char *table, struct traffic *found, unsigned limit)
{
    unsigned count = 0;
    for (const char *line = strchr(table, '\n'); line && count < limit; line = strchr(line + 1, '\n')) {
        const char *name = line + 1 + strspn(line + 1, " ");
        size_t length = strcspn(name, ":\n");
        uint64_t values[16] = {0};
        if (name[length] != ':' || length >= sizeof found->name)
            continue;
        const char *at = name + length + 1;
        for (unsigned i = 0; i < 16; i++) {
            at += strspn(at, " ");
            for (; *at >= '0' && *at <= '9'; at++)
                values[i] = values[i] * 10 + (uint64_t)(*at - '0');
        }
        struct traffic *traffic = &found[count++];
        memcpy(traffic->name, name, length);
        traffic->name[length] = 0;
        memcpy(traffic->received, values, sizeof traffic->received);
        memcpy(traffic->sent, values + 8, sizeof traffic->sent);
    }
    return count;
}
