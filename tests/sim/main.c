/*
 * The simulator: engines on networks in memory, in virtual time, everything from one seed; as many
 * seeds as are asked for. See --help, and docs/testing.md.
 *
 * Scenarios run in processes of their own, so that whatever goes wrong with one, it is told which
 * it was. It is then run once more for a capture of its packets.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scenario.h"

enum { PROCESSES_MAXIMUM = 64, FAILURES_MAXIMUM = 10, PATIENCE = 120 /* seconds, for one seed */ };

static const char help[] =
    "usage: sim [OPTION]...\n"
    "\n"
    "Simulates associations over bad networks, each seed a story of its own.\n"
    "\n"
    "      --seeds N        so many (default 1000)\n"
    "      --first N        from this one on (default 1)\n"
    "      --seed N         this one only\n"
    "      --processes N    so many at a time (default 2)\n"
    "      --capture FILE   with --seed: all its packets, for Wireshark\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit status: 0 if all went well, 1 if a seed failed, 2 if the options were not understood.\n";

/* What the processes share. */
struct shared {
    _Atomic uint64_t next;                            /* seed */
    _Atomic uint64_t at[PROCESSES_MAXIMUM];           /* the seed that each is at; 0: none */
    struct scenario_counts counts[PROCESSES_MAXIMUM]; /* sums */
};

struct options {
    uint64_t first, count;
    bool one;
    unsigned int processes;
    const char *capture;
};

/* ---- Sums -------------------------------------------------------------------------------------
 */

/* All of it are uint64_t. */
static void add(struct scenario_counts *sum, const struct scenario_counts *counts)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)counts;

    _Static_assert(sizeof(*sum) % sizeof(*to) == 0, "counts are numbers");
    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
        to[i] += from[i];
}

static void print_counts(const struct scenario_counts *counts)
{
    const struct checker_counts *checker = &counts->checker;

    printf("%" PRIu64 " ends of associations: %" PRIu64 " shut down, %" PRIu64 " aborted, %" PRIu64
           " lost, %" PRIu64 " restarts by the peer\n",
           checker->associations, checker->shut_down, checker->aborted, checker->lost,
           checker->restarts);
    printf("%" PRIu64 " messages sent, %" PRIu64 " received, %" PRIu64 " given back; %" PRIu64
           " bytes, %" PRIu64 " pieces of partial delivery, %" PRIu64 " of them beside others\n",
           checker->messages_sent, checker->messages_received, checker->messages_failed,
           checker->bytes_received, checker->pieces, checker->interleaved);
    printf("%" PRIu64 " resets of streams, %" PRIu64 " of associations, %" PRIu64
           " streams added; %" PRIu64 " FORWARD TSNs, %" PRIu64 " reductions for ECN; %" PRIu64
           " ends without CRC32c\n",
           checker->resets, checker->association_resets, checker->streams_added,
           checker->forward_tsns, checker->ecn_reductions, checker->without_checksum);
    printf("%" PRIu64 " packets, %" PRIu64 " of them lies, in %" PRIu64
           " hours of virtual time; %" PRIu64 " things happened, %" PRIu64 " of them crashes\n",
           counts->packets, counts->lies, counts->seconds / 3600, counts->actions, counts->crashes);
}

/* ---- Processes --------------------------------------------------------------------------------
 */

static void run_seed(uint64_t seed, const char *capture, struct scenario_counts *counts)
{
    (void)alarm(PATIENCE); /* ends the process: the parent tells */
    scenario_run(seed, capture, counts);
    (void)alarm(0);
}

/* A worker: takes seeds until there are none. */
static void work(struct shared *shared, unsigned int number, uint64_t end)
{
    struct scenario_counts counts;
    uint64_t seed;

    while ((seed = atomic_fetch_add(&shared->next, 1)) < end) {
        atomic_store(&shared->at[number], seed);
        run_seed(seed, NULL, &counts);
        add(&shared->counts[number], &counts);
    }
    atomic_store(&shared->at[number], 0);
    exit(0);
}

static pid_t start_worker(struct shared *shared, unsigned int number, uint64_t end)
{
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid < 0) {
        perror("sim: fork");
        exit(1);
    }
    if (pid == 0)
        work(shared, number, end);
    return pid;
}

static void tell_status(int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("it did not end within %d s\n", PATIENCE);
    else if (WIFSIGNALED(status))
        printf("it was ended by signal %d\n", WTERMSIG(status));
}

/* Runs a seed that failed once more, for its packets. */
static void tell_failure(const char *program, uint64_t seed, int status)
{
    char file[64];
    pid_t pid;

    printf("seed %" PRIu64 " failed (above)\n", seed);
    tell_status(status);
    (void)snprintf(file, sizeof(file), "sim-%" PRIu64 ".pcapng", seed);
    printf("to run it again: %s --seed %" PRIu64 " --capture %s\n", program, seed, file);
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        struct scenario_counts counts;

        if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout))
            exit(1);
        run_seed(seed, file, &counts);
        exit(0);
    }
    (void)waitpid(pid, &status, 0);
    printf("its packets are in %s\n", file);
}

static int run_all(const char *program, const struct options *options)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t end = options->first + options->count;
    pid_t workers[PROCESSES_MAXIMUM];
    struct scenario_counts sum = {0};
    unsigned int running = 0, failures = 0;
    struct timespec start, stop;

    if (shared == MAP_FAILED) {
        perror("sim: mmap");
        return 1;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    atomic_store(&shared->next, options->first);
    for (; running < options->processes; running++)
        workers[running] = start_worker(shared, running, end);
    while (running > 0) {
        int status;
        pid_t pid = wait(&status);

        for (unsigned int i = 0; i < options->processes; i++) {
            if (workers[i] != pid)
                continue;
            workers[i] = -1;
            running--;
            if (status == 0)
                break;
            tell_failure(program, atomic_load(&shared->at[i]), status);
            if (++failures == FAILURES_MAXIMUM)
                atomic_store(&shared->next, end);
            workers[i] = start_worker(shared, i, end);
            running++;
        }
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &stop);
    for (unsigned int i = 0; i < options->processes; i++)
        add(&sum, &shared->counts[i]);
    printf("%" PRIu64 " seeds from %" PRIu64 " on, %u failed, in %ld s\n", options->count,
           options->first, failures, (long)(stop.tv_sec - start.tv_sec));
    print_counts(&sum);
    return failures > 0 ? 1 : 0;
}

/* ---- Options ----------------------------------------------------------------------------------
 */

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

static bool parse_option(int option, struct options *options)
{
    uint64_t number = 0;

    if (option == 'c') {
        options->capture = optarg;
        return true;
    }
    if (option == '?' || !parse_number(optarg, &number))
        return false;
    switch (option) {
    case 'n':
        options->count = number;
        return true;
    case 'f':
        options->first = number;
        return true;
    case 's':
        options->first = number;
        options->one = true;
        return true;
    default:
        options->processes = (unsigned int)number;
        return number > 0 && number <= PROCESSES_MAXIMUM;
    }
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"seeds", required_argument, NULL, 'n'},
        {"first", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},
        {"processes", required_argument, NULL, 'p'},
        {"capture", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.first = 1, .count = 1000, .processes = 2};
    struct scenario_counts counts;
    int option;

    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == 'h') {
            (void)fputs(help, stdout);
            return 0;
        }
        if (!parse_option(option, &options)) {
            (void)fputs("Try 'sim --help'.\n", stderr);
            return 2;
        }
    }
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1); /* an assertion says what it was about */
    if (optind < argc || (options.capture && !options.one)) {
        (void)fputs("Try 'sim --help'.\n", stderr);
        return 2;
    }
    if (!options.one)
        return run_all(argv[0], &options);
    run_seed(options.first, options.capture, &counts);
    printf("seed %" PRIu64 " went well\n", options.first);
    print_counts(&counts);
    return 0;
}
