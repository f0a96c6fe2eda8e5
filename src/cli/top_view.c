/*
 * What `braid top` shows.
 *
 * An association is the same in two looks if its Verification Tags are (RFC 9260, section 5.3.1);
 * one that the look before had not began in between, so that all of its counters are of that time.
 */
#include "cli/top_view.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/describe.h"

#define HIGHLIGHT "\033[7m"
#define HIGHLIGHT_END "\033[0m"

static const struct {
    const char *name;
    const char *heading;
    int width; /* negative: to the left, and at least */
} columns[TOP_COLUMNS] = {
    [TOP_STATE] = {"state", "State", -11},
    [TOP_LOCAL] = {"local", "Local", -15},
    [TOP_PEER] = {"peer", "Peer", -15},
    [TOP_SENT] = {"sent", "Sent/s", 6},
    [TOP_RECEIVED] = {"received", "Recv/s", 6},
    [TOP_MESSAGES_OUT] = {"messages-out", "MsgO/s", 6},
    [TOP_MESSAGES_IN] = {"messages-in", "MsgI/s", 6},
    [TOP_RETRANSMITTED] = {"retransmitted", "Retr/s", 6},
    [TOP_QUEUED] = {"queued", "Queued", 6},
    [TOP_RTT] = {"rtt", "RTT ms", 6},
};

/* An association as it is shown. */
struct line {
    const struct status_association *association;
    const struct status_association *before; /* the same one then; NULL: it was not there */
    const char *state;
    char local[STATUS_ENDPOINT_SIZE], peer[STATUS_ENDPOINT_SIZE];
    double numbers[TOP_COLUMNS]; /* NAN: not known yet */
};

struct lines {
    struct line *lines;
    size_t count;
    int widths[TOP_COLUMNS]; /* as above, of what is there; 0: the column has no room */
};

enum top_column top_column_find(const char *name)
{
    enum top_column column = 0;

    while (column < TOP_COLUMNS && strcmp(columns[column].name, name) != 0)
        column++;
    return column;
}

const char *top_column_name(enum top_column column)
{
    return columns[column].name;
}

/* ---- Looking ---- */

static int compare_tags(const void *a, const void *b)
{
    const struct braid_association_info *x = &(*(const struct status_association *const *)a)->info;
    const struct braid_association_info *y = &(*(const struct status_association *const *)b)->info;

    if (x->local_tag != y->local_tag)
        return x->local_tag < y->local_tag ? -1 : 1;
    if (x->peer_tag != y->peer_tag)
        return x->peer_tag < y->peer_tag ? -1 : 1;
    return 0;
}

static void look_free(struct top_look *look)
{
    free(look->status.bytes);
    free(look->associations);
    memset(look, 0, sizeof(*look));
}

static int look_index(struct top_look *look)
{
    const struct status_record *record = NULL;
    size_t count = 0;

    while ((record = status_next(&look->status, record)))
        count += record->type == STATUS_ASSOCIATION;
    look->associations = calloc(count + 1, sizeof(const struct status_association *));
    if (!look->associations)
        return -ENOMEM;
    while ((record = status_next(&look->status, record)))
        if (record->type == STATUS_ASSOCIATION)
            look->associations[look->count++] = (const void *)record;
    qsort(look->associations, look->count, sizeof(const struct status_association *), compare_tags);
    return 0;
}

int top_view_look(struct top_view *view)
{
    struct top_look look = {.count = 0};
    int error = status_ask(view->name, &look.status);

    if (error == 0)
        error = look_index(&look);
    if (error < 0) {
        look_free(&look);
        return error;
    }
    look_free(&view->before);
    view->before = view->now;
    view->now = look;
    return 0;
}

void top_view_free(struct top_view *view)
{
    look_free(&view->now);
    look_free(&view->before);
}

/* ---- Between two looks ---- */

static const struct status_stack *look_stack(const struct top_look *look)
{
    return (const void *)look->status.bytes;
}

/* Seconds; NAN if there was no look before, or at another stack. */
static double view_interval(const struct top_view *view)
{
    const struct status_stack *now = look_stack(&view->now), *before = look_stack(&view->before);

    if (!before || before->pid != now->pid || before->uptime >= now->uptime)
        return NAN;
    return (double)(now->uptime - before->uptime) / 1e6;
}

static double rate(uint64_t now, uint64_t before, double interval)
{
    return now >= before ? (double)(now - before) / interval : NAN;
}

static void measure(struct line *line, double interval)
{
    static const struct braid_association_info nothing;
    const struct braid_association_info *now = &line->association->info;
    const struct braid_association_info *before = line->before ? &line->before->info : &nothing;
    double *numbers = line->numbers;

    numbers[TOP_SENT] = rate(now->bytes_sent, before->bytes_sent, interval);
    numbers[TOP_RECEIVED] = rate(now->bytes_received, before->bytes_received, interval);
    numbers[TOP_MESSAGES_OUT] = rate(now->messages_sent, before->messages_sent, interval);
    numbers[TOP_MESSAGES_IN] = rate(now->messages_received, before->messages_received, interval);
    numbers[TOP_RETRANSMITTED] =
        rate(now->chunks_retransmitted, before->chunks_retransmitted, interval);
    numbers[TOP_QUEUED] = now->queued_bytes;
}

static void describe(struct line *line, const struct status *status)
{
    const struct braid_association_info *info = &line->association->info;
    const struct status_path *path = status_primary_path(status, &line->association->record);
    struct braid_address none = {0};

    line->state = braid_state_name(info->state);
    status_endpoint_text(line->local, path ? &path->info.source : &none, info->local_port);
    status_endpoint_text(line->peer, path ? &path->info.address : &none, info->peer_port);
    line->numbers[TOP_RTT] = path && path->info.srtt > 0 ? path->info.srtt / 1000.0 : NAN;
}

/* ---- Choosing and sorting ---- */

/* In what is shown of it, whether its paths are or not. */
static bool is_found(const struct line *line, const struct status *status, const char *search)
{
    const struct status_record *record = &line->association->record;
    char text[DESCRIBE_ADDRESS_SIZE];

    if (strcasestr(line->state, search) || strcasestr(line->local, search) ||
        strcasestr(line->peer, search))
        return true;
    while ((record = status_next_below(status, record, STATUS_PATH))) {
        const struct braid_path_info *path =
            &((const struct status_path *)(const void *)record)->info;

        if (strcasestr(describe_address(&path->address, text), search) ||
            strcasestr(braid_path_state_name(path->state), search))
            return true;
    }
    return false;
}

static int compare_lines(const void *a, const void *b, void *context)
{
    const struct top_view *view = context;
    const struct line *x = a, *y = b;
    int order;

    if (view->sort == TOP_STATE) {
        order = strcmp(x->state, y->state);
    } else if (view->sort == TOP_LOCAL) {
        order = strverscmp(x->local, y->local);
    } else if (view->sort == TOP_PEER) {
        order = strverscmp(x->peer, y->peer);
    } else {
        double p = x->numbers[view->sort], q = y->numbers[view->sort];

        p = isnan(p) ? -1 : p;
        q = isnan(q) ? -1 : q;
        order = (p < q) - (p > q); /* the largest is on top */
    }
    if (order == 0)
        return compare_tags(&x->association, &y->association);
    return view->reverse ? -order : order;
}

static struct lines view_lines(struct top_view *view)
{
    const struct top_look *now = &view->now, *before = &view->before;
    struct lines lines = {.lines = calloc(now->count + 1, sizeof(struct line))};
    double interval = view_interval(view);

    if (!lines.lines)
        abort();
    for (size_t i = 0; i < now->count; i++) {
        struct line *line = &lines.lines[lines.count];
        const struct status_association *const *found = NULL;

        if (!isnan(interval))
            found = bsearch(&now->associations[i], before->associations, before->count,
                            sizeof(const struct status_association *), compare_tags);
        *line = (struct line){.association = now->associations[i], .before = found ? *found : NULL};
        describe(line, &now->status);
        measure(line, interval);
        lines.count += is_found(line, &now->status, view->search);
    }
    qsort_r(lines.lines, lines.count, sizeof(struct line), compare_lines, view);
    return lines;
}

/* ---- Printing ---- */

static const char *number_text(double number, char *text, size_t size)
{
    static const char letters[] = " kMGT";
    size_t i = 0;

    if (isnan(number)) {
        snprintf(text, size, "-");
    } else if (number < 1000) {
        snprintf(text, size, "%.0f", number);
    } else {
        while (number >= 999.95 && letters[i + 1]) {
            number /= 1000;
            i++;
        }
        snprintf(text, size, "%.1f%c", number, letters[i]);
    }
    return text;
}

/* Columns of text are as wide as what stands in them. Where that is too much for the terminal,
 * messages are left out: bytes tell nearly the same. */
static void fit(struct lines *lines, enum top_column sort, unsigned int room)
{
    int needed = 0;

    for (enum top_column i = 0; i < TOP_COLUMNS; i++)
        lines->widths[i] = columns[i].width;
    for (size_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->lines[i];
        const char *const texts[] = {line->state, line->local, line->peer};

        for (enum top_column column = TOP_STATE; column <= TOP_PEER; column++) {
            if (-(int)strlen(texts[column]) < lines->widths[column])
                lines->widths[column] = -(int)strlen(texts[column]);
        }
    }
    for (enum top_column i = 0; i < TOP_COLUMNS; i++)
        needed += abs(lines->widths[i]) + 1;
    for (enum top_column i = TOP_MESSAGES_OUT; i <= TOP_MESSAGES_IN; i++) {
        if (needed > (int)room && i != sort)
            lines->widths[i] = 0;
    }
}

static void print_headings(const struct top_view *view, const struct lines *lines, FILE *out)
{
    fputs(HIGHLIGHT, out);
    for (enum top_column i = 0; i < TOP_COLUMNS; i++) {
        const char *mark = i != view->sort ? " " : view->reverse ? "^" : "*";
        char heading[32];

        if (lines->widths[i] == 0)
            continue;
        if (lines->widths[i] > 0) {
            fprintf(out, "%*s%s", lines->widths[i], columns[i].heading, mark);
        } else {
            snprintf(heading, sizeof(heading), "%s%s", columns[i].heading, mark);
            fprintf(out, "%*s ", lines->widths[i], heading);
        }
    }
    fputs(HIGHLIGHT_END "\n", out);
}

static void print_line(FILE *out, const struct lines *lines, const struct line *line)
{
    char text[32];

    fprintf(out, "%*s %*s %*s ", lines->widths[TOP_STATE], line->state, lines->widths[TOP_LOCAL],
            line->local, lines->widths[TOP_PEER], line->peer);
    for (enum top_column i = TOP_SENT; i < TOP_RTT; i++) {
        if (lines->widths[i] != 0)
            fprintf(out, "%*s ", lines->widths[i],
                    number_text(line->numbers[i], text, sizeof(text)));
    }
    if (isnan(line->numbers[TOP_RTT]))
        fprintf(out, "%*s\n", columns[TOP_RTT].width, "-");
    else
        fprintf(out, "%*.*f\n", columns[TOP_RTT].width, line->numbers[TOP_RTT] < 10 ? 3 : 1,
                line->numbers[TOP_RTT]);
}

/* The same path in the look before. */
static const struct braid_path_info *path_before(const struct top_view *view,
                                                 const struct line *line,
                                                 const struct braid_path_info *path)
{
    const struct status_record *record = line->before ? &line->before->record : NULL;

    while (record && (record = status_next_below(&view->before.status, record, STATUS_PATH))) {
        const struct braid_path_info *found =
            &((const struct status_path *)(const void *)record)->info;

        if (braid_address_equal(&found->address, &path->address))
            return found;
    }
    return NULL;
}

static void print_path(const struct top_view *view, FILE *out, const struct lines *lines,
                       const struct line *line, const struct braid_path_info *path)
{
    const struct braid_path_info *before = path_before(view, line, path);
    double interval = view_interval(view);
    char address[DESCRIBE_ADDRESS_SIZE], sent[32], received[32], cwnd[32];

    fprintf(out, "  %s %*s %*s %*s  cwnd %s, rto %.0f ms, errors %" PRIu32 "/%" PRIu32 "\n",
            path->primary ? "*" : " ",
            lines->widths[TOP_STATE] + lines->widths[TOP_LOCAL] + lines->widths[TOP_PEER] + 2,
            describe_address(&path->address, address), columns[TOP_SENT].width,
            number_text(rate(path->bytes_sent, before ? before->bytes_sent : 0, interval), sent,
                        sizeof(sent)),
            columns[TOP_RECEIVED].width,
            number_text(rate(path->bytes_received, before ? before->bytes_received : 0, interval),
                        received, sizeof(received)),
            number_text(path->cwnd, cwnd, sizeof(cwnd)), path->rto / 1000.0, path->error_count,
            path->path_max_retrans);
}

static void print_paths(const struct top_view *view, FILE *out, const struct lines *lines,
                        const struct line *line, unsigned int *left)
{
    const struct status_record *record = &line->association->record;

    while (*left > 0 && (record = status_next_below(&view->now.status, record, STATUS_PATH))) {
        print_path(view, out, lines, line,
                   &((const struct status_path *)(const void *)record)->info);
        --*left;
    }
}

static void print_summary(const struct top_view *view, FILE *out, size_t shown)
{
    const struct status_stack *now = look_stack(&view->now), *before = look_stack(&view->before);
    double interval = view_interval(view);
    bool known = !isnan(interval);
    char sent[32], received[32];

    fprintf(out,
            "Stack '%s', pid %" PRId32 ", up %.0f s: %" PRIu32 " sockets, %zu associations, "
            "packets/s sent %s received %s\n",
            now->name, now->pid, (double)now->uptime / 1e6, now->sockets, view->now.count,
            number_text(
                rate(now->engine.packets_sent, known ? before->engine.packets_sent : 0, interval),
                sent, sizeof(sent)),
            number_text(rate(now->engine.packets_received,
                             known ? before->engine.packets_received : 0, interval),
                        received, sizeof(received)));
    if (*view->search)
        fprintf(out, "%zu with '%s'", shown, view->search);
    fputc('\n', out);
}

void top_view_print(struct top_view *view, FILE *out, unsigned int rows, unsigned int room)
{
    struct lines lines = view_lines(view);
    unsigned int left = rows > 3 ? rows - 3 : 0;

    if (view->scroll >= lines.count)
        view->scroll = lines.count > 0 ? lines.count - 1 : 0;
    print_summary(view, out, lines.count);
    fit(&lines, view->sort, room);
    print_headings(view, &lines, out);
    for (size_t i = view->scroll; i < lines.count && left > 0; i++) {
        print_line(out, &lines, &lines.lines[i]);
        left--;
        if (view->paths)
            print_paths(view, out, &lines, &lines.lines[i], &left);
    }
    free(lines.lines);
}
