/*
 * A document of named values, lists and objects, written either as indented text for people or as
 * JSON (RFC 8259) for programs.
 */
#include "cli/document.h"

#include <inttypes.h>
#include <string.h>

#define INDENT_WIDTH 4

/* How many bytes of a value are shown in a text. */
#define TEXT_BYTES_SHOWN 32

static bool is_printable(uint8_t character)
{
    return character >= ' ' && character <= '~';
}

void document_print_text(FILE *out, const void *text, size_t length)
{
    const uint8_t *bytes = text;

    for (size_t i = 0; i < length; i++) {
        if (is_printable(bytes[i]) && bytes[i] != '\\' && bytes[i] != '"')
            fputc(bytes[i], out);
        else
            fprintf(out, "\\x%02x", bytes[i]);
    }
}

/* Bytes that are no ASCII stand for the code points U+0080 to U+00FF: any bytes make valid JSON. */
static void print_json_string(FILE *out, const void *text, size_t length)
{
    const uint8_t *bytes = text;

    fputc('"', out);
    for (size_t i = 0; i < length; i++) {
        if (is_printable(bytes[i]) && bytes[i] != '\\' && bytes[i] != '"')
            fputc(bytes[i], out);
        else
            fprintf(out, "\\u%04x", bytes[i]);
    }
    fputc('"', out);
}

/* Whatever stands before a value: comma or indentation, and its name. */
static void begin_value(struct document *document, const char *name)
{
    if (document->json) {
        if (document->comma)
            fputc(',', document->out);
        if (name)
            fprintf(document->out, "\"%s\":", name);
        document->comma = true;
        return;
    }
    fprintf(document->out, "%*s", (int)(document->indent * INDENT_WIDTH), "");
    if (name)
        fprintf(document->out, "%s%s%s ", document_colour(document, COLOUR_FAINT), name,
                document_colour(document, COLOUR_OFF));
}

static void end_value(struct document *document)
{
    if (!document->json)
        fputc('\n', document->out);
}

void document_number(struct document *document, const char *name, uint64_t value)
{
    begin_value(document, name);
    fprintf(document->out, "%" PRIu64, value);
    end_value(document);
}

void document_hexadecimal(struct document *document, const char *name, uint64_t value, int digits)
{
    begin_value(document, name);
    if (document->json)
        fprintf(document->out, "%" PRIu64, value);
    else
        fprintf(document->out, "0x%0*" PRIx64, digits, value);
    end_value(document);
}

void document_boolean(struct document *document, const char *name, bool value)
{
    begin_value(document, name);
    fputs(value ? "true" : "false", document->out);
    end_value(document);
}

void document_text(struct document *document, const char *name, const char *text)
{
    begin_value(document, name);
    if (document->json)
        print_json_string(document->out, text, strlen(text));
    else
        document_print_text(document->out, text, strlen(text));
    end_value(document);
}

void document_text_bytes(struct document *document, const char *name, const void *text,
                         size_t length)
{
    begin_value(document, name);
    if (document->json) {
        print_json_string(document->out, text, length);
    } else {
        fputc('"', document->out);
        document_print_text(document->out, text, length);
        fputc('"', document->out);
    }
    end_value(document);
}

void document_bytes(struct document *document, const char *name, const void *bytes, size_t length)
{
    size_t shown = length;

    begin_value(document, name);
    if (document->json)
        fputc('"', document->out);
    else if (shown > TEXT_BYTES_SHOWN)
        shown = TEXT_BYTES_SHOWN;
    for (size_t i = 0; i < shown; i++)
        fprintf(document->out, "%02x", ((const uint8_t *)bytes)[i]);
    if (document->json)
        fputc('"', document->out);
    else if (shown < length)
        fprintf(document->out, "... (%zu bytes)", length);
    end_value(document);
}

void document_pair(struct document *document, uint64_t first, char separator, uint64_t second)
{
    begin_value(document, NULL);
    if (document->json)
        fprintf(document->out, "[%" PRIu64 ",%" PRIu64 "]", first, second);
    else
        fprintf(document->out, "%" PRIu64 "%c%" PRIu64, first, separator, second);
    end_value(document);
}

void document_time(struct document *document, const char *name, int64_t nanoseconds)
{
    uint64_t magnitude = nanoseconds < 0 ? -(uint64_t)nanoseconds : (uint64_t)nanoseconds;

    begin_value(document, name);
    fprintf(document->out, "%s%" PRIu64 ".%09" PRIu64, nanoseconds < 0 ? "-" : "",
            magnitude / 1000000000, magnitude % 1000000000);
    end_value(document);
}

/* An object or a list, which differ in JSON by the bracket alone. */
static void begin_group(struct document *document, const char *name, const char *title,
                        char bracket)
{
    document->depth++;
    if (document->json) {
        begin_value(document, name);
        fputc(bracket, document->out);
        document->comma = false;
        return;
    }
    if (title) {
        begin_value(document, NULL);
        fprintf(document->out, "%s\n", title);
    }
    document->indent++;
}

static void end_group(struct document *document, char bracket)
{
    document->depth--;
    if (document->json) {
        fputc(bracket, document->out);
        document->comma = true;
        return;
    }
    document->indent--;
}

void document_list_begin(struct document *document, const char *name, size_t count)
{
    begin_group(document, name, count > 0 ? name : NULL, '[');
}

void document_list_end(struct document *document)
{
    end_group(document, ']');
}

void document_object_begin(struct document *document, const char *name, const char *title)
{
    begin_group(document, name, title, '{');
}

void document_object_end(struct document *document)
{
    end_group(document, '}');
}
