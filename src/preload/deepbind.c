/*
 * Libraries that are opened with RTLD_DEEPBIND, as PHP opens its extensions: they find libc's
 * functions before those that are taken over. Once such a library is loaded, what it and the
 * libraries that came with it import is pointed to where it would point without that flag. (One
 * that is found only by the RUNPATH of the one who opens it stays as it is.)
 */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload/libc.h"

#define OBJECTS_MAXIMUM 64

#if defined(__x86_64__)
#define IS_IMPORT(type)                                                                            \
    ((type) == R_X86_64_JUMP_SLOT || (type) == R_X86_64_GLOB_DAT || (type) == R_X86_64_64)
#elif defined(__aarch64__)
#define IS_IMPORT(type)                                                                            \
    ((type) == R_AARCH64_JUMP_SLOT || (type) == R_AARCH64_GLOB_DAT || (type) == R_AARCH64_ABS64)
#endif

/* What is loaded, in the order in which it was; the first `skip` are not looked at. */
struct objects {
    size_t skip, count;
    struct dl_phdr_info of[OBJECTS_MAXIMUM];
};

/* Where an object says what it imports. */
struct imports {
    const ElfW(Sym) * symbols;
    const char *names;
    struct {
        const ElfW(Rela) * at;
        size_t size;
    } tables[2];
    uintptr_t sealed, sealed_end; /* pages that are read-only once it is loaded */
};

static void *pointer(uintptr_t address)
{
    return (void *)address; /* NOLINT(performance-no-int-to-ptr): the loader has numbers */
}

static int count_object(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)info, (void)size;
    ++*(size_t *)context;
    return 0;
}

/* Nothing is looked up in here: the loader holds a lock. */
static int collect_object(struct dl_phdr_info *info, size_t size, void *context)
{
    struct objects *objects = context;

    (void)size;
    if (objects->skip > 0)
        objects->skip--;
    else if (objects->count < OBJECTS_MAXIMUM)
        objects->of[objects->count++] = *info;
    return 0;
}

static void read_dynamic(const ElfW(Dyn) * entry, struct imports *imports)
{
    for (; entry->d_tag != DT_NULL; entry++) {
        void *value = pointer(entry->d_un.d_ptr); /* which glibc has made absolute */

        switch (entry->d_tag) {
        case DT_SYMTAB:
            imports->symbols = value;
            break;
        case DT_STRTAB:
            imports->names = value;
            break;
        case DT_JMPREL:
            imports->tables[0].at = value;
            break;
        case DT_PLTRELSZ:
            imports->tables[0].size = entry->d_un.d_val;
            break;
        case DT_RELA:
            imports->tables[1].at = value;
            break;
        case DT_RELASZ:
            imports->tables[1].size = entry->d_un.d_val;
            break;
        default:
            break;
        }
    }
}

static bool imports_find(const struct dl_phdr_info *object, struct imports *imports)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    *imports = (struct imports){0};
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[i];
        uintptr_t at = object->dlpi_addr + header->p_vaddr;

        if (header->p_type == PT_DYNAMIC) {
            read_dynamic(pointer(at), imports);
        } else if (header->p_type == PT_GNU_RELRO) {
            imports->sealed = at & ~(page - 1);
            imports->sealed_end = (at + header->p_memsz) & ~(page - 1);
        }
    }
    return imports->symbols && imports->names;
}

/* Is this address in this library? */
static bool is_ours(const void *address)
{
    static const char here;
    Dl_info its, ours;

    return dladdr(address, &its) && dladdr(&here, &ours) && its.dli_fbase == ours.dli_fbase;
}

static void point(const struct imports *imports, void **slot, void *function)
{
    bool sealed = (uintptr_t)slot >= imports->sealed && (uintptr_t)slot < imports->sealed_end;
    size_t length = imports->sealed_end - imports->sealed;

    if (*slot == function ||
        (sealed && mprotect(pointer(imports->sealed), length, PROT_READ | PROT_WRITE) != 0))
        return;
    *slot = function;
    if (sealed)
        mprotect(pointer(imports->sealed), length, PROT_READ);
}

static void object_rebind(const struct dl_phdr_info *object)
{
    struct imports imports;

    if (!imports_find(object, &imports))
        return;
    for (size_t table = 0; table < 2; table++) {
        size_t count = imports.tables[table].size / sizeof(ElfW(Rela));

        for (size_t i = 0; i < count && imports.tables[table].at; i++) {
            const ElfW(Rela) *relocation = &imports.tables[table].at[i];
            const ElfW(Sym) *symbol = &imports.symbols[ELF64_R_SYM(relocation->r_info)];
            void *function;

            if (!IS_IMPORT(ELF64_R_TYPE(relocation->r_info)) || symbol->st_shndx != SHN_UNDEF ||
                relocation->r_addend != 0)
                continue;
            function = dlsym(RTLD_DEFAULT, imports.names + symbol->st_name);
            if (function && is_ours(function))
                point(&imports, pointer(object->dlpi_addr + relocation->r_offset), function);
        }
    }
}

/* Not a part of dlopen(): what is on its stack would have to live until its last call is done. */
__attribute__((noinline)) static void *open_deeply(const char *file, int mode)
{
    struct objects objects = {0};
    void *library;

    dl_iterate_phdr(count_object, &objects.skip);
    library = libc_functions()->dlopen(file, mode);
    if (!library)
        return NULL;
    dl_iterate_phdr(collect_object, &objects);
    for (size_t i = 0; i < objects.count; i++)
        object_rebind(&objects.of[i]);
    dlerror(); /* what was not found is no news to the program */
    return library;
}

__attribute__((visibility("default"))) void *dlopen(const char *file, int mode)
{
    void *library = mode & RTLD_DEEPBIND ? open_deeply(file, mode) : NULL;

    if (library)
        return library;
    /* The compiler makes it a jump: where libc looks depends on who calls. */
    return libc_functions()->dlopen(file, mode);
}
