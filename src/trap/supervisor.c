/*
 * Takes the kernel's questions, and answers them. One thread waits for the next; while it carries a
 * call out, another waits. So a call may wait as long as it would in the program.
 *
 * The thread that asks cannot be woken meanwhile, but to die. So that a signal ends its call as
 * signal(7) says, a watchman looks after those that wait, and breaks their calls off.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine/list.h"
#include "trap/private.h"

#define WATCH_NS 20000000       /* how often the watchman looks */
#define SPARE_THREADS 4         /* that may wait for questions */
#define STACK_SIZE (256u << 10) /* a message to be sent is on it */
#define WAKE SIGUSR1
#define RESTART 512 /* the kernel's ERESTARTSYS: again, if the signal's handler says so */

/* A thread that carries out a call. */
struct worker {
    struct list link;
    pthread_t thread;
    uint64_t question;
    pid_t asking;
    unsigned int looks;     /* of the watchman's */
    atomic_bool broken_off; /* because of a signal */
};

static struct {
    int listener;
    struct seccomp_notif_sizes sizes;
    pthread_mutex_t next; /* its holder waits for the next question */
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t busy;
    struct list workers; /* that carry out a call */
    unsigned int waiting;
} supervisor = {
    .next = PTHREAD_MUTEX_INITIALIZER,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .busy = PTHREAD_COND_INITIALIZER,
};

/* ---- The watchman ---- */

static void wake_up(int number)
{
    (void)number; /* a system call ends with EINTR, and that is all */
}

static void look_after(struct worker *worker)
{
    bool gone = ioctl(supervisor.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &worker->question) < 0;

    if (worker->looks++ == 0 && !gone)
        return;
    if (!gone && !target_has_signal(worker->asking))
        return;
    atomic_store(&worker->broken_off, true);
    pthread_kill(worker->thread, WAKE);
}

static void *watch(void *unused)
{
    struct timespec pause = {0, WATCH_NS};

    for (;;) {
        pthread_mutex_lock(&supervisor.lock);
        while (list_is_empty(&supervisor.workers))
            pthread_cond_wait(&supervisor.busy, &supervisor.lock);
        LIST_FOR_EACH(link, &supervisor.workers)
        {
            look_after(LIST_ENTRY(link, struct worker, link));
        }
        pthread_mutex_unlock(&supervisor.lock);
        nanosleep(&pause, NULL);
    }
    return unused;
}

/* ---- Workers ---- */

static bool has_timeout(int descriptor)
{
    struct timeval send = {0}, receive = {0};
    socklen_t length = sizeof(send);

    getsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &send, &length);
    getsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &receive, &length);
    return send.tv_sec || send.tv_usec || receive.tv_sec || receive.tv_usec;
}

static void answer(struct trapped *trapped, struct seccomp_notif_resp *reply)
{
    int64_t result = call(trapped);

    reply->id = trapped->question->id;
    reply->val = result >= 0 ? result : 0;
    reply->error = result >= 0 ? 0 : (int32_t)result;
    reply->flags = 0;
    if (result == CONTINUE) {
        reply->error = 0;
        reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    }
}

static void carry_out(struct worker *worker, struct trapped *trapped,
                      struct seccomp_notif_resp *reply)
{
    pthread_mutex_lock(&supervisor.lock);
    worker->question = trapped->question->id;
    worker->asking = trapped->thread;
    worker->looks = 0;
    atomic_store(&worker->broken_off, false);
    list_append(&supervisor.workers, &worker->link);
    pthread_cond_signal(&supervisor.busy);
    pthread_mutex_unlock(&supervisor.lock);

    answer(trapped, reply);
    if (reply->error == -EINTR && atomic_load(&worker->broken_off) &&
        trapped->question->data.nr != SYS_connect && !has_timeout(trapped->socket.descriptor))
        reply->error = -RESTART;
    target_close(trapped);

    pthread_mutex_lock(&supervisor.lock);
    list_remove(&worker->link);
    pthread_mutex_unlock(&supervisor.lock);
    (void)ioctl(supervisor.listener, SECCOMP_IOCTL_NOTIF_SEND, reply); /* or it has died */
}

static void start_worker(void);

/* Waits for a question, and sees to it that others can be waited for. */
static bool take_question(struct seccomp_notif *question)
{
    struct pollfd poll_end = {.fd = supervisor.listener, .events = POLLIN};
    bool taken;

    pthread_mutex_lock(&supervisor.next);
    while (poll(&poll_end, 1, -1) < 0)
        ;
    if (!(poll_end.revents & POLLIN))
        exit(0); /* nobody is left */
    memset(question, 0, supervisor.sizes.seccomp_notif);
    taken = ioctl(supervisor.listener, SECCOMP_IOCTL_NOTIF_RECV, question) == 0;
    if (taken) {
        pthread_mutex_lock(&supervisor.lock);
        if (--supervisor.waiting == 0)
            start_worker();
        pthread_mutex_unlock(&supervisor.lock);
    }
    pthread_mutex_unlock(&supervisor.next);
    return taken;
}

static bool wait_again(void)
{
    bool again;

    pthread_mutex_lock(&supervisor.lock);
    again = supervisor.waiting < SPARE_THREADS;
    if (again)
        supervisor.waiting++;
    pthread_mutex_unlock(&supervisor.lock);
    return again;
}

static void *work(void *unused)
{
    struct worker worker = {.thread = pthread_self()};
    struct seccomp_notif *question = malloc(supervisor.sizes.seccomp_notif);
    struct seccomp_notif_resp *reply = malloc(supervisor.sizes.seccomp_notif_resp);
    uint8_t *scratch = malloc(CHANNEL_PIECE_MAXIMUM);

    if (!question || !reply || !scratch)
        abort();
    list_init(&worker.link);
    do {
        while (!take_question(question))
            ;
        memset(reply, 0, supervisor.sizes.seccomp_notif_resp);
        carry_out(&worker,
                  &(struct trapped){
                      .listener = supervisor.listener,
                      .question = question,
                      .argument = (const uint64_t *)question->data.args,
                      .thread = (pid_t)question->pid,
                      .process = -1,
                      .socket = {.descriptor = -1},
                      .scratch = scratch,
                  },
                  reply);
    } while (wait_again());
    free(question);
    free(reply);
    free(scratch);
    return unused;
}

static void start_thread(void *(*function)(void *))
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    if (pthread_create(&thread, &attributes, function, NULL) != 0)
        abort();
    pthread_attr_destroy(&attributes);
}

static void start_worker(void)
{
    supervisor.waiting++;
    start_thread(work);
}

_Noreturn void supervise(int listener)
{
    struct sigaction action = {.sa_handler = wake_up};
    struct rlimit limit;

    sigaction(WAKE, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    supervisor.listener = listener;
    list_init(&supervisor.workers);
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &supervisor.sizes) < 0)
        _exit(1);
    start_worker();
    watch(NULL);
    _exit(0);
}
