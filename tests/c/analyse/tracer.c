/* Records which system calls programs really make, and where: the analysis must have found them all. Follows threads
   and children; the program's own output goes where it was going. SIGINT, SIGTERM, SIGQUIT, SIGHUP and the user signals
   are handed on to it.

     tracer OUTPUT PROGRAM ARG...             numbers of the calls made, one per line
     tracer -e [-r ROOT] OUTPUT PROGRAM ARG...  evidence, below ROOT as the root folder (with its own /proc, /dev, /sys)

   Lines of evidence, fields separated by tabs:
     map   EXE FILE                                       FILE was mapped executable by a process running EXE
     call  EXE NR SITE ARGUMENTS TEXT CALLERS COUNT COMMAND
   SITE and CALLERS are FILE:OFFSET (offset in the file, hexadecimal; callers separated by `|`, innermost first; only
   words of the stack that lie behind a call instruction). ARGUMENTS are INDEX=VALUE, comma separated, hexadecimal. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 2048, CALLERS = 24, TEXT = 120, RANGES = 2048, TASKS = 4096, CALLS = 1 << 16, PROGRAMS = 512 };

struct range { uint64_t start, end, offset; char file[512]; };
struct task { pid_t pid; int program; };
struct call { uint64_t key; char *line; unsigned long count; char command[20]; };

static struct range ranges[RANGES];
static int range_count;
static struct task tasks[TASKS];
static char *programs[PROGRAMS];
static int program_count;
static struct call calls[CALLS];
static char **maps;
static int map_count;
static unsigned char seen[1024];
static pid_t child;
static int evidence;
static char self[512];

static void hand_on(int number) { kill(child, number); }

static char *text_of(char *format, pid_t pid, long number)
{
    static char path[64], found[512];
    snprintf(path, sizeof path, format, pid, number);
    ssize_t size = readlink(path, found, sizeof found - 1);
    found[size < 0 ? 0 : size] = 0;
    return found;
}

static int program_of(pid_t pid)
{
    char *exe = text_of("/proc/%d/exe", pid, 0);
    for (int i = 0; i < program_count; i++)
        if (!strcmp(programs[i], exe)) return i;
    if (program_count == PROGRAMS) exit(4);
    programs[program_count] = strdup(exe);
    return program_count++;
}

static struct task *task_of(pid_t pid)
{
    struct task *free_one = 0;
    for (int i = 0; i < TASKS; i++) {
        if (tasks[i].pid == pid) return &tasks[i];
        if (!tasks[i].pid && !free_one) free_one = &tasks[i];
    }
    if (!free_one) exit(4);
    free_one->pid = pid;
    free_one->program = program_of(pid);
    return free_one;
}

static void read_maps(pid_t pid)
{
    char path[64], line[1024], mode[8];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *in = fopen(path, "r");
    range_count = 0;
    while (in && fgets(line, sizeof line, in) && range_count < RANGES) {
        struct range *r = &ranges[range_count];
        r->file[0] = 0;
        int got = sscanf(line, "%lx-%lx %7s %lx %*s %*s %511[^\n]", &r->start, &r->end, mode, &r->offset, r->file);
        if (got >= 4 && mode[2] == 'x' && r->file[0] != '[') range_count++;
    }
    if (in) fclose(in);
}

static struct range *range_of(uint64_t address)
{
    for (int i = 0; i < range_count; i++)
        if (ranges[i].start <= address && address < ranges[i].end) return &ranges[i];
    return 0;
}

static ssize_t peek(pid_t pid, uint64_t address, void *to, size_t size)
{
    struct iovec here = {to, size}, there = {(void *)address, size};
    return process_vm_readv(pid, &here, 1, &there, 1, 0);
}

static size_t peek_up_to(pid_t pid, uint64_t address, char *to, size_t size) /* a page at a time, as far as there are */
{
    size_t done = 0;
    while (done < size) {
        size_t step = 4096 - (address + done) % 4096;
        if (step > size - done) step = size - done;
        if (peek(pid, address + done, to + done, step) != (ssize_t)step) break;
        done += step;
    }
    return done;
}

static int behind_a_call(pid_t pid, uint64_t address)
{
    unsigned char b[7];
    if (peek(pid, address - 7, b, 7) != 7) return 0;
    if (b[2] == 0xe8) return 1;
    if (b[5] == 0xff && (b[6] & 0x38) == 0x10) return 1;                       /* call reg, call [reg] */
    if (b[4] == 0xff && (b[5] & 0xf8) == 0x50) return 1;                       /* call [reg+disp8] */
    if (b[4] == 0xff && b[5] == 0x14) return 1;                                /* call [sib] */
    if (b[3] == 0xff && b[4] == 0x54) return 1;                                /* call [sib+disp8] */
    if (b[1] == 0xff && ((b[2] & 0xf8) == 0x90 || b[2] == 0x15)) return 1;     /* call [reg+disp32], [rip+disp32] */
    return b[0] == 0xff && (b[1] == 0x94 || b[1] == 0x14);                     /* call [sib+disp32] */
}

static void add_place(char *to, size_t size, uint64_t address, char *before)
{
    struct range *r = range_of(address);
    size_t at = strlen(to);
    if (r && r->file[0]) snprintf(to + at, size - at, "%s%s:%lx", before, r->file, address - r->start + r->offset);
}

static void add_callers(char *to, size_t size, pid_t pid, uint64_t stack)
{
    static uint64_t words[WORDS];
    size_t got = peek_up_to(pid, stack, (char *)words, sizeof words) / 8;
    int found = 0;
    for (size_t i = 0; i < got && found < CALLERS; i++) {
        struct range *r = range_of(words[i]);
        if (!r || !r->file[0] || !behind_a_call(pid, words[i])) continue;
        add_place(to, size, words[i], found ? "|" : "");
        found++;
    }
}

/* Which arguments tell of features, a bit for each; and which argument is a path or file system type. */
static unsigned telling(uint64_t nr)
{
    switch (nr) {
    case SYS_socket: case SYS_socketpair: return 7;
    case SYS_setsockopt: case SYS_getsockopt: return 6;
    case SYS_ioctl: case SYS_fcntl: case SYS_futex: case SYS_memfd_create: case SYS_setns: return 2;
    case SYS_prctl: case SYS_clone: case SYS_arch_prctl: case SYS_bpf: case SYS_unshare: case SYS_clock_gettime:
    case SYS_clock_nanosleep: case SYS_timer_create: case SYS_timerfd_create: return 1;
    case SYS_madvise: return 4;
    case SYS_mmap: case SYS_mount: return 8;
    default: return 0;
    }
}

static int text_argument(uint64_t nr)
{
    switch (nr) {
    case SYS_open: case SYS_stat: case SYS_lstat: case SYS_access: case SYS_readlink: case SYS_statfs: return 0;
    case SYS_openat: case SYS_newfstatat: case SYS_statx: case SYS_faccessat: case SYS_faccessat2:
    case SYS_readlinkat: case SYS_openat2: return 1;
    case SYS_mount: return 2;
    default: return -1;
    }
}

static void tell_text(char *to, pid_t pid, uint64_t nr, uint64_t address)
{
    char text[TEXT + 1] = "";
    text[peek_up_to(pid, address, text, TEXT)] = 0;
    if (nr != SYS_mount && strncmp(text, "/proc", 5) && strncmp(text, "/sys", 4) && strncmp(text, "/dev", 4)) return;
    for (char *c = text; *c; c++)
        if (*c < ' ') *c = '?';
    strcpy(to, text);
}

static void note_map(int program, char *file)
{
    char line[1200];
    snprintf(line, sizeof line, "map\t%s\t%s", programs[program], file);
    for (int i = 0; i < map_count; i++)
        if (!strcmp(maps[i], line)) return;
    maps = realloc(maps, (map_count + 1) * sizeof *maps);
    maps[map_count++] = strdup(line);
}

static void note_maps(pid_t pid, int program)
{
    read_maps(pid);
    for (int i = 0; i < range_count; i++)
        if (ranges[i].file[0]) note_map(program, ranges[i].file);
}

static uint64_t mixed(uint64_t key, const void *data, size_t size) /* FNV-1a */
{
    for (const unsigned char *b = data; size--; b++) key = (key ^ *b) * 0x100000001b3;
    return key;
}

static void note_call(pid_t pid, struct task *task, struct __ptrace_syscall_info *info)
{
    char arguments[120] = "", text[TEXT + 1] = "";
    uint64_t nr = info->entry.nr, site = info->instruction_pointer - 2;
    unsigned mask = telling(nr);
    for (int i = 0; i < 6; i++)
        if (mask >> i & 1)
            sprintf(arguments + strlen(arguments), "%s%d=%x", *arguments ? "," : "", i, (unsigned)info->entry.args[i]);
    if (text_argument(nr) >= 0) tell_text(text, pid, nr, info->entry.args[text_argument(nr)]);
    if (nr == SYS_mmap && info->entry.args[2] & 4 && !(info->entry.args[3] & 0x20))
        note_map(task->program, text_of("/proc/%d/fd/%ld", pid, (int)info->entry.args[4]));
    uint64_t key = mixed(mixed(mixed(0xcbf29ce484222325, &nr, 8), arguments, strlen(arguments)), text, strlen(text));
    key = mixed(mixed(key, &task->program, sizeof task->program), &site, 8);
    /* the same address in two processes of one program may be two places, but not after fork, which is what servers
       do; a program that is run again is placed elsewhere and gives a line of its own, merged by the reader */
    struct call *c = &calls[key % CALLS];
    for (int tries = 0; c->line && c->key != key; tries++) {
        c = &calls[(key + tries) % CALLS];
        if (tries > 4096) exit(4);
    }
    c->count++;
    if (c->line) return;
    static char line[16384], callers[12288];
    char path[64], where[600] = "";
    read_maps(pid);
    callers[0] = 0;
    add_place(where, sizeof where, site, "");
    add_callers(callers, sizeof callers, pid, info->stack_pointer);
    snprintf(line, sizeof line, "call\t%s\t%lu\t%s\t%s\t%s\t%s", programs[task->program], nr, where, arguments, text,
             callers);
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *comm = fopen(path, "r");
    if (comm) {
        if (fgets(c->command, sizeof c->command, comm)) c->command[strcspn(c->command, "\n")] = 0;
        fclose(comm);
    }
    c->key = key;
    c->line = strdup(line);
}

static void write_text(char *path, char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) _exit(126);
    close(fd);
}

static void enter(char *root)
{
    static char *shared[] = {"/proc", "/dev", "/sys"};
    char map[64], path[1024];
    uid_t user = geteuid();
    gid_t group = getegid();
    if (unshare(CLONE_NEWNS | (user ? CLONE_NEWUSER : 0))) _exit(126);
    if (user) {
        write_text("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "0 %d 1", user);
        write_text("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "0 %d 1", group);
        write_text("/proc/self/gid_map", map);
    }
    if (mount("none", "/", 0, MS_REC | MS_PRIVATE, 0)) _exit(126);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", root, shared[i]);
        mkdirat(AT_FDCWD, path, 0755);
        if (mount(shared[i], path, 0, MS_BIND | MS_REC, 0)) _exit(126);
    }
    if (chroot(root) || chdir("/")) _exit(126);
}

static void stopped(pid_t pid, int status)
{
    int number = WSTOPSIG(status), pass = 0, event = status >> 16;
    struct task *task = task_of(pid);
    if (number == (SIGTRAP | 0x80)) {
        struct __ptrace_syscall_info info;
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY && strcmp(programs[task->program], self)) {
            if (info.entry.nr < sizeof seen) seen[info.entry.nr] = 1;
            if (evidence) note_call(pid, task, &info);
        }
    } else if (event == PTRACE_EVENT_EXEC) {
        task->program = program_of(pid);
        if (evidence) note_maps(pid, task->program);
    } else if (number != SIGSTOP && !event) {
        pass = number;
    }
    ptrace(PTRACE_SYSCALL, pid, 0, pass);
}

static int follow(void)
{
    int status, result = 1;
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == ECHILD) return result;
        if (pid < 0) continue;
        if (WIFSTOPPED(status)) {
            stopped(pid, status);
            continue;
        }
        if (pid == child) result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        for (int i = 0; i < TASKS; i++)
            if (tasks[i].pid == pid) tasks[i].pid = 0;
    }
}

static int report(char *path)
{
    FILE *out = fopen(path, "w");
    if (!out) return 3;
    for (unsigned i = 0; !evidence && i < sizeof seen; i++)
        if (seen[i]) fprintf(out, "%u\n", i);
    for (int i = 0; i < map_count; i++) fprintf(out, "%s\n", maps[i]);
    for (int i = 0; i < CALLS; i++)
        if (calls[i].line) fprintf(out, "%s\t%lu\t%s\n", calls[i].line, calls[i].count, calls[i].command);
    return fclose(out) ? 3 : 0;
}

int main(int argc, char **argv)
{
    int option;
    char *root = 0;
    while ((option = getopt(argc, argv, "+er:")) != -1) {
        if (option == 'e') evidence = 1;
        else if (option == 'r') root = optarg;
        else return 2;
    }
    argv += optind;
    if (argc - optind < 2) return 2;
    strcpy(self, text_of("/proc/%d/exe", getpid(), 0));
    child = fork();
    if (child == 0) {
        if (root) enter(root);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(argv[1], argv + 1);
        _exit(127);
    }
    int status;
    int handed[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    for (unsigned i = 0; i < sizeof handed / sizeof *handed; i++) signal(handed[i], hand_on);
    waitpid(child, &status, 0);
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    ptrace(PTRACE_SETOPTIONS, child, 0, options);
    ptrace(PTRACE_SYSCALL, child, 0, 0);
    int result = follow(), written = report(argv[0]);
    return written ? written : result;
}
