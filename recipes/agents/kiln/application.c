#include "application.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "event.h"
#include "output.h"
#include "sys.h"

#define CODE_SETUP 126   /* as shells have it: found, but it could not be made ready */
#define CODE_PROGRAM 127 /* the program itself could not be started */

static const char *const names[] = {"stdout", "stderr"};
static struct output outputs[2];
static int null_fd;
static char stack[8192] __attribute__((aligned(16)));

struct child {
	const struct program *program;
	int out_fd, err_fd;
	struct started failure; /* written by the child: it shares our memory until it has started the program */
};

bool application_open(const struct conf *conf)
{
	long error = sys_open("/dev/null", O_RDONLY | O_CLOEXEC);
	int i;

	if (error < 0) {
		event_error("/dev/null", error);
		return false;
	}
	null_fd = (int)error;
	for (i = 0; i < 2; i++) {
		error = output_open(&outputs[i], names[i], conf->uid, conf->gid);
		if (error < 0) {
			event_error(names[i], error);
			return false;
		}
	}
	return true;
}

static long become_user(const struct program *program)
{
	long error;

	if (!program->uid && !program->gid && !program->groups)
		return 0;
	error = sys_setgroups(program->groups, program->group);
	if (error >= 0)
		error = sys_setgid(program->gid);
	if (error >= 0)
		error = sys_setuid(program->uid); /* the capabilities go with this (capabilities(7)) */
	return error;
}

static int fail(struct child *child, int code, const char *what, long error)
{
	child->failure = (struct started){.code = code, .what = what, .error = error};
	return code;
}

/* Runs in our memory, on its own stack, while we stand still: only system calls, and no state of ours but `failure`. */
static int run(void *argument)
{
	static const uint64_t none_blocked;
	struct child *child = argument;
	const struct program *program = child->program;
	struct rlimit files = {.rlim_cur = program->open_files, .rlim_max = program->open_files};
	struct rlimit processes = {.rlim_cur = program->processes, .rlim_max = program->processes};
	long error;

	sys_setsid();
	sys_dup2(null_fd, 0);
	sys_dup2(child->out_fd, 1);
	sys_dup2(child->err_fd, 2);
	if ((error = sys_setrlimit(RLIMIT_NOFILE, &files)) < 0)
		return fail(child, CODE_SETUP, "open-files", error);
	if (program->processes && (error = sys_setrlimit(RLIMIT_NPROC, &processes)) < 0)
		return fail(child, CODE_SETUP, "processes", error);
	if ((error = sys_prctl(PR_SET_NO_NEW_PRIVS, 1)) < 0)
		return fail(child, CODE_SETUP, "no_new_privs", error);
	if ((error = become_user(program)) < 0)
		return fail(child, CODE_SETUP, "user", error);
	if ((error = sys_chdir(program->directory)) < 0)
		return fail(child, CODE_SETUP, program->directory, error);
	sys_sigprocmask(SIG_SETMASK, &none_blocked);
	error = sys_execve(program->argument[0], program->argument, program->environment);
	return fail(child, CODE_PROGRAM, program->argument[0], error);
}

struct started application_start_as(const struct program *program, int out_fd, int err_fd)
{
	struct child child = {.program = program, .out_fd = out_fd, .err_fd = err_fd};
	int pid = clone(run, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
	struct started started = child.failure;

	if (pid < 0)
		return (struct started){.code = CODE_SETUP, .what = "clone", .error = pid};
	if (started.code)
		sys_wait4(pid, NULL, 0);
	else
		started.pid = pid;
	return started;
}

struct started application_start(const struct conf *conf)
{
	const struct program program = {
		.argument = conf->argument, .environment = conf->environment, .directory = conf->directory,
		.group = conf->group, .groups = conf->groups, .open_files = conf->open_files,
		.processes = conf->processes, .uid = conf->uid, .gid = conf->gid,
	};

	return application_start_as(&program, outputs[0].write_fd, outputs[1].write_fd);
}

void application_watch(void)
{
	output_watch(&outputs[0]);
	output_watch(&outputs[1]);
}

void application_drain(void)
{
	output_drain(&outputs[0]);
	output_drain(&outputs[1]);
}

struct output_counts application_output(int stream)
{
	return (struct output_counts){names[stream], outputs[stream].count, outputs[stream].dropped};
}
