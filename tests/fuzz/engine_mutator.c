/*
 * How an input of the engine's fuzzer is changed: records come, go and change places; packets get
 * chunks that make sense, more or less; and bytes are changed as libFuzzer does.
 */
#include "engine/hostile.h"
#include "engine_input.h"
#include "fuzz.h"

enum { INPUT_MAXIMUM = 1 << 16, RECORDS = 512, CHUNKS = 4096 };

/* An input while it is changed: its start, and its records. Their bytes stand in the input. */
struct input {
    uint8_t start[INPUT_START];
    struct record records[RECORDS];
    size_t count;
    uint8_t more; /* features: the byte after the records, if it is not 0 */
};

/* Who writes the chunks. The bytes of a new record are those of its packet. */
static struct peer author;
static uint8_t made[SCTP_COMMON_HEADER_LENGTH + CHUNKS];

static void input_read(struct input *input, const uint8_t *bytes, size_t length)
{
    struct record record;

    *input = (struct input){.start = {START_ACCEPTED}};
    if (length < INPUT_START)
        return;
    memcpy(input->start, bytes, INPUT_START);
    bytes += INPUT_START;
    length -= INPUT_START;
    while (input->count < RECORDS - 1 && record_next(&bytes, &length, &record))
        input->records[input->count++] = record;
    input->more = length == 1 ? bytes[0] : 0;
}

/* Returns the length, or 0 if it does not fit. */
static size_t input_write(const struct input *input, uint8_t *bytes, size_t maximum)
{
    static uint8_t copy[INPUT_MAXIMUM];
    size_t at = INPUT_START;

    if (maximum > sizeof(copy))
        maximum = sizeof(copy);
    if (maximum < at)
        return 0;
    memcpy(copy, input->start, INPUT_START);
    for (size_t i = 0; i < input->count; i++) {
        const struct record *record = &input->records[i];

        if (at + RECORD_HEADER + record->length > maximum)
            return 0;
        copy[at] = record->kind;
        copy[at + 1] = record->argument;
        copy[at + 2] = (uint8_t)record->length;
        copy[at + 3] = (uint8_t)(record->length >> 8);
        if (record->length > 0)
            memcpy(copy + at + RECORD_HEADER, record->bytes, record->length);
        at += RECORD_HEADER + (size_t)record->length;
    }
    if (input->more && at < maximum)
        copy[at++] = input->more;
    memcpy(bytes, copy, at);
    return at;
}

/* ---- Chunks -----------------------------------------------------------------------------------
 */

/* The packet in the making starts with these chunks, and may be altered. */
static void author_begin(const struct record *record)
{
    size_t length = record ? record->length : 0;

    packet_writer_init(&author.writer, made, sizeof(made));
    packet_write_common_header(&author.writer, &(struct sctp_common_header){0});
    packet_write_bytes(&author.writer, record ? record->bytes : NULL, length);
    packet_write_padding(&author.writer);
}

/* Its chunks become those of the record. */
static void author_end(struct record *record)
{
    record->bytes = made + SCTP_COMMON_HEADER_LENGTH;
    record->length = (uint16_t)(author.writer.length - SCTP_COMMON_HEADER_LENGTH);
}

static void add_chunks(struct record *record)
{
    size_t length;

    author_begin(record->length > 0 ? record : NULL);
    for (uint32_t i = 1 + below(&author, 3); i > 0; i--) {
        length = author.writer.length;
        hostile_write_chunk(&author);
        if (author.writer.overflowed)
            packet_writer_rewind(&author.writer, length);
    }
    author_end(record);
}

static uint8_t some_packet_argument(void)
{
    static const uint8_t usual[] = {0,
                                    0,
                                    0,
                                    0,
                                    PACKET_OTHER_PATH,
                                    PACKET_AUTHENTICATED,
                                    PACKET_AUTHENTICATED,
                                    PACKET_AUTHENTICATED,
                                    PACKET_TAG_ZERO,
                                    PACKET_TAG_OWN,
                                    PACKET_STRANGE_ADDRESS};

    return chance(&author, 0.9) ? usual[below(&author, sizeof(usual))]
                                : (uint8_t)below(&author, 256);
}

static void make_record(struct record *record)
{
    static uint8_t bytes[8];

    *record = (struct record){.argument = (uint8_t)below(&author, 256)};
    if (chance(&author, 0.6)) {
        record->kind = RECORD_PACKET;
        record->argument = some_packet_argument();
        add_chunks(record);
        return;
    }
    record->kind = (uint8_t)(RECORD_SEND + below(&author, RECORD_KINDS - RECORD_SEND));
    if (record->kind != RECORD_SEND)
        return;
    random_bytes(&author.random, bytes, sizeof(bytes));
    bytes[1] &= chance(&author, 0.8) ? 7 : 127;
    record->bytes = bytes;
    record->length = sizeof(bytes);
}

/* ---- Changes ----------------------------------------------------------------------------------
 */

static void insert(struct input *input, size_t at, struct record record)
{
    memmove(&input->records[at + 1], &input->records[at],
            (input->count - at) * sizeof(input->records[0]));
    input->records[at] = record;
    input->count++;
}

static void remove_at(struct input *input, size_t at)
{
    input->count--;
    memmove(&input->records[at], &input->records[at + 1],
            (input->count - at) * sizeof(input->records[0]));
}

/* Changes the bytes of a record as libFuzzer does, or as an enemy does. */
static void change_bytes(struct record *record)
{
    author_begin(record);
    if (chance(&author, 0.5)) {
        hostile_alter(&author);
    } else {
        size_t length = author.writer.length - SCTP_COMMON_HEADER_LENGTH;

        author.writer.length = SCTP_COMMON_HEADER_LENGTH +
                               LLVMFuzzerMutate(made + SCTP_COMMON_HEADER_LENGTH, length, CHUNKS);
    }
    author_end(record);
}

static void change(struct input *input)
{
    size_t at = below(&author, (uint32_t)input->count + 1);
    struct record record;

    if (at == input->count || chance(&author, 0.3)) {
        make_record(&record);
        insert(input, at, record);
        return;
    }
    record = input->records[at];
    switch (below(&author, 8)) {
    case 0:
        remove_at(input, at);
        break;
    case 1:
        remove_at(input, at);
        insert(input, below(&author, (uint32_t)input->count + 1), record);
        break;
    case 2:
        insert(input, below(&author, (uint32_t)input->count + 1), record);
        break;
    case 3:
        input->records[at].argument =
            record.kind == RECORD_PACKET ? some_packet_argument() : (uint8_t)below(&author, 256);
        break;
    case 4:
        input->start[below(&author, INPUT_START)] = (uint8_t)below(&author, 256);
        break;
    case 5:
        input->more = (uint8_t)below(&author, MORE_COUNT);
        break;
    case 6:
        if (record.kind == RECORD_PACKET && record.length < CHUNKS)
            add_chunks(&input->records[at]);
        break;
    default:
        if (record.length < CHUNKS)
            change_bytes(&input->records[at]);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t maximum, unsigned int seed)
{
    static struct input input;
    size_t written;

    random_seed(&author.random, seed);
    /* relative to what they will be: see fuzz_engine.c */
    author.initial_tsn = 0;
    author.engine_initial_tsn = 1;
    author.tag = PEER_TAG;
    for (unsigned int i = 0; i < PATHS; i++) {
        static const uint8_t networks[PATHS][4] = {
            {192, 0, 2, 2}, {198, 51, 100, 2}, {203, 0, 113, 2}};

        author.there[i] = author.here[i] = braid_address_ipv4(networks[i]);
        author.here[i].bytes[3] = 1;
    }
    if (chance(&author, 0.05))
        return LLVMFuzzerMutate(bytes, length, maximum);
    input_read(&input, bytes, length);
    change(&input);
    written = input_write(&input, bytes, maximum);
    return written > 0 ? written : length;
}
