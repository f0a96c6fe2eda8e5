/*
 * What a fuzzer is to libFuzzer (https://llvm.org/docs/LibFuzzer.html), and to replay.c, which runs
 * it over files.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Tries one input; ends the program if it finds anything wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* A fuzzer may have its own: changes the input in place, returns its new length. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t maximum, unsigned int seed);
/* libFuzzer's own. */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t length, size_t maximum);

#endif
