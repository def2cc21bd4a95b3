/* Process 1: set the machine up, start the application, watch, pass its exit code out of the machine. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#define CONF "/etc/kiln/agent.conf"
#define CONF_BYTES 65536
#define BAD_CONF 126
#define EAGER_MS 5      /* between looks whether the application listens, until it does */
#define CALM_MS 2000    /* afterwards */
#define EAGER_US 20000000

static struct conf conf;
static struct app app;
static struct kmsg kmsg;
static struct watch watch = {.app = &app, .kmsg = &kmsg};
static int wake[2] = {-1, -1};
static bool told; /* that it is healthy */

static void on_signal(int number)
{
    int saved = errno;
    char byte = (char)number;
    if (write(wake[1], &byte, 1) < 0) { /* full: the loop wakes up anyway */
    }
    errno = saved;
}

static void signals(void)
{
    static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGPWR};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0)
        event_error("pipe", errno);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

/* The last words, then the machine restarts, which ends it: QEMU is told not to (-no-reboot). */
_Noreturn static void halt(int code)
{
    boot_unmount(&conf);
    event_begin("halt");
    event_number("code", code);
    event_end();
    event_drain();
    reboot(RB_AUTOBOOT);
    for (;;)
        pause();
}

static void configure(void)
{
    static char text[CONF_BYTES];
    unsigned line = 0;
    size_t count = proc_read(CONF, text, sizeof text);
    const char *wrong = count ? conf_parse(&conf, text, &line) : "not there or empty";
    if (count + 1 == sizeof text)
        wrong = "too large";
    if (!wrong)
        return;
    event_begin("error");
    event_string("what", CONF);
    event_number("line", line);
    event_string("error", wrong);
    event_end();
    memset(&conf, 0, sizeof conf);
    halt(BAD_CONF);
}

static void end_of_app(void)
{
    kill(-1, SIGKILL);
    for (int turns = 0; turns < 200 && app_reap(&app); turns++)
        poll(NULL, 0, 2);
    app_flush(&app);
    if (kmsg.fd >= 0)
        kmsg_read(&kmsg);
    halt(app.code);
}

/* What the host says: `stop` on a line of its own. */
static void listen_to_host(int console)
{
    static char line[64];
    static size_t used;
    char byte;
    while (read(console, &byte, 1) == 1) {
        if (byte != '\n' && byte != '\r') {
            line[used] = byte;
            used = used + 1 < sizeof line ? used + 1 : used;
            continue;
        }
        if (used == 4 && !memcmp(line, "stop", 4))
            app_stop(&app, "asked on the console");
        used = 0;
    }
}

static void take_signals(void)
{
    char bytes[64];
    ssize_t count = read(wake[0], bytes, sizeof bytes);
    for (ssize_t i = 0; i < count; i++)
        if (bytes[i] != SIGCHLD)
            app_stop(&app, bytes[i] == SIGPWR ? "power" : "signal");
    app_reap(&app);
}

static void look_after_health(void)
{
    watch.healthy = app.pid != 0 && proc_all_listen(&conf);
    if (watch.healthy && !told) {
        told = true;
        event_begin("healthy");
        event_end();
    }
}

static int patience(int64_t now, int64_t *looked_us)
{
    bool eager = !told && now - app.started_us < EAGER_US;
    int64_t until = *looked_us + (eager ? EAGER_MS : CALM_MS) * 1000;
    if (app.start_at_us && app.start_at_us < until)
        until = app.start_at_us;
    if (app.kill_at_us && app.kill_at_us < until)
        until = app.kill_at_us;
    return until > now ? (int)((until - now + 999) / 1000) : 0;
}

static void watch_over(int console)
{
    struct pollfd polls[5 + HTTP_POLLS];
    int64_t looked_us = 0;
    for (;;) {
        int64_t now = now_us();
        if (now - looked_us >= (told ? CALM_MS : EAGER_MS) * 1000) {
            look_after_health();
            looked_us = now;
        }
        polls[0] = (struct pollfd){.fd = wake[0], .events = POLLIN};
        polls[1] = (struct pollfd){.fd = app.pipes[0], .events = POLLIN};
        polls[2] = (struct pollfd){.fd = app.pipes[1], .events = POLLIN};
        polls[3] = (struct pollfd){.fd = kmsg.fd, .events = POLLIN};
        polls[4] = (struct pollfd){.fd = console, .events = POLLIN};
        unsigned count = conf.agent_port ? http_polls(polls + 5) : 0;
        if (poll(polls, 5 + count, patience(now, &looked_us)) < 0 && errno != EINTR)
            event_error("poll", errno);
        if (polls[1].revents)
            app_read(&app, 0);
        if (polls[2].revents)
            app_read(&app, 1);
        if (polls[3].revents)
            kmsg_read(&kmsg);
        if (polls[4].revents)
            listen_to_host(console);
        if (polls[0].revents)
            take_signals();
        http_serve(polls + 5, count, &watch, now_us());
        app_timers(&app, now_us());
        if (app.ended)
            end_of_app();
    }
}

int main(void)
{
    int console = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
    /* reading must not block the loop, writing may: a second description for it */
    int input = open("/dev/console", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    event_open(console);
    event_begin("boot");
    event_string("agent", AGENT_VERSION);
    event_end();
    configure();
    signals();
    sethostname(conf.hostname, strlen(conf.hostname));
    boot_mounts(&conf);
    boot_network(&conf, getenv("kiln_ip"), getenv("kiln_gw"));
    kmsg_open(&kmsg);
    app_init(&app, &conf);
    app_start(&app);
    if (conf.agent_port)
        http_open(conf.agent_port);
    watch_over(input);
}
