/*
 * Captures, read back by tshark, which shares no code with us: real IP and UDP headers with right
 * checksums, directions, times, and nothing malformed. Those that need tshark are skipped without.
 *
 * PCAP Next Generation, RFC 6951 (what Wireshark knows port 9899 by).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"
#include "link/capture.h"
#include "link/memory.h"
#include "packet/chunks.h"
#include "packet/writer.h"

static char directory[] = "/tmp/braid-capture-XXXXXX";
static char path[sizeof(directory) + 16];

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/capture", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static struct capture *open_capture(void)
{
    struct capture *capture = NULL;

    assert_int_equal(capture_open(&capture, path), 0);
    return capture;
}

/* What tshark reads in the capture, with all checksums verified, one line a packet. */
static void read_capture(const char *fields, char *text, size_t capacity)
{
    char command[1024];
    FILE *tshark;
    size_t length;

    if (system("command -v tshark >/dev/null") != 0) /* NOLINT: the commands are our own */
        skip();
    (void)snprintf(command, sizeof(command),
                   "tshark -n -r %s -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE "
                   "-o 'sctp.checksum:CRC 32c' -T fields -E separator=/s %s 2>&1 | grep -v Running",
                   path, fields);
    tshark = popen(command, "r"); /* NOLINT: as above */
    assert_non_null(tshark);
    length = fread(text, 1, capacity - 1, tshark);
    text[length] = '\0';
    pclose(tshark);
}

static void assert_read(const char *fields, const char *expected)
{
    char text[4096];

    read_capture(fields, text, sizeof(text));
    assert_string_equal(text, expected);
}

/* A HEARTBEAT with `length` bytes of information; the length of the packet. */
static size_t write_heartbeat(uint8_t *bytes, size_t capacity, size_t length)
{
    struct sctp_common_header header = {
        .source_port = 40000, .destination_port = 5001, .verification_tag = 0x1a2b3c4d};
    static const uint8_t information[2000];
    struct packet_writer writer;
    size_t chunk;

    packet_writer_init(&writer, bytes, capacity);
    packet_write_common_header(&writer, &header);
    chunk = chunk_begin(&writer, SCTP_CHUNK_HEARTBEAT, 0);
    parameter_write(&writer, 1, information, length);
    chunk_end(&writer, chunk);
    assert_true(packet_finish(&writer));
    return writer.length;
}

static struct capture_packet sample_packet(const char *source, const char *destination)
{
    static uint8_t bytes[2048];

    return (struct capture_packet){
        .direction = CAPTURE_OUTBOUND,
        .time = UINT64_C(1700000000123456789),
        .source = test_address(source),
        .destination = test_address(destination),
        .bytes = bytes,
        .length = write_heartbeat(bytes, sizeof(bytes), 9),
    };
}

/* ---- Tests ------------------------------------------------------------------------------------
 */

static void test_headers(void **state)
{
    struct capture *capture = open_capture();
    struct capture_packet packet = sample_packet("192.0.2.1", "198.51.100.1");
    struct stat status;

    (void)state;
    packet.source_port = 12345;
    packet.destination_port = LINK_UDP_PORT;
    packet.dont_fragment = true;
    packet.traffic_class = 0xb8 | 3;
    capture_write(capture, &packet);
    packet.source_port = packet.destination_port = 0;
    packet.direction = CAPTURE_INBOUND;
    packet.dont_fragment = false;
    packet.time += 1000;
    capture_write(capture, &packet);

    packet = sample_packet("2001:db8::1", "2001:db8::2");
    packet.traffic_class = 3;
    packet.source_port = LINK_UDP_PORT;
    packet.destination_port = 12345;
    capture_write(capture, &packet);
    packet.source_port = packet.destination_port = 0;
    packet.direction = CAPTURE_UNKNOWN;
    capture_write(capture, &packet);
    assert_int_equal(capture_count(capture), 4);
    assert_int_equal(capture_close(capture), 0);

    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_read("-e frame.interface_name -e frame.packet_flags_direction -e frame.time_epoch "
                "-e ip.src -e ip.dst -e ipv6.src -e ipv6.dst",
                "braid 0x00000002 1700000000.123456789 192.0.2.1 198.51.100.1  \n"
                "braid 0x00000001 1700000000.123457789 192.0.2.1 198.51.100.1  \n"
                "braid 0x00000002 1700000000.123456789   2001:db8::1 2001:db8::2\n"
                "braid 0x00000000 1700000000.123456789   2001:db8::1 2001:db8::2\n");
    /* status 1 is "good" */
    assert_read("-e ip.dsfield -e ip.flags.df -e ip.checksum.status -e ipv6.tclass -e udp.srcport "
                "-e udp.dstport -e udp.checksum.status -e sctp.checksum.status -e sctp.chunk_type "
                "-e sctp.srcport",
                "0xbb 1 1  12345 9899 1 1 4 40000\n"
                "0xbb 0 1     1 4 40000\n"
                "   0x00000003 9899 12345 1 1 4 40000\n"
                "   0x00000003    1 4 40000\n");
    assert_read("-Y '_ws.malformed || _ws.expert' -e frame.number", "");
}

/* Packets of all lengths: padding of blocks, odd lengths in the UDP checksum. */
static void test_lengths(void **state)
{
    struct capture *capture = open_capture();
    struct capture_packet packet = sample_packet("192.0.2.1", "198.51.100.1");
    uint8_t bytes[2048];
    char text[4096];

    (void)state;
    packet.source_port = packet.destination_port = LINK_UDP_PORT;
    packet.bytes = bytes;
    for (size_t i = 0; i < 400; i++) {
        packet.length = write_heartbeat(bytes, sizeof(bytes), i * 4);
        packet.length -= i % 4; /* as if cut off: of a length that no packet has */
        capture_write(capture, &packet);
    }
    assert_int_equal(capture_close(capture), 0);
    read_capture("-Y udp.checksum.status==1 -e frame.len | awk '{n++; s += $1} END {print n, s}'",
                 text, sizeof(text));
    /* 28 of IP and UDP, 12 of the common header, 4 each of chunk and parameter */
    assert_string_equal(text, "400 337800\n");
}

/* What cannot be an IP packet is not written, and does not stop the rest. */
static void test_refused(void **state)
{
    struct capture *capture = open_capture();
    struct capture_packet packet = sample_packet("192.0.2.1", "2001:db8::2");
    static uint8_t large[65536];

    (void)state;
    capture_write(capture, &packet);
    packet.source = packet.destination = (struct braid_address){0};
    capture_write(capture, &packet);
    packet = sample_packet("192.0.2.1", "198.51.100.1");
    packet.bytes = large;
    packet.length = 65535 - 19;
    capture_write(capture, &packet);
    assert_int_equal(capture_count(capture), 0);
    packet.length = 65535 - 20;
    for (int i = 0; i < 10; i++) /* more than the buffer holds */
        capture_write(capture, &packet);
    assert_int_equal(capture_count(capture), 10);
    assert_int_equal(capture_close(capture), 0);
    assert_read("-e frame.len -Y frame.number==10", "65535\n");
}

/* Both ends of a wire, in the order seen, at the network's own time. */
static void test_links(void **state)
{
    struct memory_network *network = memory_network_new(1);
    struct braid_address here = test_address("192.0.2.1"), there = test_address("192.0.2.2");
    struct capture *capture = open_capture();
    struct link *from = NULL, *to = NULL;
    struct braid_batch batch = test_batch(NULL, "192.0.2.2", LINK_UDP_PORT, 2, 100, 100);
    struct braid_packet packets[4];

    (void)state;
    assert_int_equal(memory_network_attach(network, &here, 1, LINK_UDP_PORT, &from), 0);
    assert_int_equal(memory_network_attach(network, &there, 1, LINK_UDP_PORT, &to), 0);
    memory_wire_conditions(memory_network_wire(network, NULL, NULL))->delay = 1500;
    link_set_capture(from, capture);
    link_set_capture(to, capture);
    test_send(from, &batch);
    memory_network_advance(network, 1500);
    assert_int_equal(link_receive(to, packets, 4), 2);
    link_set_capture(to, NULL);
    test_send(to, &(struct braid_batch){.bytes = batch.bytes,
                                        .count = 1,
                                        .length = 100,
                                        .segment_size = 100,
                                        .destination = here,
                                        .encapsulation_port = LINK_UDP_PORT});
    link_close(from);
    link_close(to);
    memory_network_free(network);
    assert_int_equal(capture_close(capture), 0);
    assert_read("-e frame.interface_id -e frame.packet_flags_direction -e frame.time_epoch "
                "-e ip.src -e ip.dst -e udp.length",
                "0 0x00000002 0.000000000 192.0.2.1 192.0.2.2 108\n"
                "0 0x00000002 0.000000000 192.0.2.1 192.0.2.2 108\n"
                "0 0x00000001 0.001500000 192.0.2.1 192.0.2.2 108\n"
                "0 0x00000001 0.001500000 192.0.2.1 192.0.2.2 108\n");
}

/* On a real link the source is the one that the host chooses. */
static void test_source_of_the_host(void **state)
{
    struct link_config config = {0};
    struct capture *capture = open_capture();
    struct link *from = NULL, *to = NULL;
    struct braid_batch batch;
    struct braid_packet packets[4];

    (void)state;
    assert_int_equal(link_open_udp(&from, &config), 0);
    assert_int_equal(link_open_udp(&to, &config), 0);
    link_set_capture(from, capture);
    batch = test_batch(NULL, "127.0.0.3", to->port, 1, 100, 100);
    batch.traffic_class = 3;
    test_send(from, &batch);
    assert_int_equal(test_receive(to, packets, 4), 1);
    link_set_capture(from, NULL);
    link_set_capture(to, capture);
    test_send(from, &batch);
    assert_int_equal(test_receive(to, packets, 4), 1);
    link_close(from);
    link_close(to);
    assert_int_equal(capture_close(capture), 0);
    assert_read("-e ip.src -e ip.dst -e ip.dsfield.ecn -e frame.packet_flags_direction",
                "127.0.0.1 127.0.0.3 3 0x00000002\n127.0.0.1 127.0.0.3 3 0x00000001\n");
}

static void test_errors(void **state)
{
    struct capture *capture = NULL;

    (void)state;
    assert_int_equal(capture_open(&capture, "/nowhere/at/all"), -ENOENT);
    assert_int_equal(capture_open(&capture, "/dev/full"), -ENOSPC);
    assert_null(capture);
    assert_int_equal(capture_close(NULL), 0);
}

/* The disk is full in the middle of a block: what stands in the file is whole, and packets go on.
 */
static void test_full_disk(void **state)
{
    struct capture *capture = open_capture();
    struct capture_packet packet = sample_packet("192.0.2.1", "198.51.100.1");
    struct rlimit before, small;
    struct stat status;
    char text[4096];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 10001;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 1000; i++)
        capture_write(capture, &packet);
    assert_int_equal(capture_flush(capture), -EFBIG);
    assert_int_equal(capture_flush(capture), 0); /* told once */
    capture_write(capture, &packet);
    assert_int_equal(capture_close(capture), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size > 9000 && status.st_size <= 10001);
    read_capture("-e frame.len | sort | uniq -c", text, sizeof(text));
    assert_non_null(strstr(text, " 52\n")); /* all of one length, and no complaint */
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_source_of_the_host),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_full_disk),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
