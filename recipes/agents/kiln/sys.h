/* System calls without a C library between: every number stands at its call as a constant, so that an analysis of the
 * binary finds exactly these, and a child that shares our memory touches no state of the library.
 * They return what the kernel returns: a value, or a negative error number. */
#ifndef KILN_SYS_H
#define KILN_SYS_H

#include <dirent.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/types.h>
#include <time.h>

#ifndef __x86_64__
#error "the system call instruction of this architecture is not written down yet"
#endif

#define SYS static inline __attribute__((always_inline))
/* The number is part of the instructions, right before `syscall`: no compiler can merge two calls or move it away. */
#define SYS_CALL "movl %[number], %%eax\n\tsyscall"
#define SYS_NUMBER [number] "i"(number)
#define SYS_CLOBBERS "rcx", "r11", "memory"

SYS long sys_call0(const int number)
{
	long result;

	__asm__ volatile(SYS_CALL : "=&a"(result) : SYS_NUMBER : SYS_CLOBBERS);
	return result;
}

SYS long sys_call1(const int number, long a)
{
	long result;

	__asm__ volatile(SYS_CALL : "=&a"(result) : SYS_NUMBER, "D"(a) : SYS_CLOBBERS);
	return result;
}

SYS long sys_call2(const int number, long a, long b)
{
	long result;

	__asm__ volatile(SYS_CALL : "=&a"(result) : SYS_NUMBER, "D"(a), "S"(b) : SYS_CLOBBERS);
	return result;
}

SYS long sys_call3(const int number, long a, long b, long c)
{
	long result;

	__asm__ volatile(SYS_CALL : "=&a"(result) : SYS_NUMBER, "D"(a), "S"(b), "d"(c) : SYS_CLOBBERS);
	return result;
}

SYS long sys_call4(const int number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile(SYS_CALL : "=&a"(result) : SYS_NUMBER, "D"(a), "S"(b), "d"(c), "r"(r10) : SYS_CLOBBERS);
	return result;
}

SYS long sys_call5(const int number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;

	__asm__ volatile(SYS_CALL
			 : "=&a"(result)
			 : SYS_NUMBER, "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : SYS_CLOBBERS);
	return result;
}

SYS long sys_call6(const int number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile(SYS_CALL
			 : "=&a"(result)
			 : SYS_NUMBER, "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : SYS_CLOBBERS);
	return result;
}

/* files */
SYS long sys_read(int fd, void *to, size_t size) { return sys_call3(SYS_read, fd, (long)to, (long)size); }
SYS long sys_write(int fd, const void *from, size_t size) { return sys_call3(SYS_write, fd, (long)from, (long)size); }
SYS long sys_open(const char *path, int flags) { return sys_call3(SYS_open, (long)path, flags, 0); }
SYS long sys_create(const char *path, int flags, unsigned int mode)
{
	return sys_call3(SYS_open, (long)path, flags, (long)mode);
}
SYS long sys_close(int fd) { return sys_call1(SYS_close, fd); }
SYS long sys_stat(const char *path, struct stat *to) { return sys_call2(SYS_stat, (long)path, (long)to); }
SYS long sys_readlink(const char *path, char *to, size_t size)
{
	return sys_call3(SYS_readlink, (long)path, (long)to, (long)size);
}
SYS long sys_getdents(int fd, void *to, size_t size) { return sys_call3(SYS_getdents64, fd, (long)to, (long)size); }
SYS long sys_ioctl(int fd, unsigned long request, const void *argument)
{
	return sys_call3(SYS_ioctl, fd, (long)request, (long)argument);
}
SYS long sys_pipe2(int ends[2], int flags) { return sys_call2(SYS_pipe2, (long)ends, flags); }
SYS long sys_dup2(int from, int to) { return sys_call2(SYS_dup2, from, to); }
SYS long sys_mkdir(const char *path, unsigned int mode) { return sys_call2(SYS_mkdir, (long)path, (long)mode); }
SYS long sys_chown(const char *path, uint32_t uid, uint32_t gid)
{
	return sys_call3(SYS_chown, (long)path, (long)uid, (long)gid);
}
SYS long sys_fchown(int fd, uint32_t uid, uint32_t gid) { return sys_call3(SYS_fchown, fd, (long)uid, (long)gid); }
SYS long sys_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)
{
	return sys_call5(SYS_mount, (long)source, (long)target, (long)type, (long)flags, (long)data);
}
SYS long sys_umount(const char *target) { return sys_call2(SYS_umount2, (long)target, 0); }
SYS long sys_sync(void) { return sys_call0(SYS_sync); }

/* waiting and time; `mask` is a set of signals as the kernel has it, 64 bits */
SYS long sys_ppoll(struct pollfd *watched, size_t count, const struct timespec *timeout, const uint64_t *mask)
{
	return sys_call5(SYS_ppoll, (long)watched, (long)count, (long)timeout, (long)mask, (long)sizeof *mask);
}
SYS long sys_sigprocmask(int how, const uint64_t *mask)
{
	return sys_call4(SYS_rt_sigprocmask, how, (long)mask, 0, (long)sizeof *mask);
}
SYS long sys_clock_gettime(int clock, struct timespec *to) { return sys_call2(SYS_clock_gettime, clock, (long)to); }

/* processes */
SYS long sys_getpid(void) { return sys_call0(SYS_getpid); }
SYS long sys_wait4(int pid, int *status, int options) { return sys_call4(SYS_wait4, pid, (long)status, options, 0); }
SYS long sys_kill(int pid, int signal) { return sys_call2(SYS_kill, pid, signal); }
SYS long sys_execve(const char *path, char *const argv[], char *const envp[])
{
	return sys_call3(SYS_execve, (long)path, (long)argv, (long)envp);
}
SYS long sys_setsid(void) { return sys_call0(SYS_setsid); }
SYS long sys_chdir(const char *path) { return sys_call1(SYS_chdir, (long)path); }
SYS long sys_setgroups(size_t count, const uint32_t *groups) { return sys_call2(SYS_setgroups, (long)count, (long)groups); }
SYS long sys_setgid(uint32_t gid) { return sys_call1(SYS_setgid, (long)gid); }
SYS long sys_setuid(uint32_t uid) { return sys_call1(SYS_setuid, (long)uid); }
SYS long sys_prctl(int option, long value) { return sys_call5(SYS_prctl, option, value, 0, 0, 0); }
SYS long sys_setrlimit(int what, const struct rlimit *limit) { return sys_call2(SYS_setrlimit, what, (long)limit); }

/* sockets */
SYS long sys_socket(int family, int type) { return sys_call3(SYS_socket, family, type, 0); }
SYS long sys_connect(int fd, const void *address, size_t size)
{
	return sys_call3(SYS_connect, fd, (long)address, (long)size);
}
SYS long sys_bind(int fd, const void *address, size_t size) { return sys_call3(SYS_bind, fd, (long)address, (long)size); }
SYS long sys_setsockopt(int fd, int level, int option, const void *value, size_t size)
{
	return sys_call5(SYS_setsockopt, fd, level, option, (long)value, (long)size);
}
SYS long sys_sendto(int fd, const void *from, size_t size, const void *address, size_t address_size)
{
	return sys_call6(SYS_sendto, fd, (long)from, (long)size, 0, (long)address, (long)address_size);
}
SYS long sys_listen(int fd, int backlog) { return sys_call2(SYS_listen, fd, backlog); }
SYS long sys_accept4(int fd, int flags) { return sys_call4(SYS_accept4, fd, 0, 0, flags); }
SYS long sys_shutdown(int fd, int how) { return sys_call2(SYS_shutdown, fd, how); }

/* the machine */
SYS long sys_sethostname(const char *name, size_t size) { return sys_call2(SYS_sethostname, (long)name, (long)size); }
SYS long sys_sysinfo(struct sysinfo *to) { return sys_call1(SYS_sysinfo, (long)to); }
SYS long sys_reboot(unsigned int command)
{
	return sys_call4(SYS_reboot, 0xfee1dead, 0x28121969, (long)command, 0); /* linux/reboot.h */
}

#endif
