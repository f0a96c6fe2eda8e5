/* Scenes of lives: setup, ends, notifications: RFC 6458, sections 3, 4, 6.1, 8.1.4, 8.1.8, 9.2. */
#include "scenes.h"

/* Sends with a one-to-many socket, to the scene's server. */
static long send_many(int fd, const char *text, uint16_t flags, sctp_assoc_t id)
{
    struct sockaddr_in address = server_address();
    struct sctp_sndrcvinfo info = {.sinfo_flags = flags, .sinfo_assoc_id = id};
    if (id)
        return sctp_send(fd, text, strlen(text), &info, MSG_NOSIGNAL);
    return sctp_sendmsg(fd, text, strlen(text), (struct sockaddr *)&address, sizeof(address), 0,
                        flags, 0, 0, 0);
}

static void one_to_one(void)
{
    int ends[2];
    char byte;
    pair(ends, ALL_EVENTS);
    show("client", ends[0], 300, 0);
    show_silence("client has no more", ends[0]);
    show("server", ends[1], 300, 0);
    show_silence("server has no more", ends[1]);
    tell("send", send(ends[0], "hello", 5, 0));
    show("message", ends[1], 300, 0);
    tell("shutdown", shutdown(ends[0], SHUT_WR));
    show("server", ends[1], 300, 0);
    show("server", ends[1], 300, 0);
    show("server", ends[1], 300, 0);
    tell("server sends", send(ends[1], "x", 1, MSG_NOSIGNAL));
    show("client", ends[0], 300, 0);
    tell("client sends", send(ends[0], "x", 1, MSG_NOSIGNAL));
    tell("client shuts down again", shutdown(ends[0], SHUT_WR));
    tell("client reads, blocking", recv(ends[0], &byte, 1, 0));
    show_option("SO_ERROR", ends[0], SOL_SOCKET, SO_ERROR);
    close(ends[0]);
    close(ends[1]);
}

static void one_to_many(void)
{
    int server = listener(SOCK_SEQPACKET), many = client(SOCK_SEQPACKET);
    struct sctp_setadaptation adaptation = {42};
    setsockopt(many, SOL_SCTP, SCTP_ADAPTATION_LAYER, &adaptation, sizeof(adaptation));
    subscribe(server, ALL_EVENTS);
    subscribe(many, ALL_EVENTS);
    tell("send", send_many(many, "hello", 0, 0));
    for (int i = 0; i < 3; i++)
        show("server", server, 300, 0);
    show("client", many, 300, 0);
    show_silence("client has no more", many);
    sctp_assoc_t id = association_of(many);
    tell("by its id", send_many(many, "again", 0, id));
    show("server", server, 300, 0);
    tell("EOF", send_many(many, "", SCTP_EOF, id));
    show("client", many, 300, 0);
    show("server", server, 300, 0);
    show("server", server, 300, 0);
    tell("by an id that is gone", send_many(many, "again", 0, id));
    show_option("associations", many, SOL_SCTP, SCTP_GET_ASSOC_NUMBER);
    close(many);
    close(server);
}

static void aborts(void)
{
    int server = listener(SOCK_SEQPACKET), many = client(SOCK_SEQPACKET);
    subscribe(server, ALL_EVENTS);
    subscribe(many, ALL_EVENTS);
    send_many(many, "hello", 0, 0);
    show("server", server, 300, 0);
    show("server", server, 300, 0);
    show("client", many, 300, 0);
    tell("ABORT", send_many(many, "because", SCTP_ABORT, association_of(many)));
    show("server", server, 300, 0);
    show("client", many, 300, 0);
    show_silence("client has no more", many);
    close(many);
    close(server);
}

static void reset(void)
{
    int ends[2];
    char byte;
    struct linger linger = {1, 0};
    pair(ends, 0);
    setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    tell("close", close(ends[0]));
    struct pollfd p = {.fd = ends[1], .events = POLLIN};
    poll(&p, 1, 2000);
    show_option("SO_ERROR", ends[1], SOL_SOCKET, SO_ERROR);
    show_option("SO_ERROR", ends[1], SOL_SOCKET, SO_ERROR);
    tell("recv", recv(ends[1], &byte, 1, 0));
    tell("send", send(ends[1], &byte, 1, MSG_NOSIGNAL));
    close(ends[1]);
    pair(ends, 0);
    setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(ends[0]);
    p.fd = ends[1];
    poll(&p, 1, 2000);
    tell("recv", recv(ends[1], &byte, 1, 0));
    tell("recv", recv(ends[1], &byte, 1, 0));
    close(ends[1]);
    pair(ends, 0);
    send(ends[0], "unread", 6, 0);
    await_delivery(ends[0]);
    tell("close with something unread", close(ends[1]));
    p.fd = ends[0];
    poll(&p, 1, 2000);
    tell("recv", recv(ends[0], &byte, 1, 0));
    close(ends[0]);
}

static void lingers(void)
{
    int ends[2];
    char bytes[10];
    struct linger linger = {1, 2};
    pair(ends, 0);
    setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    send(ends[0], "last", 4, 0);
    tell("close", close(ends[0]));
    tell("recv", recv(ends[1], bytes, sizeof(bytes), 0));
    tell("recv", recv(ends[1], bytes, sizeof(bytes), 0));
    close(ends[1]);
}

static void refused(void)
{
    struct sockaddr_in address = server_address();
    int fd = client(SOCK_STREAM);
    char byte;
    tell("connect", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    tell("recv", recv(fd, &byte, 1, MSG_DONTWAIT));
    tell("connect again", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    int waiting = listener(SOCK_STREAM);
    tell("connect to a listener", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    tell("connect when connected", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    close(fd);
    close(waiting);
}

static void without_waiting(void)
{
    struct sockaddr_in address = server_address();
    int fd = client(SOCK_STREAM | SOCK_NONBLOCK);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    tell("connect", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    tell("poll", poll(&p, 1, 2000));
    tell_text("POLLOUT", "%d", (p.revents & POLLOUT) != 0);
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    close(fd);
    int waiting = listener(SOCK_STREAM | SOCK_NONBLOCK);
    tell("accept nobody", accept(waiting, NULL, NULL));
    fd = client(SOCK_STREAM | SOCK_NONBLOCK);
    p.fd = fd;
    p.revents = 0;
    tell("connect", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    tell("poll", poll(&p, 1, 2000));
    tell_text("events", "%#x", (unsigned)p.revents);
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    tell("connect again", connect(fd, (struct sockaddr *)&address, sizeof(address)));
    p = (struct pollfd){.fd = waiting, .events = POLLIN};
    tell("poll of the listener", poll(&p, 1, 2000));
    int accepted = accept4(waiting, NULL, NULL, SOCK_CLOEXEC);
    tell_text("accepted", "flags %d %d", fcntl(accepted, F_GETFL) & O_NONBLOCK,
              fcntl(accepted, F_GETFD));
    tell("recv at once", recv(fd, &p, 1, 0));
    close(accepted);
    close(fd);
    close(waiting);
}

static void send_to_all(void)
{
    struct sockaddr_in address = server_address();
    int server = listener(SOCK_SEQPACKET), clients[3];
    char bytes[10];
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
        tell("connect", connect(clients[i], (struct sockaddr *)&address, sizeof(address)));
    }
    for (int attempt = 0; attempt < 100; attempt++) {
        int count = 0;
        socklen_t length = sizeof(count);
        if (getsockopt(server, SOL_SCTP, SCTP_GET_ASSOC_NUMBER, &count, &length) == 0 && count == 3)
            break;
        usleep(10000);
    }
    show_option("associations", server, SOL_SCTP, SCTP_GET_ASSOC_NUMBER);
    struct sctp_sndrcvinfo info = {.sinfo_flags = SCTP_SENDALL};
    tell("to all", sctp_send(server, "all", 3, &info, 0));
    for (int i = 0; i < 3; i++)
        tell("recv", recv(clients[i], bytes, sizeof(bytes), 0));
    info.sinfo_flags = SCTP_SENDALL | SCTP_EOF;
    tell("end all", sctp_send(server, NULL, 0, &info, 0));
    for (int i = 0; i < 3; i++) {
        tell("recv", recv(clients[i], bytes, sizeof(bytes), 0));
        close(clients[i]);
    }
    close(server);
}

static void closes_by_itself(void)
{
    int server = listener(SOCK_SEQPACKET), many = client(SOCK_SEQPACKET), seconds = 1;
    subscribe(many, 1u << (SCTP_ASSOC_CHANGE - SCTP_SN_TYPE_BASE));
    setsockopt(many, SOL_SCTP, SCTP_AUTOCLOSE, &seconds, sizeof(seconds));
    tell("send", send_many(many, "hello", 0, 0));
    show("up", many, 300, 0);
    show("down by itself", many, 300, 0);
    close(many);
    close(server);
}

/* What was peeled off is asked three times, after its association has ended. */
static void show_peeled_end(unsigned events, uint16_t how, bool by_peer)
{
    int server = listener(SOCK_SEQPACKET), many = client(SOCK_SEQPACKET);
    char byte;
    subscribe(server, events);
    send_many(many, "hello", 0, 0);
    for (int i = events == ALL_EVENTS ? 0 : 1; i < 2; i++)
        show("server", server, 300, 0);
    int peeled = sctp_peeloff(server, association_of(server));
    if (by_peer)
        tell("peer ends", send_many(many, "", how, association_of(many)));
    else
        tell("ends", shutdown(peeled, SHUT_RDWR));
    for (int attempt = 0; attempt < 50; attempt++) {
        struct sctp_status status = {0};
        socklen_t length = sizeof(status);
        if (getsockopt(peeled, SOL_SCTP, SCTP_STATUS, &status, &length) != 0)
            break;
        usleep(10000);
    }
    for (int i = 0; i < 5; i++) {
        struct pollfd p = {.fd = peeled, .events = POLLIN};
        poll(&p, 1, 0);
        ssize_t length = recv(peeled, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
        tell_text("poll", "%s", p.revents ? "something" : "nothing");
        if (length > 0)
            show("what was peeled off", peeled, 300, 0);
        else
            tell("recv", length);
        if (length < 0 && errno != EAGAIN) {
            tell("recv again", recv(peeled, &byte, 1, MSG_DONTWAIT));
            break;
        }
    }
    show_option("SO_ERROR", peeled, SOL_SOCKET, SO_ERROR);
    tell("send", send(peeled, "x", 1, MSG_NOSIGNAL));
    close(peeled);
    close(many);
    close(server);
}

static void peeled_ends(void)
{
    show_peeled_end(0, SCTP_EOF, true);
    show_peeled_end(ALL_EVENTS, SCTP_EOF, true);
    show_peeled_end(0, SCTP_ABORT, true);
    show_peeled_end(ALL_EVENTS, SCTP_ABORT, true);
    show_peeled_end(0, 0, false);
    show_peeled_end(ALL_EVENTS, 0, false);
}

static void peels_off(void)
{
    int server = listener(SOCK_SEQPACKET), many = client(SOCK_SEQPACKET);
    subscribe(server, ALL_EVENTS & ~2u);
    send_many(many, "one", 0, 0);
    send_many(many, "two", 0, association_of(many));
    show("first", server, 300, 0);
    sctp_assoc_t id = association_of(server);
    int peeled = sctp_peeloff_flags(server, id, SOCK_NONBLOCK | SOCK_CLOEXEC);
    tell_text("peeled off", "%d flags %d %d", peeled >= 0, fcntl(peeled, F_GETFL) & O_NONBLOCK,
              fcntl(peeled, F_GETFD));
    show("second", peeled, 300, 0);
    tell("nothing more", recv(peeled, &id, 1, 0));
    show_option("associations left", server, SOL_SCTP, SCTP_GET_ASSOC_NUMBER);
    show_option("SO_TYPE", peeled, SOL_SOCKET, SO_TYPE);
    tell("send", send(peeled, "back", 4, 0));
    show("back", many, 300, 0);
    tell("peel off twice", sctp_peeloff(server, id));
    tell("peel off what is peeled off", sctp_peeloff(peeled, id));
    tell("listen", listen(peeled, 1));
    tell("send from another", send_many(many, "three", 0, 0));
    show("third", peeled, 300, 0);
    tell("shutdown", shutdown(peeled, SHUT_WR));
    show_silence("nothing at the listener", server);
    close(peeled);
    close(many);
    close(server);
}

static void subscribes(void)
{
    int ends[2];
    pair(ends, 0);
    struct sctp_event event = {.se_type = SCTP_SENDER_DRY_EVENT, .se_on = 1};
    tell("SENDER_DRY", setsockopt(ends[0], SOL_SCTP, SCTP_EVENT, &event, sizeof(event)));
    show("dry at once", ends[0], 300, 0);
    send(ends[0], "x", 1, 0);
    show("dry again", ends[0], 300, 0);
    event = (struct sctp_event){.se_type = SCTP_SHUTDOWN_EVENT, .se_on = 1};
    tell("SHUTDOWN_EVENT", setsockopt(ends[1], SOL_SCTP, SCTP_EVENT, &event, sizeof(event)));
    show("message", ends[1], 300, 0);
    close(ends[0]);
    show("shutdown", ends[1], 300, 0);
    show("end", ends[1], 300, 0);
    show("end", ends[1], 300, 0);
    close(ends[1]);
}

static void notifications_in_parts(void)
{
    int ends[2];
    pair(ends, ALL_EVENTS);
    show("8 bytes", ends[1], 8, 0);
    show("the rest of it", ends[1], 300, 0);
    show("peek", ends[0], 300, MSG_PEEK);
    show("whole", ends[0], 300, 0);
    close(ends[0]);
    close(ends[1]);
}

static void both_shut_down(void)
{
    int ends[2];
    char byte;
    pair(ends, 0);
    tell("reader", shutdown(ends[0], SHUT_RD));
    tell("recv", recv(ends[0], &byte, 1, MSG_DONTWAIT));
    tell("send", send(ends[0], "x", 1, MSG_NOSIGNAL));
    tell("peer's recv", recv(ends[1], &byte, 1, 0));
    tell("both", shutdown(ends[1], SHUT_RDWR));
    tell("recv", recv(ends[1], &byte, 1, 0));
    tell("send", send(ends[1], "x", 1, MSG_NOSIGNAL) < 0 ? -1 : 0);
    close(ends[0]);
    close(ends[1]);
}

static void queue_of_listener(void)
{
    struct sockaddr_in address = server_address();
    int waiting = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), fds[4];
    (void)bind(waiting, (struct sockaddr *)&address, sizeof(address));
    listen(waiting, 1);
    for (int i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
        tell("connect", connect(fds[i], (struct sockaddr *)&address, sizeof(address)));
    }
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    int accepted = accept(waiting, NULL, NULL);
    char byte;
    tell_text("accept one whose peer has closed", "%d", accepted >= 0);
    tell("recv", recv(accepted, &byte, 1, 0));
    close(accepted);
    close(waiting);
}

static void inherits(void)
{
    struct sockaddr_in address = server_address();
    int waiting = listener(SOCK_STREAM), on = 1, size = 50000;
    struct sctp_rtoinfo rto = {.srto_initial = 500, .srto_min = 100, .srto_max = 800};
    struct linger linger = {1, 7};
    setsockopt(waiting, SOL_SCTP, SCTP_NODELAY, &on, sizeof(on));
    setsockopt(waiting, SOL_SCTP, SCTP_RTOINFO, &rto, sizeof(rto));
    setsockopt(waiting, SOL_SCTP, SCTP_RECVRCVINFO, &on, sizeof(on));
    setsockopt(waiting, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(waiting, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(waiting, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    setsockopt(waiting, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(waiting, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    subscribe(waiting, ALL_EVENTS);
    int fd = client(SOCK_STREAM);
    (void)connect(fd, (struct sockaddr *)&address, sizeof(address));
    int accepted = accept(waiting, NULL, NULL);
    show_option("NODELAY", accepted, SOL_SCTP, SCTP_NODELAY);
    show_option("RECVRCVINFO", accepted, SOL_SCTP, SCTP_RECVRCVINFO);
    show_option("RCVBUF", accepted, SOL_SOCKET, SO_RCVBUF);
    show_option("SNDBUF", accepted, SOL_SOCKET, SO_SNDBUF);
    show_option("LINGER", accepted, SOL_SOCKET, SO_LINGER);
    show_option("REUSEADDR", accepted, SOL_SOCKET, SO_REUSEADDR);
    show_option("KEEPALIVE", accepted, SOL_SOCKET, SO_KEEPALIVE);
    show_option("ACCEPTCONN", accepted, SOL_SOCKET, SO_ACCEPTCONN);
    socklen_t length = sizeof(rto);
    tell("RTOINFO", getsockopt(accepted, SOL_SCTP, SCTP_RTOINFO, &rto, &length));
    tell_text("of it", "%u %u %u", rto.srto_initial, rto.srto_min, rto.srto_max);
    show("events", accepted, 300, 0);
    close(fd);
    close(accepted);
    close(waiting);
}

static void streams(void)
{
    int ends[2];
    struct sockaddr_in address = server_address();
    struct sctp_initmsg init = {.sinit_num_ostreams = 3, .sinit_max_instreams = 5};
    int waiting = listener(SOCK_STREAM);
    ends[0] = client(SOCK_STREAM);
    setsockopt(ends[0], SOL_SCTP, SCTP_INITMSG, &init, sizeof(init));
    (void)connect(ends[0], (struct sockaddr *)&address, sizeof(address));
    ends[1] = accept(waiting, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        struct sctp_status status = {0};
        socklen_t length = sizeof(status);
        tell("SCTP_STATUS", getsockopt(ends[i], SOL_SCTP, SCTP_STATUS, &status, &length));
        tell_text("streams", "in %u out %u window %u", status.sstat_instrms, status.sstat_outstrms,
                  status.sstat_rwnd);
    }
    struct sctp_sndrcvinfo info = {.sinfo_stream = 3};
    tell("send on a stream too many", sctp_send(ends[0], "x", 1, &info, 0));
    info.sinfo_stream = 5;
    tell("send on a stream too many", sctp_send(ends[1], "x", 1, &info, 0));
    info.sinfo_stream = 4;
    tell("send on the last stream", sctp_send(ends[1], "x", 1, &info, 0));
    close(ends[0]);
    close(ends[1]);
    close(waiting);
}

/* A second message that finds no room, and ends: what was not sent is given back. */
static void gives_back(void)
{
    int ends[2];
    static char bytes[60000];
    struct linger linger = {1, 0};
    pair(ends, 1u << (SCTP_SEND_FAILED - SCTP_SN_TYPE_BASE));
    struct sctp_sndrcvinfo info = {.sinfo_stream = 1, .sinfo_ppid = 3, .sinfo_context = 21};
    for (int i = 0; i < 3; i++)
        tell("send", sctp_send(ends[0], bytes, sizeof(bytes), &info, MSG_DONTWAIT));
    usleep(100000);
    setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(ends[1]);
    show("given back", ends[0], 300, 0);
    close(ends[0]);
}

void scenes_lives(void)
{
    scene_run("one_to_one", one_to_one);
    scene_run("one_to_many", one_to_many);
    scene_run("aborts", aborts);
    scene_run("reset", reset);
    scene_run("lingers", lingers);
    scene_run("refused", refused);
    scene_run("without_waiting", without_waiting);
    scene_run("send_to_all", send_to_all);
    scene_run("closes_by_itself", closes_by_itself);
    scene_run("peels_off", peels_off);
    scene_run("peeled_ends", peeled_ends);
    scene_run("subscribes", subscribes);
    scene_run("notifications_in_parts", notifications_in_parts);
    scene_run("both_shut_down", both_shut_down);
    scene_run("queue_of_listener", queue_of_listener);
    scene_run("inherits", inherits);
    scene_run("streams", streams);
    scene_run("gives_back", gives_back);
}
