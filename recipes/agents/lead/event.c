/* Events: one JSON object per line on the console, each with the time since boot. */
#include "agent.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int console = -1;
static char buffer[LINE_BYTES * 6 + 512]; /* a line in which every byte is escaped still fits */
static struct text event;

int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void event_open(int fd)
{
    struct termios settings;
    console = fd;
    /* no echo of what the host says, no carriage returns: the log holds our lines as they are */
    if (tcgetattr(fd, &settings) == 0) {
        settings.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ISIG);
        settings.c_oflag &= ~(tcflag_t)OPOST;
        tcsetattr(fd, TCSANOW, &settings);
    }
}

void event_begin(const char *name)
{
    event = (struct text){.at = buffer, .size = sizeof buffer - 2};
    text_put(&event, "{\"event\":");
    text_json(&event, name, strlen(name));
    text_put(&event, ",\"mono\":");
    text_fixed(&event, now_us(), 6);
}

static void key_of(const char *key)
{
    text_put(&event, ",");
    text_json(&event, key, strlen(key));
    text_put(&event, ":");
}

void event_number(const char *key, int64_t number)
{
    key_of(key);
    text_number(&event, number);
}

void event_bytes(const char *key, const char *bytes, size_t count)
{
    key_of(key);
    text_json(&event, bytes, count);
}

void event_string(const char *key, const char *string)
{
    event_bytes(key, string, strlen(string));
}

void event_end(void)
{
    size_t done = 0;
    buffer[event.used++] = '}';
    buffer[event.used++] = '\n';
    while (console >= 0 && done < event.used) {
        ssize_t count = write(console, buffer + done, event.used - done);
        if (count > 0)
            done += (size_t)count;
        else if (errno != EINTR)
            return; /* nowhere left to say so */
    }
}

bool event_end_if_ready(void)
{
    struct pollfd ready = {.fd = console, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
        return false;
    event_end();
    return true;
}

void event_error(const char *what, int number)
{
    event_begin("error");
    event_string("what", what);
    event_string("error", strerror(number));
    event_end();
}

void event_drain(void)
{
    if (console >= 0)
        tcdrain(console);
}
