/*
 * A server that is told what happens to its associations.
 *
 *     notifications PORT ASSOCIATIONS
 *
 * Chapter 9: notifications are messages that SCTP itself sends to the program (RFC 6458, section
 * 6): recvmsg() marks them by MSG_NOTIFICATION. SCTP_EVENT (section 6.2.2) says which are wanted.
 * It ends when so many associations have ended.
 */
#include <netinet/sctp.h>
#include <unistd.h>

#include "../example.h"

static void ask_for(int server, uint16_t type)
{
    struct sctp_event event = {.se_assoc_id = SCTP_FUTURE_ASSOC, .se_type = type, .se_on = 1};

    if (setsockopt(server, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof(event)) < 0)
        fail("SCTP_EVENT");
}

/* Returns 1 if an association has ended. */
static int print_association_change(const union sctp_notification *notification)
{
    const struct sctp_assoc_change *change = &notification->sn_assoc_change;

    switch (change->sac_state) {
    case SCTP_COMM_UP:
        printf("association up: %u streams out, %u in\n", change->sac_outbound_streams,
               change->sac_inbound_streams);
        return 0;
    case SCTP_COMM_LOST:
        printf("association lost, error %u\n", change->sac_error);
        return 1;
    case SCTP_RESTART:
        printf("the peer has begun anew\n");
        return 0;
    case SCTP_SHUTDOWN_COMP:
        printf("association shut down\n");
        return 1;
    default:
        printf("the association could not be set up\n");
        return 0;
    }
}

static int print_notification(const union sctp_notification *notification)
{
    switch (notification->sn_header.sn_type) {
    case SCTP_ASSOC_CHANGE:
        return print_association_change(notification);
    case SCTP_PEER_ADDR_CHANGE:
        printf("path to %s: state %d\n", address_text(&notification->sn_paddr_change.spc_aaddr),
               notification->sn_paddr_change.spc_state);
        break;
    case SCTP_SHUTDOWN_EVENT:
        printf("the peer will send nothing more\n");
        break;
    case SCTP_REMOTE_ERROR:
        printf("the peer reports error %u\n", ntohs(notification->sn_remote_error.sre_error));
        break;
    case SCTP_SENDER_DRY_EVENT:
        printf("all that was sent has been acknowledged\n");
        break;
    default:
        printf("notification %u\n", notification->sn_header.sn_type);
        break;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int server, left;

    if (argc != 3 || atoi(argv[2]) <= 0) {
        fprintf(stderr, "usage: notifications PORT ASSOCIATIONS\n");
        return 2;
    }
    address = read_address("0.0.0.0", argv[1]);
    left = atoi(argv[2]);
    server = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    if (server < 0)
        fail("socket");
    ask_for(server, SCTP_ASSOC_CHANGE);
    ask_for(server, SCTP_PEER_ADDR_CHANGE);
    ask_for(server, SCTP_REMOTE_ERROR);
    ask_for(server, SCTP_SHUTDOWN_EVENT);
    if (bind(server, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("bind");
    if (listen(server, 16) < 0)
        fail("listen");
    printf("waiting on port %s\n", argv[1]);
    fflush(stdout);
    while (left > 0) {
        union {
            char bytes[4096];
            union sctp_notification notification;
        } message;
        struct iovec part = {.iov_base = message.bytes, .iov_len = sizeof(message)};
        struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
        ssize_t received = recvmsg(server, &header, 0);

        if (received < 0)
            fail("recvmsg");
        if (header.msg_flags & MSG_NOTIFICATION)
            left -= print_notification(&message.notification);
        else
            printf("message: %.*s\n", (int)received, message.bytes);
        fflush(stdout);
    }
    close(server);
    return 0;
}
