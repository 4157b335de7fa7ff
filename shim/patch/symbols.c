/* SPDX-License-Identifier: MIT */
/*
 * The executable is the first object in the loader's list. Its file is /proc/self/exe, unless the program was started
 * by naming the loader: then that is the loader's file, which its headers and build id reveal.
 */
#include "patch/symbols.h"

#include "libc/real.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A search in the loaded objects. */
struct loaded {
	const char *name;
	enum elf_kind kind;
	struct symbol *found;
	bool is_library; /* false for the first object, the executable */
	int error;
};

static struct elf_image image_of(const struct dl_phdr_info *info)
{
	return (struct elf_image){info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr, {NULL, 0}};
}

/* The first page of an image and the end of its last page. False: it has no segment. */
static bool image_range(const struct elf_image *image, uintptr_t *low, uintptr_t *high)
{
	uintptr_t page = getauxval(AT_PAGESZ);

	*low = UINTPTR_MAX;
	*high = 0;
	for (size_t i = 0; i < image->count; i++) {
		const Elf64_Phdr *segment = &image->headers[i];
		uintptr_t start = image->bias + segment->p_vaddr;
		uintptr_t end = start + segment->p_memsz;

		if (segment->p_type != PT_LOAD)
			continue;
		if (start < *low)
			*low = start & ~(page - 1);
		if (end > *high)
			*high = (end + page - 1) & ~(page - 1);
	}
	return *low < *high;
}

static bool image_holds(const struct elf_image *image, uintptr_t address)
{
	uintptr_t low, high;

	return image_range(image, &low, &high) && address >= low && address < high;
}

static int take_first(struct dl_phdr_info *info, size_t bytes, void *argument)
{
	struct symbols *symbols = argument;

	(void)bytes;
	symbols->image = image_of(info);
	return 1;
}

int symbols_open(struct symbols *symbols)
{
	uintptr_t low, high;

	*symbols = (struct symbols){0};
	if (dl_iterate_phdr(take_first, symbols) != 1 || symbols->image.headers == NULL)
		return -ENOEXEC;
	return image_range(&symbols->image, &low, &high) ? 0 : -ENOEXEC;
}

/* Maps a whole file, which must be regular. */
static int map_file(const char *path, struct elf_file *file)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	void *bytes;
	int error = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0)
		error = -errno;
	else if (!S_ISREG(status.st_mode) || status.st_size < (off_t)sizeof(Elf64_Ehdr))
		error = -ENOEXEC;
	if (error != 0)
		goto out;
	bytes = real_mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		error = -errno;
	else
		*file = (struct elf_file){bytes, (size_t)status.st_size};
out:
	close(fd);
	return error;
}

static void unmap_file(struct elf_file *file)
{
	if (file->bytes != NULL)
		real_munmap((void *)file->bytes, file->size);
	*file = (struct elf_file){NULL, 0};
}

/* Whether an image was loaded from a file. */
static bool is_file_of(struct elf_file file, const struct elf_image *loaded)
{
	uint8_t id[ELF_BUILD_ID_MAX], id_loaded[ELF_BUILD_ID_MAX];
	struct elf_image image;
	int length;

	if (elf_image_of_file(&image, file) != 0 || image.count != loaded->count ||
	        memcmp(image.headers, loaded->headers, image.count * sizeof *image.headers) != 0)
		return false;
	length = elf_build_id(loaded, id_loaded);
	return length == elf_build_id(&image, id) &&
	       (length <= 0 || memcmp(id, id_loaded, (size_t)length) == 0);
}

/* A path that the loader has as relative begins in the program's folder: our thread has left it. */
static int open_program(struct symbols *symbols, const char *path)
{
	char full[PATH_MAX];
	int error;

	if (snprintf(full, sizeof full, "%s%s", path[0] == '/' ? "" : "/proc/self/cwd/", path) >=
	        (int)sizeof full)
		return -ENAMETOOLONG;
	error = map_file(full, &symbols->program);
	if (error == 0 && !is_file_of(symbols->program, &symbols->image)) {
		unmap_file(&symbols->program);
		error = -ESTALE;
	}
	return error;
}

/* Whether a file has a readable symbol table: no function is called "". */
static bool has_symtab(struct elf_file file, const struct elf_image *image)
{
	struct elf_symbol found;

	return file.bytes != NULL && elf_find_symtab(file, image, "", ELF_FUNCTION, &found) == -ENOENT;
}

static int open_debug(struct symbols *symbols, const char *root)
{
	uint8_t id[ELF_BUILD_ID_MAX], id_found[ELF_BUILD_ID_MAX];
	int length = elf_build_id(&symbols->image, id);
	char path[PATH_MAX], digits[2 * ELF_BUILD_ID_MAX + 1];
	int error;

	if (length < 2)
		return -ENOENT;
	for (int i = 0; i < length; i++)
		snprintf(digits + 2 * i, 3, "%02x", id[i]);
	if (snprintf(path, sizeof path, "%s/.build-id/%.2s/%s.debug", root, digits, digits + 2) >=
	        (int)sizeof path)
		return -ENAMETOOLONG;
	error = map_file(path, &symbols->debug);
	if (error != 0)
		return error;
	if (elf_build_id_of_sections(symbols->debug, id_found) == length &&
	        memcmp(id, id_found, (size_t)length) == 0)
		return 0;
	unmap_file(&symbols->debug);
	return -ESTALE;
}

static int open_files(struct symbols *symbols, const char *path, const char *debug_root)
{
	int error = open_program(symbols, path);

	if (debug_root == NULL || has_symtab(symbols->program, &symbols->image))
		return error;
	error = open_debug(symbols, debug_root);
	return symbols->program.bytes != NULL ? 0 : error;
}

int symbols_open_files(struct symbols *symbols, const char *debug_root)
{
	return open_files(symbols, "/proc/self/exe", debug_root);
}

/* A walk over the loaded objects for symbols_each(). */
struct walk {
	const struct symbols_visitor *visitor;
	void *to;
	const char *debug_root;
};

static int visit_object(struct dl_phdr_info *info, size_t bytes, void *argument)
{
	struct walk *walk = argument;
	struct symbols symbols = {.image = image_of(info)};
	struct symbols_object object = {.path = info->dlpi_name, .bias = info->dlpi_addr};
	elf_visit *visit = walk->visitor->symbol;

	(void)bytes;
	if (!image_range(&symbols.image, &object.low, &object.high) ||
	        !walk->visitor->object(walk->to, &object))
		return 0;
	elf_each_dynamic(&symbols.image, visit, walk->to);
	open_files(
	        &symbols, info->dlpi_name[0] != '\0' ? info->dlpi_name : "/proc/self/exe", walk->debug_root);
	if (elf_each_symtab(symbols.program, visit, walk->to) != 0)
		elf_each_symtab(symbols.debug, visit, walk->to);
	symbols_close(&symbols);
	return 0;
}

void symbols_each(const struct symbols_visitor *visitor, void *to, const char *debug_root)
{
	struct walk walk = {visitor, to, debug_root};

	dl_iterate_phdr(visit_object, &walk);
}

void symbols_close(struct symbols *symbols)
{
	unmap_file(&symbols->program);
	unmap_file(&symbols->debug);
}

/* What the loader adds to an executable segment's protection, beyond what the segment says. */
static int guard_bits(const struct elf_image *image)
{
#ifdef __aarch64__
	if ((getauxval(AT_HWCAP2) & HWCAP2_BTI) != 0 && elf_has_landing_pads(image))
		return PROT_BTI;
#else
	(void)image;
#endif
	return 0;
}

static void fill(struct symbol *symbol, const struct elf_image *image, const struct elf_symbol *found)
{
	const Elf64_Phdr *segment = found->segment;

	*symbol = (struct symbol){
	        .address = (void *)(image->bias + found->value),
	        .size = found->size,
	        .available = segment->p_memsz - (found->value - segment->p_vaddr),
	        .segment_low = image->bias + segment->p_vaddr,
	};
	symbol->protection |= segment->p_flags & PF_R ? PROT_READ : 0;
	symbol->protection |= segment->p_flags & PF_W ? PROT_WRITE : 0;
	symbol->protection |= segment->p_flags & PF_X ? PROT_EXEC | guard_bits(image) : 0;
	image_range(image, &symbol->image_low, &symbol->image_high);
}

int symbols_find(const struct symbols *symbols, const char *name, enum elf_kind kind, struct symbol *found)
{
	const struct elf_image *image = &symbols->image;
	const struct elf_file *const files[] = {&symbols->program, &symbols->debug};
	struct elf_symbol symbol;
	size_t next = 0;
	int error = elf_find_dynamic(image, name, kind, &symbol);
	bool is_damaged = error == -EBADMSG;

	while ((error == -ENOENT || error == -ENODATA || error == -EBADMSG) &&
	        next < sizeof files / sizeof *files) {
		error = elf_find_symtab(*files[next++], image, name, kind, &symbol);
		is_damaged |= error == -EBADMSG;
	}
	if (error == 0)
		fill(found, image, &symbol);
	else if (error == -ENODATA || error == -ENOENT)
		error = is_damaged ? -EBADMSG : -ENOENT;
	return error;
}

/* Whether an object is this library, or the kernel's. */
static bool is_ours_or_kernels(const struct elf_image *image)
{
	return image_holds(image, (uintptr_t)is_ours_or_kernels) ||
	       image_holds(image, getauxval(AT_SYSINFO_EHDR));
}

/* Searches one object. Stops the walk when there is an answer, good or bad. */
static int find_in_object(struct dl_phdr_info *info, size_t bytes, void *argument)
{
	struct loaded *loaded = argument;
	struct elf_image image = image_of(info);
	bool is_library = loaded->is_library;
	struct elf_symbol symbol;

	(void)bytes;
	loaded->is_library = true;
	loaded->error = elf_find_dynamic(&image, loaded->name, loaded->kind, &symbol);
	/* Asked last, as it is rarely needed: most objects do not have the name. */
	if (loaded->error != -ENOENT && is_library && is_ours_or_kernels(&image))
		loaded->error = -ENOENT;
	if (loaded->error == 0)
		fill(loaded->found, &image, &symbol);
	return loaded->error != -ENOENT;
}

int symbols_find_loaded(const char *name, enum elf_kind kind, struct symbol *found)
{
	struct loaded loaded = {name, kind, found, false, -ENOENT};

	dl_iterate_phdr(find_in_object, &loaded);
	return loaded.error;
}

bool symbols_is_writable(const struct symbols *symbols, const void *address, size_t bytes)
{
	const struct elf_image *image = &symbols->image;
	uintptr_t page = getauxval(AT_PAGESZ);
	uintptr_t start = (uintptr_t)address;
	bool is_writable = false;

	for (size_t i = 0; i < image->count; i++) {
		const Elf64_Phdr *segment = &image->headers[i];
		uintptr_t low = image->bias + segment->p_vaddr;
		uintptr_t high = low + segment->p_memsz;

		/* The loader protects whole pages of RELRO. */
		if (segment->p_type == PT_GNU_RELRO && start < (high & ~(page - 1)) &&
		        start + bytes > (low & ~(page - 1)))
			return false;
		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) && start >= low && start < high &&
		        bytes <= high - start)
			is_writable = true;
	}
	return is_writable;
}
