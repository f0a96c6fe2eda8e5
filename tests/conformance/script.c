/*
 * From a script's text to steps, items, and values.
 */
#include "script.h"

#include <ctype.h>
#include <stdio.h>

void script_fail(const struct script *script, const char *format, ...)
{
    va_list list;

    print_error("%s:%d: ", script->path, script->line);
    va_start(list, format);
    vprint_error(format, list);
    va_end(list);
    print_error("\n");
    _fail(script->path, script->line);
    abort(); /* not reached: _fail() goes back to cmocka */
}

/* ---- Steps ---- */

void script_open(struct script *script, const char *path)
{
    FILE *file = fopen(path, "rb");
    long length;

    *script = (struct script){.path = path};
    if (!file || fseek(file, 0, SEEK_END) != 0 || (length = ftell(file)) < 0) {
        print_error("%s cannot be read\n", path);
        fail();
        return;
    }
    rewind(file);
    script->text = calloc(1, (size_t)length + 1);
    assert_non_null(script->text);
    assert_int_equal(fread(script->text, 1, (size_t)length, file), length);
    (void)fclose(file);
    script->position = script->text;
}

void script_close(struct script *script)
{
    free(script->text);
}

static void trim(char *text)
{
    size_t end = strlen(text), start = strspn(text, " \t");

    while (end > start && isspace((unsigned char)text[end - 1]))
        end--;
    memmove(text, text + start, end - start);
    text[end - start] = '\0';
}

/* The end of the step that begins at `from`, and how many lines it has. */
static char *step_end(char *from, int *lines)
{
    int depth = 0;
    bool quoted = false;
    char last = 0;

    for (*lines = 1; *from; from++) {
        if (*from == '\n' && depth == 0 && last != ';')
            break;
        if (!isspace((unsigned char)*from))
            last = *from;
        *lines += *from == '\n';
        if (*from == '"')
            quoted = !quoted;
        else if (!quoted && strchr("([", *from))
            depth++;
        else if (!quoted && strchr(")]", *from))
            depth--;
        else if (!quoted && *from == '#')
            from += strcspn(from, "\n") - 1;
    }
    return from;
}

/* Comments and line ends become spaces. */
static void flatten(char *text)
{
    bool quoted = false;

    for (; *text; text++) {
        if (*text == '"')
            quoted = !quoted;
        if (*text == '\n' || *text == '\r')
            *text = ' ';
        while (!quoted && *text == '#') {
            for (; *text && *text != '\n'; text++)
                *text = ' ';
            if (!*text)
                return;
            *text = ' ';
        }
    }
}

char *script_next(struct script *script)
{
    static int lines;

    for (;;) {
        char *start = script->position, *end, *step;

        if (!*start)
            return NULL;
        if (start == script->text)
            lines = 0;
        script->line += lines;
        end = step_end(start, &lines);
        if (start == script->text)
            script->line = 1;
        script->position = *end ? end + 1 : end;
        step = strndup(start, (size_t)(end - start));
        assert_non_null(step);
        flatten(step);
        trim(step);
        if (*step)
            return step;
        free(step);
    }
}

/* ---- Items ---- */

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t");
}

static const char *parse_item(const struct script *script, const char *text, struct item **item);

/* A value: to the next comma or bracket that closes; brackets [] and quotes may stand in it. */
static const char *parse_value(const struct script *script, const char *text, char *value)
{
    size_t length = 0;
    bool quoted = false;
    int depth = 0;

    for (; *text; text++) {
        if (*text == '"')
            quoted = !quoted;
        if (!quoted && depth == 0 && strchr(",)", *text))
            break;
        depth += !quoted && *text == '[';
        depth -= !quoted && *text == ']';
        if (length + 1 >= VALUE_MAXIMUM)
            script_fail(script, "a value is too long");
        value[length++] = *text;
    }
    value[length] = '\0';
    trim(value);
    return text;
}

static const char *parse_arguments(const struct script *script, const char *text, struct item *item)
{
    for (;;) {
        struct argument *argument = &item->arguments[item->argument_count];
        size_t word;

        text = skip_space(text);
        if (!*text || *text == ')')
            return text;
        if (++item->argument_count > ARGUMENTS_MAXIMUM)
            script_fail(script, "%s has too many arguments", item->name);
        word = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        if (word > 0 && word < NAME_MAXIMUM && text[word] == '=') {
            memcpy(argument->key, text, word);
            text = parse_value(script, text + word + 1, argument->value);
        } else if (isupper((unsigned char)*text) && text[word] &&
                   strchr(",()", *skip_space(text + word))) {
            text = parse_item(script, text, &argument->item);
        } else {
            text = parse_value(script, text, argument->value);
        }
        text = skip_space(text);
        if (*text == ',')
            text++;
        else if (*text && *text != ')')
            script_fail(script, "a comma or a bracket should stand before '%s'", text);
    }
}

static const char *parse_item(const struct script *script, const char *text, struct item **item)
{
    size_t word;

    text = skip_space(text);
    word = strcspn(text, " \t(),;");
    if (word == 0 || word >= NAME_MAXIMUM)
        script_fail(script, "a name should stand at '%s'", text);
    *item = calloc(1, sizeof(**item));
    assert_non_null(*item);
    memcpy((*item)->name, text, word);
    text = skip_space(text + word);
    if (*text != '(')
        return text;
    text = parse_arguments(script, text + 1, *item);
    if (*text != ')')
        script_fail(script, "%s has no closing bracket", (*item)->name);
    return text + 1;
}

struct item *items_parse(const struct script *script, const char *text)
{
    struct item *first = NULL, **place = &first;

    do {
        text = skip_space(parse_item(script, text, place));
        place = &(*place)->next;
    } while (*text++ == ';');
    if (text[-1])
        script_fail(script, "'%s' makes no sense", text - 1);
    return first;
}

struct item *arguments_parse(const struct script *script, const char *text)
{
    struct item *item = calloc(1, sizeof(*item));

    assert_non_null(item);
    (void)parse_arguments(script, text, item);
    return item;
}

void items_free(struct item *item)
{
    while (item) {
        struct item *next = item->next;

        for (unsigned int i = 0; i < item->argument_count; i++)
            items_free(item->arguments[i].item);
        free(item);
        item = next;
    }
}

const char *item_value(const struct item *item, const char *key)
{
    for (unsigned int i = 0; i < item->argument_count; i++) {
        const struct argument *argument = &item->arguments[i];

        if (!argument->item && strcmp(argument->key, key) == 0)
            return argument->value;
    }
    return NULL;
}

/* ---- Values ---- */

struct variable *variable_find(struct script *script, const char *name)
{
    for (unsigned int i = 0; i < script->variable_count; i++) {
        if (strcmp(script->variables[i].name, name) == 0)
            return &script->variables[i];
    }
    return NULL;
}

struct variable *variable_add(struct script *script, const char *name)
{
    struct variable *variable = variable_find(script, name);

    if (variable)
        return variable;
    if (script->variable_count == VARIABLES_MAXIMUM || strlen(name) >= NAME_MAXIMUM)
        script_fail(script, "too many variables, or too long a name");
    variable = &script->variables[script->variable_count++];
    (void)snprintf(variable->name, sizeof(variable->name), "%s", name);
    return variable;
}

uint64_t number_value(struct script *script, const char *text)
{
    char name[NAME_MAXIMUM];
    const struct variable *variable;
    size_t length;
    char *end;
    uint64_t value;

    if (*text != '$') {
        value = strtoull(text, &end, 0);
        if (end == text || *skip_space(end))
            script_fail(script, "'%s' is not a number", text);
        return value;
    }
    length = strcspn(text, "+- ");
    if (length >= sizeof(name))
        script_fail(script, "%s: too long a name", text);
    memcpy(name, text, length);
    name[length] = '\0';
    variable = variable_find(script, name);
    if (!variable)
        script_fail(script, "%s was not set", name);
    text = skip_space(text + length);
    value = variable->number;
    if (*text)
        value += (uint64_t)strtoll(text, NULL, 0);
    return value;
}

bool number_matches(struct script *script, const char *text, uint64_t number)
{
    if (*text == '!')
        return !number_matches(script, text + 1, number);
    if (*text == '$' && !strpbrk(text, "+-") && !variable_find(script, text)) {
        variable_add(script, text)->number = number;
        return true;
    }
    return (uint32_t)number_value(script, text) == (uint32_t)number;
}

size_t bytes_value(struct script *script, const char *text, uint8_t *bytes, size_t capacity)
{
    size_t length = 0;

    if (*text == '$') {
        const struct variable *variable = variable_find(script, text);

        if (!variable || variable->length > capacity)
            script_fail(script, "%s was not set", text);
        memcpy(bytes, variable->bytes, variable->length);
        return variable->length;
    }
    if (*text == '"') {
        for (text++; *text && *text != '"' && length < capacity; text++)
            bytes[length++] = (uint8_t)*text;
        return length;
    }
    for (; *text && length < capacity; text += 2) {
        unsigned int byte;

        if (sscanf(text, "%2x", &byte) != 1 || !isxdigit((unsigned char)text[1]))
            script_fail(script, "'%s' are not bytes", text);
        bytes[length++] = (uint8_t)byte;
    }
    return length;
}

bool bytes_match(struct script *script, const char *text, const uint8_t *bytes, size_t length)
{
    uint8_t expected[sizeof(script->variables[0].bytes)];

    if (*text == '$' && !variable_find(script, text)) {
        struct variable *variable = variable_add(script, text);

        if (length > sizeof(variable->bytes))
            script_fail(script, "%s: %zu bytes are too many", text, length);
        memcpy(variable->bytes, bytes, length);
        variable->length = length;
        return true;
    }
    return bytes_value(script, text, expected, sizeof(expected)) == length &&
           memcmp(bytes, expected, length) == 0;
}
