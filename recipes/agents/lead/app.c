/* The application's life: start as its own user, pass its output on, start again with patience, stop. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_DELAY_US 100000
#define LONGEST_DELAY_US 10000000
#define STEADY_US 10000000 /* an application up for that long is not in a crash loop */
#define QUICK_ENDS 5
#define CANNOT_START 127

void app_init(struct app *app, const struct conf *conf)
{
    memset(app, 0, sizeof *app);
    app->conf = conf;
    app->pipes[0] = app->pipes[1] = -1;
}

/* In the child: become the application. Returns only when that failed; errno says why. */
static const char *become(const struct conf *conf, const int *output)
{
    struct rlimit files = {conf->open_files, conf->open_files};
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(output[0], 1) < 0 || dup2(output[1], 2) < 0)
        return "output";
    setsid();
    umask(022);
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        return "open-files";
    if (conf->uid != 0 || conf->gid != 0) {
        if (setgroups(conf->group_count, conf->groups) != 0 || setgid(conf->gid) != 0 || setuid(conf->uid) != 0)
            return "user";
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return "no new privileges";
    if (chdir(conf->directory) != 0)
        return conf->directory;
    execve(conf->arguments[0], conf->arguments, conf->environment);
    return conf->arguments[0];
}

struct failure {
    int number;
    char what[200];
};

static void child(const struct conf *conf, const int *output, int report)
{
    struct failure failure = {0};
    const char *what = become(conf, output);
    failure.number = errno;
    for (size_t i = 0; what[i] && i + 1 < sizeof failure.what; i++)
        failure.what[i] = what[i];
    if (write(report, &failure, sizeof failure) < 0)
        _exit(CANNOT_START - 1);
    _exit(CANNOT_START);
}

static void ended(struct app *app, int code);

void app_start(struct app *app)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, report[2] = {-1, -1};
    struct failure failure = {0};
    app->start_at_us = 0;
    if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) || pipe2(report, O_CLOEXEC)) {
        event_error("pipe", errno);
        ended(app, CANNOT_START);
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        child(app->conf, (int[]){out[1], err[1]}, report[1]);
    close(out[1]);
    close(err[1]);
    close(report[1]);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    app->pipes[0] = out[0];
    app->pipes[1] = err[0];
    app->started_us = now_us();
    /* closed by a successful execve(): nothing comes */
    ssize_t count = pid < 0 ? 0 : read(report[0], &failure, sizeof failure);
    close(report[0]);
    if (pid < 0 || count == (ssize_t)sizeof failure) {
        event_error(pid < 0 ? "fork" : failure.what, pid < 0 ? errno : failure.number);
        app->ended = true;
        app->code = CANNOT_START;
        if (pid > 0)
            waitpid(pid, NULL, 0);
        return;
    }
    app->pid = pid;
    event_begin("start");
    event_number("pid", pid);
    event_number("restarts", app->restarts);
    event_end();
}

void app_stop(struct app *app, const char *reason)
{
    if (app->stopping)
        return;
    app->stopping = true;
    event_begin("stop");
    event_string("reason", reason);
    event_end();
    if (app->pid == 0) {
        app->ended = true;
        return;
    }
    app->kill_at_us = now_us() + (int64_t)app->conf->stop_timeout_ms * 1000;
    kill(app->pid, app->conf->stop_signal);
}

/* Decides what follows the application's end. */
static void ended(struct app *app, int code)
{
    const struct conf *conf = app->conf;
    bool again = conf->restart == RESTART_ALWAYS || (conf->restart == RESTART_ON_FAILURE && code != 0);
    int64_t now = now_us(), delay = FIRST_DELAY_US;
    app->code = code;
    app->pid = 0;
    if (app->stopping || !again) {
        app->ended = true;
        return;
    }
    app->quick_ends = now - app->started_us < STEADY_US ? app->quick_ends + 1 : 0;
    if (app->quick_ends >= QUICK_ENDS) {
        event_begin("error");
        event_string("what", "crash loop");
        event_string("error", "the application ended soon after each start; giving up");
        event_end();
        app->ended = true;
        return;
    }
    for (unsigned i = 1; i < app->quick_ends && delay < LONGEST_DELAY_US; i++)
        delay *= 2;
    app->restarts++;
    app->start_at_us = now + delay;
    event_begin("restart");
    event_number("delay_ms", delay / 1000);
    event_number("restarts", app->restarts);
    event_end();
}

static void emit_line(struct app *app, int which, size_t count)
{
    event_begin("output");
    event_string("stream", which ? "stderr" : "stdout");
    event_bytes("line", app->pending[which], count);
    if (event_end_if_ready())
        app->lines++;
    else
        app->dropped++;
}

/* Emits the complete lines among what has come, and what fills the buffer. */
static void emit_lines(struct app *app, int which, bool rest)
{
    char *pending = app->pending[which];
    size_t *count = &app->pending_count[which], start = 0;
    for (size_t i = 0; i < *count; i++)
        if (pending[i] == '\n') {
            memmove(pending, pending + start, *count - start); /* the line begins the buffer */
            *count -= start;
            i -= start;
            emit_line(app, which, i);
            start = i + 1;
        }
    memmove(pending, pending + start, *count - start);
    *count -= start;
    if (*count == LINE_BYTES || (rest && *count)) {
        emit_line(app, which, *count);
        *count = 0;
    }
}

void app_read(struct app *app, int which)
{
    /* a bounded share of the loop: the machine's other duties go on while an application talks without end */
    for (int turns = 0; turns < 16 && app->pipes[which] >= 0; turns++) {
        size_t *count = &app->pending_count[which];
        ssize_t got = read(app->pipes[which], app->pending[which] + *count, LINE_BYTES - *count);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            close(app->pipes[which]);
            app->pipes[which] = -1;
            emit_lines(app, which, true);
            return;
        }
        *count += (size_t)got;
        emit_lines(app, which, false);
    }
}

void app_flush(struct app *app)
{
    for (int which = 0; which < 2; which++) {
        app_read(app, which);
        emit_lines(app, which, true);
        if (app->pipes[which] >= 0)
            close(app->pipes[which]);
        app->pipes[which] = -1;
    }
}

bool app_reap(struct app *app)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != app->pid)
            continue; /* an orphan the application left to us */
        app_flush(app);
        bool crashed = WIFSIGNALED(status);
        int code = crashed ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        event_begin(crashed && !app->stopping ? "crash" : "exit");
        event_number("pid", pid);
        if (crashed)
            event_number("signal", WTERMSIG(status));
        event_number("code", code);
        event_end();
        bool obeyed = app->stopping && crashed && WTERMSIG(status) == app->conf->stop_signal;
        ended(app, obeyed ? 0 : code);
    }
    return pid == 0; /* -1: there are no children */
}

void app_timers(struct app *app, int64_t now)
{
    if (app->start_at_us && now >= app->start_at_us && !app->stopping)
        app_start(app);
    if (app->kill_at_us && now >= app->kill_at_us && app->pid) {
        app->kill_at_us = 0;
        event_begin("error");
        event_string("what", "stop");
        event_string("error", "the application did not stop in time; killed");
        event_end();
        kill(app->pid, SIGKILL);
    }
}
