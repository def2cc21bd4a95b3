/* The kernel's messages, as /dev/kmsg gives them (Documentation/ABI/testing/dev-kmsg): warnings are passed on. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define WARNING 4
#define KERNEL_FACILITY 0

void kmsg_open(struct kmsg *kmsg)
{
    kmsg->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    kmsg->warnings = kmsg->refused = 0;
    if (kmsg->fd < 0)
        event_error("/dev/kmsg", errno);
}

/* "<priority>,<sequence>,<microseconds>,<flags>;<message>\n" */
bool kmsg_parse(const char *record, unsigned *level, const char **message, size_t *count)
{
    unsigned priority = 0;
    const char *at = record;
    for (; *at >= '0' && *at <= '9' && priority < 100000; at++)
        priority = priority * 10 + (unsigned)(*at - '0');
    const char *text = strchr(at, ';');
    if (at == record || *at != ',' || !text || priority >> 3 != KERNEL_FACILITY)
        return false;
    *level = priority & 7;
    *message = text + 1;
    *count = strcspn(text + 1, "\n");
    return true;
}

static bool field(const char **at, const char *name, char *value, size_t size)
{
    const char *start = strstr(*at, name);
    if (!start)
        return false;
    start += strlen(name);
    size_t count = strcspn(start, " \n");
    if (count >= size)
        count = size - 1;
    memcpy(value, start, count);
    value[count] = 0;
    *at = start + count;
    return true;
}

static uint64_t hex_of(const char *text)
{
    uint64_t value = 0;
    for (; *text; text++) {
        unsigned digit = *text >= '0' && *text <= '9' ? (unsigned)(*text - '0') : ((unsigned)*text | 32) - 'a' + 10;
        if (digit > 15)
            break;
        value = value << 4 | digit;
    }
    return value;
}

/* "kiln: refused syscall nr=<n> comm=<name> pid=<n> ip=<hex>", recipes/patches */
bool kmsg_refused(const char *message, struct refused *refused)
{
    char number[24], pid[24], ip[24];
    uint64_t value;
    const char *at = message;
    if (strncmp(message, "kiln: refused syscall ", 22) != 0 || !field(&at, "nr=", number, sizeof number))
        return false;
    bool negative = number[0] == '-';
    if (!number_of(number + negative, INT64_MAX, &value))
        return false;
    refused->number = negative ? -(int64_t)value : (int64_t)value;
    /* a name may hold spaces, so what follows it is searched for from behind */
    const char *comm = strstr(at, "comm="), *after = at, *next;
    if (!comm)
        return false;
    for (next = strstr(comm, " pid="); next; next = strstr(next + 1, " pid="))
        after = next;
    size_t count = after > comm ? (size_t)(after - comm) - 5 : 0;
    if (count >= sizeof refused->comm)
        count = sizeof refused->comm - 1;
    memcpy(refused->comm, comm + 5, count);
    refused->comm[count] = 0;
    if (after <= comm || !field(&after, "pid=", pid, sizeof pid) || !field(&after, "ip=", ip, sizeof ip) ||
        !number_of(pid, INT64_MAX, &value))
        return false;
    refused->pid = (int64_t)value;
    refused->ip = hex_of(ip);
    return true;
}

static void report(struct kmsg *kmsg, unsigned level, const char *message, size_t count)
{
    struct refused refused;
    if (kmsg_refused(message, &refused)) {
        kmsg->refused++;
        event_begin("refused");
        event_number("nr", refused.number);
        event_string("comm", refused.comm);
        event_number("pid", refused.pid);
        char ip[24];
        struct text text = {.at = ip, .size = sizeof ip - 1};
        text_hex(&text, refused.ip);
        event_bytes("ip", ip, text.used);
    } else {
        kmsg->warnings++;
        event_begin("kernel");
        event_number("level", level);
        event_bytes("line", message, count);
    }
    event_end();
}

void kmsg_read(struct kmsg *kmsg)
{
    static char record[8192 + 1]; /* PRINTKRB_RECORD_MAX and its prefix */
    for (int turns = 0; turns < 64; turns++) {
        unsigned level;
        const char *message;
        size_t length;
        ssize_t count = read(kmsg->fd, record, sizeof record - 1);
        if (count < 0 && (errno == EPIPE || errno == EINTR))
            continue; /* EPIPE: records were overwritten before we read them; the next read goes on */
        if (count <= 0)
            return;
        record[count] = 0;
        if (kmsg_parse(record, &level, &message, &length) && level <= WARNING) {
            record[(size_t)(message - record) + length] = 0;
            report(kmsg, level, message, length);
        }
    }
}
