/*
 * A sequence drawing as one page that needs nothing but itself: what was captured as JSON, within
 * ladder.html, which draws it and takes packets apart when they are asked for.
 */
#include "cli/ladder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/describe.h"
#include "cli/ladder_page.h"
#include "packet/chunks.h"
#include "packet/wire.h"

/* With more bytes than this in all, of each packet only the first ones are put into the page. */
#define BYTES_WHOLE ((size_t)12 << 20)
#define BYTES_KEPT 128u

#define DATA_PLACE "<!-- data -->"

/* A string of JSON that may stand within <script>. */
static void print_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        unsigned char character = (unsigned char)*text;

        if (character < ' ' || character > '~' || strchr("<>&\"\\", character))
            fprintf(out, "\\u%04x", character);
        else
            fputc(character, out);
    }
    fputc('"', out);
}

/* Three bytes give four characters: a packet starts at a multiple of both. */
static void print_base64(FILE *out, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < length; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;

        if (i + 1 < length)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < length)
            group |= bytes[i + 2];
        fputc(digits[group >> 18], out);
        fputc(digits[group >> 12 & 63], out);
        fputc(digits[group >> 6 & 63], out);
        fputc(digits[group & 63], out);
    }
}

static size_t bytes_kept(const struct ladder *ladder)
{
    size_t total = 0;

    for (size_t i = 0; i < ladder->trace->packet_count; i++) {
        if (ladder_wants(ladder, ladder->trace->packets[i].association))
            total += ladder->trace->packets[i].length;
    }
    return total > BYTES_WHOLE ? BYTES_KEPT : SIZE_MAX;
}

/* The names of the numbers that have one. */
static void print_names(FILE *out, const char *what, unsigned int numbers, const char *unknown,
                        const char *(*name_of)(unsigned int))
{
    const char *separator = "";

    fprintf(out, ",\"%s\":{", what);
    for (unsigned int i = 0; i < numbers; i++) {
        const char *name = name_of(i);

        if (strncmp(name, unknown, strlen(unknown)) == 0)
            continue;
        fprintf(out, "%s\"%u\":", separator, i);
        print_string(out, name);
        separator = ",";
    }
    fputc('}', out);
}

static const char *chunk_name(unsigned int number)
{
    return describe_chunk_type((uint8_t)number);
}

static const char *parameter_name(unsigned int number)
{
    return describe_parameter_type((uint16_t)number);
}

static const char *cause_name(unsigned int number)
{
    return describe_cause_code((uint16_t)number);
}

static void print_association(FILE *out, const struct trace_association *association)
{
    char text[160];

    fputs("{\"title\":", out);
    print_string(out, ladder_association_title(association, text, sizeof(text)));
    fprintf(out, ",\"packets\":%zu,\"blue\":%s,\"sides\":[", association->packet_count,
            association->out_of_the_blue ? "true" : "false");
    for (unsigned int side = 0; side < 2; side++) {
        const struct trace_side *one = &association->sides[side];

        fprintf(out, "%s{\"port\":%u,\"tag\":%" PRIu32 ",\"tsn\":", side ? "," : "", one->port,
                one->tag);
        if (one->tsn_known)
            fprintf(out, "%" PRIu32, one->initial_tsn);
        else
            fputs("null", out);
        fputs(",\"addresses\":[", out);
        for (size_t i = 0; i < one->address_count; i++) {
            fputs(i > 0 ? "," : "", out);
            print_string(out, describe_address(&one->addresses[i], text));
        }
        fputs("]}", out);
    }
    fputs("]}", out);
}

/* The streams of the user data in a packet, each once in a row. */
static void print_streams(FILE *out, const struct trace_packet *packet)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    uint32_t last = UINT32_MAX;

    fputc('[', out);
    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        uint16_t stream;

        if ((chunk.type != SCTP_CHUNK_DATA && chunk.type != SCTP_CHUNK_I_DATA) ||
            chunk.value_length < 6)
            continue;
        stream = wire_get_u16(chunk.value + 4);
        if (stream == last)
            continue;
        fprintf(out, "%s%u", last == UINT32_MAX ? "" : ",", stream);
        last = stream;
    }
    fputc(']', out);
}

/* The places of the fields are known to ladder.html: `P` there. */
static void print_packet(FILE *out, const struct ladder *ladder, const struct trace_packet *packet,
                         int64_t start, size_t offset, size_t kept)
{
    char label[LADDER_LABEL_SIZE];

    trace_label(ladder->trace, packet, ladder->absolute, label, sizeof(label));
    fprintf(out, "[%" PRId64 ",%" PRIu64 ",%" PRIu32 ",%u,%u,%u,%" PRIu32 ",%d,%u,%u,",
            (packet->time - start) / 1000, packet->number, packet->association, packet->side,
            packet->from, packet->to, packet->marks, (int)ladder_kind(packet), packet->states[0],
            packet->states[1]);
    if (packet->acknowledged == TRACE_NONE)
        fputs("-1", out);
    else
        fprintf(out, "%" PRIu64, ladder->trace->packets[packet->acknowledged].number);
    fprintf(out, ",%zu,%zu,%zu,", offset, packet->length, kept);
    print_string(out, label);
    fputc(',', out);
    print_streams(out, packet);
    if (packet->number_again > 0)
        fprintf(out, ",%" PRIu64 ",%" PRId64, packet->number_again,
                (packet->time_again - packet->time) / 1000);
    else
        fputs(",0,0", out);
    if (packet->udp_source_port || packet->udp_destination_port)
        fprintf(out, ",%u,%u", packet->udp_source_port, packet->udp_destination_port);
    fputc(']', out);
}

static void print_data(const struct ladder *ladder, FILE *out)
{
    const struct trace *trace = ladder->trace;
    size_t kept = bytes_kept(ladder), offset = 0;
    const char *separator = "";

    fputs("{\"title\":", out);
    print_string(out, ladder->title);
    fprintf(out, ",\"absolute\":%s,\"omitted\":%" PRIu64 ",\"damage\":",
            ladder->absolute ? "true" : "false", trace->omitted);
    print_string(out, trace->damage);
    fputs(",\"kinds\":[", out);
    for (int i = 0; i < LADDER_KINDS; i++) {
        fputs(i > 0 ? "," : "", out);
        print_string(out, ladder_kind_name((enum ladder_kind)i));
    }
    fputs("],\"marks\":[", out);
    for (unsigned int i = 0; i < TRACE_MARKS; i++) {
        fputs(i > 0 ? "," : "", out);
        print_string(out, trace_mark_name(1u << i));
    }
    fputs("],\"states\":[", out);
    for (int i = BRAID_CLOSED; i <= BRAID_SHUTDOWN_ACK_SENT; i++) {
        fputs(i > 0 ? "," : "", out);
        print_string(out, braid_state_name((enum braid_state)i));
    }
    fputc(']', out);
    print_names(out, "chunkNames", UINT8_MAX + 1, "chunk type", chunk_name);
    print_names(out, "parameterNames", UINT16_MAX + 1, "parameter type", parameter_name);
    print_names(out, "causeNames", UINT16_MAX + 1, "cause code", cause_name);
    fputs(",\"associations\":[", out);
    for (uint32_t i = 0; i < trace->association_count; i++) {
        fputs(i > 0 ? "," : "", out);
        print_association(out, &trace->associations[i]);
    }
    fputs("],\n\"packets\":[\n", out);
    for (size_t i = 0; i < trace->packet_count; i++) {
        const struct trace_packet *packet = &trace->packets[i];
        size_t length = packet->length < kept ? packet->length : kept;

        if (!ladder_wants(ladder, packet->association))
            continue;
        fputs(separator, out);
        print_packet(out, ladder, packet, trace->packets[0].time, offset, length);
        offset += (length + 2) / 3 * 4;
        separator = ",\n";
    }
    fputs("]}\n</script>\n<script type=\"text/plain\" id=\"bytes-of-packets\">", out);
    for (size_t i = 0; i < trace->packet_count; i++) {
        const struct trace_packet *packet = &trace->packets[i];

        if (ladder_wants(ladder, packet->association))
            print_base64(out, packet->bytes, packet->length < kept ? packet->length : kept);
    }
}

void ladder_html(const struct ladder *ladder, FILE *out)
{
    const char *place = strstr(ladder_page, DATA_PLACE);

    fwrite(ladder_page, 1, (size_t)(place - ladder_page), out);
    fputs("<script type=\"application/json\" id=\"data\">", out);
    print_data(ladder, out);
    fputs("</script>", out);
    fputs(place + strlen(DATA_PLACE), out);
}
