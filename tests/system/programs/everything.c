/* A bit of everything: a server with epoll and a thread for each association, clients with threads
 * in another process, then a one-to-many socket, a branch of it, and the functions of libsctp. It
 * says "done" and exits with 0 if all went well. It is built with sanitizers, and run under tools
 * that watch programs. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 4
#define MESSAGES 6
#define LONGEST 90000
#define STREAMS 10

static struct sockaddr_in server = {.sin_family = AF_INET};

static void die(int line, const char *what)
{
    fprintf(stderr, "line %d: %s: %s\n", line, what, strerror(errno));
    exit(1);
}

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            die(__LINE__, #condition);                                                             \
    } while (0)

static void *talk(void *argument)
{
    const int number = *(int *)argument;
    char *said = malloc(LONGEST), *heard = malloc(LONGEST);
    struct sctp_initmsg streams = {.sinit_num_ostreams = STREAMS};
    int descriptor = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);

    MUST(descriptor >= 0 && said && heard);
    MUST(setsockopt(descriptor, IPPROTO_SCTP, SCTP_INITMSG, &streams, sizeof(streams)) == 0);
    MUST(connect(descriptor, (struct sockaddr *)&server, sizeof(server)) == 0);
    for (int i = 0; i < MESSAGES; i++) {
        size_t length = 1 + (size_t)(number * 977 + i * 17959) % LONGEST, got = 0;

        memset(said, number + i, length);
        MUST(sctp_sendmsg(descriptor, said, length, NULL, 0, htonl(7), 0, (uint16_t)(i % STREAMS),
                          0, 0) == (int)length);
        while (got < length) {
            struct sockaddr_storage from;
            struct sctp_sndrcvinfo about;
            socklen_t from_length = sizeof(from);
            int flags = 0;
            int received = sctp_recvmsg(descriptor, heard + got, LONGEST - got,
                                        (struct sockaddr *)&from, &from_length, &about, &flags);

            MUST(received > 0);
            got += (size_t)received;
        }
        MUST(got == length && memcmp(said, heard, length) == 0);
    }
    MUST(close(descriptor) == 0);
    free(said);
    free(heard);
    return NULL;
}

static _Noreturn void be_clients(void)
{
    pthread_t threads[CLIENTS];
    int numbers[CLIENTS];

    for (int i = 0; i < CLIENTS; i++) {
        numbers[i] = i;
        MUST(pthread_create(&threads[i], NULL, talk, &numbers[i]) == 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    exit(0);
}

static void *serve(void *argument)
{
    const int descriptor = *(int *)argument;
    char *message = malloc(LONGEST);
    struct sctp_sndrcvinfo about;
    int flags = 0, received;

    MUST(message);
    while ((received = sctp_recvmsg(descriptor, message, LONGEST, NULL, NULL, &about, &flags)) > 0)
        MUST(sctp_sendmsg(descriptor, message, (size_t)received, NULL, 0, about.sinfo_ppid, 0,
                          about.sinfo_stream, 0, 0) == received);
    MUST(received == 0);
    MUST(close(descriptor) == 0);
    free(message);
    return NULL;
}

static int listen_at(int type, struct sockaddr_in *address)
{
    struct sctp_event_subscribe events = {.sctp_data_io_event = 1};
    int descriptor = socket(AF_INET, type, IPPROTO_SCTP);
    socklen_t length = sizeof(*address);

    MUST(descriptor >= 0);
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(bind(descriptor, (struct sockaddr *)address, sizeof(*address)) == 0);
    MUST(listen(descriptor, CLIENTS) == 0);
    MUST(getsockname(descriptor, (struct sockaddr *)address, &length) == 0);
    MUST(setsockopt(descriptor, IPPROTO_SCTP, SCTP_EVENTS, &events, sizeof(events)) == 0);
    return descriptor;
}

static void one_to_one(void)
{
    int listener = listen_at(SOCK_STREAM, &server), waiter = epoll_create1(EPOLL_CLOEXEC), status;
    struct epoll_event event = {.events = EPOLLIN};
    pthread_t threads[CLIENTS];
    int accepted[CLIENTS];
    pid_t child = fork();

    if (child == 0)
        be_clients();
    MUST(epoll_ctl(waiter, EPOLL_CTL_ADD, listener, &event) == 0);
    for (int i = 0; i < CLIENTS; i++) {
        int count;

        do
            count = epoll_wait(waiter, &event, 1, 30000);
        while (count < 0 && errno == EINTR);
        MUST(count == 1);
        accepted[i] = accept(listener, NULL, NULL);
        MUST(accepted[i] >= 0);
        MUST(pthread_create(&threads[i], NULL, serve, &accepted[i]) == 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    MUST(waitpid(child, &status, 0) == child && status == 0);
    close(waiter);
    close(listener);
}

static void one_to_many(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int many = listen_at(SOCK_SEQPACKET, &address), branch, value, flags = 0;
    int client = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    struct sctp_sndinfo how = {.snd_sid = 2};
    struct iovec answer = {"back", 4};
    socklen_t length = sizeof(value);
    struct sctp_sndrcvinfo about;
    struct sctp_status status;
    struct sockaddr *addresses;
    char text[16];

    MUST(client >= 0);
    MUST(sctp_sendmsg(client, "there", 5, (struct sockaddr *)&address, sizeof(address), 0, 0, 1, 0,
                      0) == 5);
    MUST(sctp_recvmsg(many, text, sizeof(text), NULL, NULL, &about, &flags) == 5);
    branch = sctp_peeloff(many, about.sinfo_assoc_id);
    MUST(branch >= 0);
    MUST(sctp_getpaddrs(branch, 0, &addresses) > 0);
    sctp_freepaddrs(addresses);
    MUST(sctp_getladdrs(branch, 0, &addresses) > 0);
    sctp_freeladdrs(addresses);
    status.sstat_assoc_id =
        0; /* the only field that is asked for, and so the only one that is set */
    length = sizeof(status);
    MUST(sctp_opt_info(branch, 0, SCTP_STATUS, &status, &length) == 0);
    MUST(status.sstat_state == SCTP_ESTABLISHED);
    length = sizeof(value);
    MUST(getsockopt(branch, SOL_SOCKET, SO_ERROR, &value, &length) == 0 && value == 0);
    MUST(sctp_sendv(branch, &answer, 1, NULL, 0, &how, sizeof(how), SCTP_SENDV_SNDINFO, 0) == 4);
    MUST(recv(client, text, sizeof(text), 0) == 4 && memcmp(text, "back", 4) == 0);
    close(many);
    close(client);
    close(branch);
}

int main(void)
{
    one_to_one();
    one_to_many();
    puts("done");
    return 0;
}
