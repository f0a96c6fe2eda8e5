/*
 * The input of the engine's fuzzer: two bytes that say how it starts, then what happens, one record
 * after the other. A record is one byte of kind, one byte of argument, two of length (the low one
 * first), and so many bytes. One that is cut off ends where the input does. A single byte that is
 * left after the last record says what there is more.
 */
#ifndef TESTS_FUZZ_ENGINE_INPUT_H
#define TESTS_FUZZ_ENGINE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INPUT_START = 2, RECORD_HEADER = 4 };

/* The first byte, modulo START_COUNT: what has happened before. */
enum start {
    START_LISTENING,
    START_COOKIE_WAIT,
    START_COOKIE_ECHOED,
    START_ACCEPTED,
    START_CONNECTED,
    START_DATA_OUTSTANDING,
    START_SHUTDOWN_PENDING,
    START_SHUTDOWN_SENT,
    START_SHUTDOWN_RECEIVED,
    START_SHUTDOWN_ACK_SENT,
    START_COUNT
};

/* The second byte: what there is. */
enum feature {
    FEATURE_AUTH = 1, /* and ASCONF, on both sides */
    FEATURE_PARTIAL_RELIABILITY = 2,
    FEATURE_SMALL_BUFFERS = 4,
    FEATURE_TWO_PATHS = 8,
    FEATURE_DATA_AUTHENTICATED = 16,
    FEATURE_ANY_ADDRESS = 32,
    FEATURE_NO_DELAY = 64,
    FEATURE_IPV6 = 128,
};

/* The byte after the last record; all of it off without one. */
enum more_feature {
    MORE_INTERLEAVING = 1,
    MORE_RECONFIG = 2, /* and the peer may ask for anything */
    MORE_ZERO_CHECKSUM = 4,
    MORE_COUNT = 8
};

/* The kind, modulo RECORD_KINDS. */
enum record_kind {
    RECORD_PACKET, /* the bytes are chunks */
    RECORD_SEND,   /* a message: see user_send() */
    RECORD_READ,   /* argument: how many messages */
    RECORD_TIME,   /* argument: its square in milliseconds passes */
    RECORD_CALL,   /* argument: which call of the user */
    RECORD_KINDS
};

/* The argument of a packet. Tags of 0 and 1: the right one. */
enum packet_argument {
    PACKET_TAG = 3,
    PACKET_TAG_ZERO = 2,
    PACKET_TAG_OWN = 3, /* the peer's own */
    PACKET_OTHER_PATH = 4,
    PACKET_AUTHENTICATED = 8, /* AUTH in front, with the right MAC */
    PACKET_STRANGE_ADDRESS = 16,
    PACKET_OTHER_PORT = 32,
};

struct record {
    uint8_t kind, argument;
    uint16_t length;
    const uint8_t *bytes;
};

/* Takes the next record from `*rest` of `*length` bytes; false at the end. */
static inline bool record_next(const uint8_t **rest, size_t *length, struct record *record)
{
    const uint8_t *bytes = *rest;
    size_t told;

    if (*length < RECORD_HEADER)
        return false;
    told = (size_t)(bytes[2] | bytes[3] << 8);
    *length -= RECORD_HEADER;
    if (told > *length)
        told = *length;
    *record = (struct record){.kind = bytes[0] % RECORD_KINDS,
                              .argument = bytes[1],
                              .length = (uint16_t)told,
                              .bytes = bytes + RECORD_HEADER};
    *rest = bytes + RECORD_HEADER + told;
    *length -= told;
    return true;
}

/* The features after the records in `bytes`, which start where the input's start ends. */
static inline uint8_t more_features(const uint8_t *bytes, size_t length)
{
    struct record record;

    while (record_next(&bytes, &length, &record))
        continue;
    return length == 1 ? bytes[0] : 0;
}

#endif
