/* A signal handler and a thread. */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static volatile int seen;
static void note(int number) { seen = number; }
static void *run(void *argument) { return raise(SIGUSR1), argument; }

int main(void)
{
    struct sigaction action = {.sa_handler = note};
    pthread_t thread;
    sigaction(SIGUSR1, &action, 0);
    if (pthread_create(&thread, 0, run, 0)) return 2;
    pthread_join(thread, 0);
    return seen != SIGUSR1;
}
