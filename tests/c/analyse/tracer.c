/* Prints the numbers of the system calls a program really makes, one per line: the analysis must have found them all.
   Follows threads and children; the program's own output goes where it was going. Usage: tracer OUTPUT PROGRAM ARG... */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned char seen[1024];

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(argv[2], argv + 2);
        _exit(127);
    }
    int status, result = 1, started = 0;
    waitpid(child, &status, 0);
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    ptrace(PTRACE_SETOPTIONS, child, 0, options);
    ptrace(PTRACE_SYSCALL, child, 0, 0);
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == ECHILD) break;
        if (pid < 0) continue;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == child) result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int number = WSTOPSIG(status), pass = 0;
        if (number == (SIGTRAP | 0x80)) {
            struct user_regs_struct registers;
            ptrace(PTRACE_GETREGS, pid, 0, &registers);
            /* the program's own calls start once it runs: what comes before is this tracer's execv */
            if (started > 1 && registers.orig_rax < sizeof seen) seen[registers.orig_rax] = 1;
            if (started == 1) started = 2; /* that execv's own return */
        } else if (number == SIGTRAP && status >> 16) {
            if (status >> 16 == PTRACE_EVENT_EXEC && pid == child) started = 1;
        } else if (number != SIGSTOP) {
            pass = number;
        }
        ptrace(PTRACE_SYSCALL, pid, 0, pass);
    }
    FILE *out = fopen(argv[1], "w");
    if (!out) return 3;
    for (unsigned i = 0; i < sizeof seen; i++)
        if (seen[i]) fprintf(out, "%u\n", i);
    fclose(out);
    return result;
}
