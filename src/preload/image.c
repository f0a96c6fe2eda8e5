/*
 * Can the library be loaded into a program, and do its calls come by it? What its ELF file says:
 * elf(5).
 */
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/direct.h"
#include "preload/private.h"

#define INTERPRETER "ld-linux" /* part of the name of glibc's, on all machines */
#define NOTE_NAME "Go"
#define TEXT_MAXIMUM 256

static ssize_t read_at(int file, void *bytes, size_t length, uint64_t offset)
{
    return pread64(file, bytes, length, (off64_t)offset);
}

static bool has_interpreter_of_glibc(int file, const Elf64_Phdr *segment)
{
    char text[TEXT_MAXIMUM] = {0};
    size_t length = segment->p_filesz < sizeof(text) - 1 ? segment->p_filesz : sizeof(text) - 1;

    return read_at(file, text, length, segment->p_offset) == (ssize_t)length &&
           strstr(text, INTERPRETER);
}

/* Go's linker leaves a note in each program. It is the first, and in a segment of its own. */
static bool is_note_of_go(int file, const Elf64_Phdr *segment)
{
    struct {
        Elf64_Nhdr head;
        char name[sizeof(NOTE_NAME)];
    } note;

    return read_at(file, &note, sizeof(note.head) + sizeof(note.name), segment->p_offset) ==
               (ssize_t)(sizeof(note.head) + sizeof(note.name)) &&
           memcmp(note.name, NOTE_NAME, sizeof(NOTE_NAME)) == 0;
}

static enum image look_at(int file, const Elf64_Ehdr *header)
{
    enum image found = IMAGE_STATIC;
    bool go = false;

    for (unsigned int i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        uint64_t at = header->e_phoff + (uint64_t)i * header->e_phentsize;

        if (read_at(file, &segment, sizeof(segment), at) != (ssize_t)sizeof(segment))
            return IMAGE_LOADS;
        if (segment.p_type == PT_INTERP)
            found = has_interpreter_of_glibc(file, &segment) ? IMAGE_LOADS : IMAGE_OTHER;
        if (segment.p_type == PT_NOTE)
            go |= is_note_of_go(file, &segment);
    }
    return found == IMAGE_LOADS && go ? IMAGE_TRAPS : found;
}

enum image image_of(const char *path)
{
    int file = open64(path, O_RDONLY | O_CLOEXEC);
    enum image found = IMAGE_LOADS;
    Elf64_Ehdr header;

    if (file < 0)
        return found;
    /* what is no ELF file of this kind of machine is the kernel's affair: scripts, and 32 bits */
    if (read_at(file, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
        memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64)
        found = look_at(file, &header);
    direct_close(file);
    return found;
}
