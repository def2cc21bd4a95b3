/* A bit of everything a service does, to compare what really happens with what the analysis found. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void on_alarm(int number) { (void)number; }
static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void *serve(void *listener)
{
    int peer = accept(*(int *)listener, 0, 0);
    if (write(peer, "hello", 5) != 5) abort();
    close(peer);
    return malloc(100000);
}

static int talk(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char text[8] = "";
    pthread_t thread;
    int listener = socket(AF_INET, SOCK_STREAM, 0), peer = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    if (pthread_create(&thread, 0, serve, &listener)) return 2;
    if (connect(peer, (struct sockaddr *)&address, size)) return 3;
    struct pollfd wait = {.fd = peer, .events = POLLIN};
    poll(&wait, 1, 1000);
    if (recv(peer, text, 5, 0) != 5) return 4;
    pthread_join(thread, 0);
    int queue = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(queue, EPOLL_CTL_ADD, peer, &event);
    epoll_wait(queue, &event, 1, 10);
    return 0;
}

int main(int argc, char **argv)
{
    char name[] = "kiln-work-XXXXXX", line[64];
    int numbers[] = {3, 1, 2}, file = mkstemp(name), status = 0;
    FILE *stream = fdopen(file, "w+");
    struct timespec pause = {0, 1000000};
    fprintf(stream, "%d %s\n", argc, argv[0]);
    rewind(stream);
    if (!fgets(line, sizeof line, stream)) return 10;
    qsort(numbers, 3, sizeof *numbers, order);
    fsync(file);
    fclose(stream);
    unlink(name);
    DIR *folder = opendir("/");
    while (readdir(folder)) continue;
    closedir(folder);
    void *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page, 4096, PROT_READ);
    munmap(page, 4096);
    signal(SIGALRM, on_alarm);
    alarm(1);
    alarm(0);
    raise(SIGALRM);
    nanosleep(&pause, 0);
    pid_t child = fork();
    if (!child) _exit(7);
    waitpid(child, &status, 0);
    if (setgid(getgid()) || setuid(getuid())) return 11;
    getpwnam("nobody");
    getenv("HOME");
    time_t now = time(0);
    printf("%s%d %d\n", ctime(&now), numbers[0], status);
    return talk();
}
