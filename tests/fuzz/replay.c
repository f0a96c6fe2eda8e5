/*
 * A fuzzer without libFuzzer: tries the files that are named, and those in the folders that are
 * named. So the corpus, with what once crashed, is a test of every build.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned int tried;
static FILE *report; /* a fuzzer may send its own output elsewhere */

/* A mutator is not called here, but is there. */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t length, size_t maximum)
{
    (void)bytes;
    (void)maximum;
    return length;
}

static void fail(const char *path)
{
    fprintf(report, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static void try_file(const char *path, size_t length)
{
    uint8_t *bytes = malloc(length > 0 ? length : 1);
    FILE *file = fopen(path, "rb");

    if (!bytes || !file || fread(bytes, 1, length, file) != length)
        fail(path);
    (void)fclose(file);
    fprintf(report, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(bytes, length);
    free(bytes);
    tried++;
}

static void try_path(const char *path)
{
    struct dirent *entry;
    struct stat status;
    char inner[4096];
    DIR *folder;

    if (stat(path, &status) != 0)
        fail(path);
    if (!S_ISDIR(status.st_mode)) {
        try_file(path, (size_t)status.st_size);
        return;
    }
    folder = opendir(path);
    if (!folder)
        fail(path);
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
        try_path(inner);
    }
    (void)closedir(folder);
}

int main(int argc, char **argv)
{
    report = stderr;
    for (int i = 1; i < argc; i++)
        try_path(argv[i]);
    fprintf(report, "%u inputs\n", tried);
    return tried > 0 ? 0 : 1;
}
