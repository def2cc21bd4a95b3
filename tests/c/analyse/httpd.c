/* A small HTTP server as static images have it: epoll, a worker thread, files by sendfile, timers and signals as files.
   Usage: httpd PORT FOLDER */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static int queue[64], queued, served, folder, ending;

static void reply(int peer, int status, const char *text, size_t size)
{
    dprintf(peer, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status, size);
    if (text && write(peer, text, size) < 0) perror("write");
}

static void answer(int peer)
{
    char request[2048], path[512] = "";
    ssize_t got = recv(peer, request, sizeof request - 1, 0);
    request[got > 0 ? got : 0] = 0;
    struct stat about;
    if (sscanf(request, "GET /%511s", path) != 1 || strstr(path, "..")) {
        reply(peer, 400, "bad\n", 4);
    } else if (!strcmp(path, "time")) {
        char text[64];
        time_t now = time(0);
        reply(peer, 200, text, strftime(text, sizeof text, "%c\n", localtime(&now)));
    } else {
        int file = openat(folder, path, O_RDONLY);
        if (file < 0 || fstat(file, &about) || !S_ISREG(about.st_mode)) {
            reply(peer, 404, strerror(errno), strlen(strerror(errno)));
        } else {
            reply(peer, 200, 0, about.st_size);
            while (sendfile(peer, file, 0, 65536) > 0) continue;
        }
        if (file >= 0) close(file);
    }
    shutdown(peer, SHUT_WR);
    close(peer);
}

static void *worker(void *unused)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        while (!queued && !ending) pthread_cond_wait(&work, &lock);
        int peer = queued ? queue[--queued] : -1;
        served++;
        pthread_mutex_unlock(&lock);
        if (peer < 0) return unused;
        answer(peer);
    }
}

static void give(int peer)
{
    pthread_mutex_lock(&lock);
    int full = queued == 64;
    if (!full) queue[queued++] = peer;
    pthread_cond_signal(&work);
    pthread_mutex_unlock(&lock);
    if (full) close(peer);
}

static void watch(int poller, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    folder = open(argv[2], O_RDONLY | O_DIRECTORY);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64) || folder < 0) return 1;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, 0);
    signal(SIGPIPE, SIG_IGN);
    int signalled = signalfd(-1, &signals, SFD_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec every = {{0, 100000000}, {0, 100000000}};
    timerfd_settime(timer, 0, &every, 0);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    watch(poller, listener);
    watch(poller, signalled);
    watch(poller, timer);
    pthread_t thread;
    pthread_create(&thread, 0, worker, 0);
    while (!ending) {
        struct epoll_event event;
        struct signalfd_siginfo info;
        unsigned long ticks;
        if (epoll_wait(poller, &event, 1, 1000) != 1) continue;
        if (event.data.fd == listener) {
            int peer = accept4(listener, 0, 0, SOCK_CLOEXEC);
            if (peer >= 0) give(peer);
        } else if (event.data.fd == timer) {
            if (read(timer, &ticks, sizeof ticks) < 0) perror("timer");
        } else if (read(signalled, &info, sizeof info) == sizeof info && info.ssi_signo == SIGTERM) {
            pthread_mutex_lock(&lock);
            ending = 1;
            pthread_cond_signal(&work);
            pthread_mutex_unlock(&lock);
        }
    }
    pthread_join(thread, 0);
    printf("%d served\n", served);
    return 0;
}
