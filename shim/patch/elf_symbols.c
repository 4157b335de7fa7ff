/* SPDX-License-Identifier: MIT */
/*
 * Symbols by name, and all of them. Each walk has an end: a chain is limited by its table, or by the segment of the
 * table.
 */
#include "patch/elf.h"

#include "patch/elf_read.h"

#include <errno.h>
#include <string.h>

/* A search under way: what is wanted, and what was found. */
struct match {
	const struct elf_image *image;
	const char *name;
	size_t name_bytes; /* with its zero */
	enum elf_kind kind;
	struct elf_symbol *found;
	bool is_found;
	int error; /* of a symbol with that name that cannot be used, or 0 */
};

/* The LOAD segment that has all of a symbol and may have its kind; NULL: there is none. */
static const Elf64_Phdr *segment_of(
        const struct elf_image *image, uint64_t value, uint64_t size, enum elf_kind kind)
{
	for (size_t i = 0; i < image->count; i++) {
		const Elf64_Phdr *segment = &image->headers[i];
		bool is_code = (segment->p_flags & PF_X) != 0;
		uint64_t offset = value - segment->p_vaddr;

		if (segment->p_type != PT_LOAD || value < segment->p_vaddr || offset >= segment->p_memsz)
			continue;
		if (is_code != (kind == ELF_FUNCTION) || size > segment->p_memsz - offset)
			return NULL;
		return segment;
	}
	return NULL;
}

/* Notes a symbol that has the right name. */
static void match_symbol(struct match *match, const Elf64_Sym *symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);
	const Elf64_Phdr *segment;

	if (symbol->st_shndx == SHN_UNDEF ||
	        (symbol->st_shndx >= SHN_LORESERVE && symbol->st_shndx != SHN_XINDEX))
		return;
	if (type == STT_GNU_IFUNC && match->kind == ELF_FUNCTION)
		match->error = -ENOTSUP;
	if (type != (match->kind == ELF_FUNCTION ? STT_FUNC : STT_OBJECT))
		return;
	segment = segment_of(match->image, symbol->st_value, symbol->st_size, match->kind);
	if (segment == NULL) {
		match->error = -EBADMSG;
		return;
	}
	if (match->is_found && match->found->value != symbol->st_value) {
		match->error = -ENOTUNIQ;
		return;
	}
	if (!match->is_found || match->found->size < symbol->st_size)
		*match->found = (struct elf_symbol){symbol->st_value, symbol->st_size, segment};
	match->is_found = true;
}

static int match_result(const struct match *match)
{
	if (match->error == -ENOTUNIQ)
		return -ENOTUNIQ;
	if (match->is_found)
		return 0;
	return match->error != 0 ? match->error : -ENOENT;
}

/* Notes the dynamic symbol of that index, if it has the name. False: the tables do not have the index. */
static bool match_dynamic(struct match *match, const struct elf_dynamic *dynamic, uint32_t index)
{
	const struct elf_image *image = match->image;
	uint64_t left;
	const uint8_t *name;
	Elf64_Sym symbol;
	uint16_t version = 0;

	if (!elf_read(image, dynamic->symbols + index * sizeof symbol, &symbol, sizeof symbol))
		return false;
	if (symbol.st_name >= dynamic->strings_bytes)
		return false;
	left = dynamic->strings_bytes - symbol.st_name;
	name = elf_at(image, dynamic->strings + symbol.st_name, match->name_bytes);
	if (left < match->name_bytes || name == NULL || memcmp(name, match->name, match->name_bytes) != 0)
		return true;
	if (dynamic->versions != 0 &&
	        !elf_read(image, dynamic->versions + index * sizeof version, &version, sizeof version))
		return false;
	/* The high bit marks an old version, to which new programs are not linked. */
	if ((version & 0x8000) == 0)
		match_symbol(match, &symbol);
	return true;
}

/* Walks one chain of DT_GNU_HASH: {buckets, first symbol, bloom words, shift}, bloom, buckets, hashes. */
static int find_gnu_hash(struct match *match, const struct elf_dynamic *dynamic)
{
	const struct elf_image *image = match->image;
	uint32_t header[4], index, link, hash = 5381;
	uint64_t buckets, hashes;

	for (const char *c = match->name; *c != '\0'; c++)
		hash = hash * 33 + (uint8_t)*c;
	if (!elf_read(image, dynamic->gnu_hash, header, sizeof header) || header[0] == 0)
		return -EBADMSG;
	buckets = dynamic->gnu_hash + sizeof header + header[2] * sizeof(uint64_t);
	hashes = buckets + header[0] * sizeof(uint32_t);
	if (!elf_read(image, buckets + hash % header[0] * sizeof index, &index, sizeof index))
		return -EBADMSG;
	if (index == 0)
		return -ENOENT;
	do {
		if (!elf_read(image, hashes + (index - header[1]) * sizeof link, &link, sizeof link))
			return -EBADMSG;
		if ((link | 1) == (hash | 1) && !match_dynamic(match, dynamic, index))
			return -EBADMSG;
		if (++index == 0)
			return -EBADMSG;
	} while ((link & 1) == 0);
	return match_result(match);
}

/* Walks one chain of DT_HASH: {buckets, chains}, buckets, chains; visits each symbol at most once. */
static int find_hash(struct match *match, const struct elf_dynamic *dynamic)
{
	const struct elf_image *image = match->image;
	uint32_t header[2], index, high, hash = 0;
	uint64_t links = dynamic->hash + sizeof header;

	for (const char *c = match->name; *c != '\0'; c++) {
		hash = (hash << 4) + (uint8_t)*c;
		high = hash & 0xf0000000;
		hash = (hash ^ high >> 24) & ~high;
	}
	if (!elf_read(image, dynamic->hash, header, sizeof header) || header[0] == 0)
		return -EBADMSG;
	/* A cycle is noticed after as many links as the table claims to have. */
	if (elf_at(image, links + header[0] * 4ull, header[1] * 4ull) == NULL)
		return -EBADMSG;
	if (!elf_read(image, links + hash % header[0] * sizeof index, &index, sizeof index))
		return -EBADMSG;
	links += header[0] * sizeof(uint32_t);
	for (uint32_t seen = 0; index != 0; seen++) {
		if (seen == header[1] || index >= header[1] || !match_dynamic(match, dynamic, index))
			return -EBADMSG;
		if (!elf_read(image, links + index * sizeof index, &index, sizeof index))
			return -EBADMSG;
	}
	return match_result(match);
}

int elf_find_dynamic(
        const struct elf_image *image, const char *name, enum elf_kind kind, struct elf_symbol *found)
{
	struct match match = {image, name, strlen(name) + 1, kind, found, false, 0};
	struct elf_dynamic dynamic;

	if (!elf_read_dynamic(image, &dynamic))
		return -ENOENT;
	if (dynamic.gnu_hash != 0)
		return find_gnu_hash(&match, &dynamic);
	return dynamic.hash != 0 ? find_hash(&match, &dynamic) : -ENOENT;
}

/* Finds the sections of the symbol table and its strings. 0, -ENODATA if there is none, or -EBADMSG. */
static int read_symtab(struct elf_file file, Elf64_Shdr *table, Elf64_Shdr *names)
{
	Elf64_Ehdr header;
	uint64_t sections;

	if (!elf_file_header(file, &header))
		return -ENODATA;
	sections = elf_count_sections(file, &header);
	for (uint64_t i = 0; i < sections; i++) {
		if (!elf_section(file, &header, i, table))
			return -EBADMSG;
		if (table->sh_type == SHT_SYMTAB)
			return elf_section(file, &header, table->sh_link, names) ? 0 : -EBADMSG;
	}
	return -ENODATA;
}

/* How many bytes of a table of strings can be names: up to the last zero. */
static uint64_t count_name_bytes(const uint8_t *strings, uint64_t bytes)
{
	const uint8_t *end = memrchr(strings, '\0', bytes);

	return end != NULL ? (uint64_t)(end - strings) + 1 : 0;
}

int elf_each_symtab(struct elf_file file, elf_visit *visit, void *to)
{
	Elf64_Shdr table, names;
	const uint8_t *symbols, *strings;
	Elf64_Sym symbol;
	uint64_t name_bytes;
	int error = read_symtab(file, &table, &names);

	if (error != 0)
		return error;
	symbols = elf_file_at(file, table.sh_offset, table.sh_size);
	strings = elf_file_at(file, names.sh_offset, names.sh_size);
	if (symbols == NULL || strings == NULL || names.sh_type != SHT_STRTAB)
		return -EBADMSG;
	name_bytes = count_name_bytes(strings, names.sh_size);
	for (uint64_t at = 0; at + sizeof symbol <= table.sh_size; at += sizeof symbol) {
		memcpy(&symbol, symbols + at, sizeof symbol);
		if (symbol.st_name < name_bytes)
			visit(to, &symbol, (const char *)strings + symbol.st_name);
	}
	return 0;
}

static void match_named(void *match, const Elf64_Sym *symbol, const char *name)
{
	if (strcmp(name, ((struct match *)match)->name) == 0)
		match_symbol(match, symbol);
}

int elf_find_symtab(struct elf_file file, const struct elf_image *image, const char *name, enum elf_kind kind,
        struct elf_symbol *found)
{
	struct match match = {image, name, strlen(name) + 1, kind, found, false, 0};
	int error = elf_each_symtab(file, match_named, &match);

	return error != 0 ? error : match_result(&match);
}

/* How many dynamic symbols there are. DT_GNU_HASH tells only where its last chain ends. */
static uint32_t count_dynamic(const struct elf_image *image, const struct elf_dynamic *dynamic)
{
	uint32_t header[4], index, link = 0, last = 0;
	uint64_t buckets, hashes;

	if (dynamic->gnu_hash == 0)
		return dynamic->hash != 0 && elf_read(image, dynamic->hash, header, 8) ? header[1] : 0;
	if (!elf_read(image, dynamic->gnu_hash, header, sizeof header))
		return 0;
	buckets = dynamic->gnu_hash + sizeof header + header[2] * sizeof(uint64_t);
	hashes = buckets + header[0] * sizeof(uint32_t);
	for (uint32_t i = 0; i < header[0]; i++) {
		if (!elf_read(image, buckets + i * sizeof index, &index, sizeof index))
			return 0;
		last = index > last ? index : last;
	}
	for (; last >= header[1] && last != 0 && (link & 1) == 0; last++) {
		if (!elf_read(image, hashes + (last - header[1]) * sizeof link, &link, sizeof link))
			return 0;
	}
	return last;
}

int elf_each_dynamic(const struct elf_image *image, elf_visit *visit, void *to)
{
	struct elf_dynamic dynamic;
	const uint8_t *strings;
	Elf64_Sym symbol;
	uint64_t name_bytes;
	uint32_t count;

	if (!elf_read_dynamic(image, &dynamic))
		return -ENOENT;
	strings = elf_at(image, dynamic.strings, dynamic.strings_bytes);
	count = count_dynamic(image, &dynamic);
	if (strings == NULL || count == 0)
		return -EBADMSG;
	name_bytes = count_name_bytes(strings, dynamic.strings_bytes);
	for (uint64_t i = 0; i < count; i++) {
		if (!elf_read(image, dynamic.symbols + i * sizeof symbol, &symbol, sizeof symbol))
			return -EBADMSG;
		if (symbol.st_name < name_bytes)
			visit(to, &symbol, (const char *)strings + symbol.st_name);
	}
	return 0;
}
