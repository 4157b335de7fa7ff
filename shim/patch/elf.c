/* SPDX-License-Identifier: MIT */
/*
 * Every read goes through file_at() or elf_at(), which know how many bytes there are, and copies what it
 * reads, so that nothing depends on the alignment a file claims. Look-ups are walks with an end: chains are
 * bounded by their table or by the segment that it lies in.
 *
 * The loader writes absolute addresses over some of PT_DYNAMIC's link-time ones; a file has the latter. The
 * bias tells them apart.
 */
#include "patch/elf.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* What PT_DYNAMIC says, as link-time addresses; 0: nothing. */
struct dynamic {
	uint64_t symbols;
	uint64_t strings;
	uint64_t strings_bytes;
	uint64_t versions;
	uint64_t gnu_hash;
	uint64_t hash;
};

/* A search under way: what is wanted, and what has been seen of it. */
struct match {
	const struct elf_image *image;
	const char *name;
	size_t name_bytes; /* with its zero */
	enum elf_kind kind;
	struct elf_symbol *found;
	bool is_found;
	int error; /* of a symbol of that name that is no answer, or 0 */
};

static const uint8_t *file_at(struct elf_file file, uint64_t offset, uint64_t bytes)
{
	if (offset > file.size || bytes > file.size - offset)
		return NULL;
	return file.bytes + offset;
}

static bool file_read(struct elf_file file, uint64_t offset, void *to, size_t bytes)
{
	const uint8_t *from = file_at(file, offset, bytes);

	if (from != NULL)
		memcpy(to, from, bytes);
	return from != NULL;
}

/* How many bytes of a segment can be read. */
static uint64_t segment_bytes(const struct elf_image *image, const Elf64_Phdr *segment)
{
	return image->file.bytes != NULL ? segment->p_filesz : segment->p_memsz;
}

const uint8_t *elf_at(const struct elf_image *image, uint64_t address, uint64_t bytes)
{
	for (size_t i = 0; i < image->count; i++) {
		const Elf64_Phdr *segment = &image->headers[i];
		uint64_t offset = address - segment->p_vaddr, limit;

		if (segment->p_type != PT_LOAD || address < segment->p_vaddr || !(segment->p_flags & PF_R))
			continue;
		limit = segment_bytes(image, segment);
		if (offset > limit || bytes > limit - offset)
			continue;
		if (image->file.bytes == NULL)
			return (const uint8_t *)(image->bias + address);
		return file_at(image->file, segment->p_offset + offset, bytes);
	}
	return NULL;
}

static bool image_read(const struct elf_image *image, uint64_t address, void *to, size_t bytes)
{
	const uint8_t *from = elf_at(image, address, bytes);

	if (from != NULL)
		memcpy(to, from, bytes);
	return from != NULL;
}

static bool read_file_header(struct elf_file file, Elf64_Ehdr *header)
{
	return file.bytes != NULL && file_read(file, 0, header, sizeof(*header)) &&
	       memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64 &&
	       header->e_ident[EI_DATA] == ELFDATA2LSB;
}

int elf_image_of_file(struct elf_image *image, struct elf_file file)
{
	Elf64_Ehdr header;
	const uint8_t *headers;

	if (!read_file_header(file, &header))
		return -ENOEXEC;
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return -ENOEXEC;
	if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum == PN_XNUM)
		return -ENOEXEC;
	headers = file_at(file, header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
	if (headers == NULL || (uintptr_t)headers % _Alignof(Elf64_Phdr) != 0)
		return -ENOEXEC;
	*image = (struct elf_image){(const Elf64_Phdr *)headers, header.e_phnum, 0, file};
	return 0;
}

/* The LOAD segment that holds all of a symbol and may hold its kind; NULL when there is none. */
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

/* Takes a symbol whose name has been found right. */
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

static bool read_dynamic(const struct elf_image *image, struct dynamic *dynamic)
{
	const Elf64_Phdr *segment = image->headers;
	const Elf64_Phdr *end = segment + image->count;
	Elf64_Dyn entry;

	*dynamic = (struct dynamic){0};
	while (segment < end && segment->p_type != PT_DYNAMIC)
		segment++;
	if (segment == end)
		return false;
	for (uint64_t at = 0; at + sizeof(entry) <= segment_bytes(image, segment); at += sizeof(entry)) {
		uint64_t address;

		if (!image_read(image, segment->p_vaddr + at, &entry, sizeof(entry)) ||
		        entry.d_tag == DT_NULL)
			break;
		address = entry.d_un.d_ptr;
		if (address >= image->bias)
			address -= image->bias;
		if (entry.d_tag == DT_SYMTAB)
			dynamic->symbols = address;
		else if (entry.d_tag == DT_STRTAB)
			dynamic->strings = address;
		else if (entry.d_tag == DT_STRSZ)
			dynamic->strings_bytes = entry.d_un.d_val;
		else if (entry.d_tag == DT_VERSYM)
			dynamic->versions = address;
		else if (entry.d_tag == DT_GNU_HASH)
			dynamic->gnu_hash = address;
		else if (entry.d_tag == DT_HASH)
			dynamic->hash = address;
	}
	return dynamic->symbols != 0 && dynamic->strings != 0;
}

/* Takes the dynamic symbol of that index, should it have the name; false when the tables do not hold it. */
static bool match_dynamic(struct match *match, const struct dynamic *dynamic, uint32_t index)
{
	const struct elf_image *image = match->image;
	uint64_t left;
	const uint8_t *name;
	Elf64_Sym symbol;
	uint16_t version = 0;

	if (!image_read(image, dynamic->symbols + index * sizeof(symbol), &symbol, sizeof(symbol)))
		return false;
	if (symbol.st_name >= dynamic->strings_bytes)
		return false;
	left = dynamic->strings_bytes - symbol.st_name;
	name = elf_at(image, dynamic->strings + symbol.st_name, match->name_bytes);
	if (left < match->name_bytes || name == NULL || memcmp(name, match->name, match->name_bytes) != 0)
		return true;
	if (dynamic->versions != 0 &&
	        !image_read(image, dynamic->versions + index * sizeof(version), &version, sizeof(version)))
		return false;
	/* The high bit marks an old version that a new program would not be linked to. */
	if ((version & 0x8000) == 0)
		match_symbol(match, &symbol);
	return true;
}

/* Walks one chain of DT_GNU_HASH: {buckets, first symbol, bloom words, shift}, bloom, buckets, hashes. */
static int find_gnu_hash(struct match *match, const struct dynamic *dynamic)
{
	const struct elf_image *image = match->image;
	uint32_t header[4], index, link, hash = 5381;
	uint64_t buckets, hashes;

	for (const char *c = match->name; *c != '\0'; c++)
		hash = hash * 33 + (uint8_t)*c;
	if (!image_read(image, dynamic->gnu_hash, header, sizeof(header)) || header[0] == 0)
		return -EBADMSG;
	buckets = dynamic->gnu_hash + sizeof(header) + header[2] * sizeof(uint64_t);
	hashes = buckets + header[0] * sizeof(uint32_t);
	if (!image_read(image, buckets + hash % header[0] * sizeof(index), &index, sizeof(index)))
		return -EBADMSG;
	if (index == 0)
		return -ENOENT;
	do {
		if (!image_read(image, hashes + (index - header[1]) * sizeof(link), &link, sizeof(link)))
			return -EBADMSG;
		if ((link | 1) == (hash | 1) && !match_dynamic(match, dynamic, index))
			return -EBADMSG;
		if (++index == 0)
			return -EBADMSG;
	} while ((link & 1) == 0);
	return match_result(match);
}

/* Walks one chain of DT_HASH: {buckets, chains}, buckets, chains; at most every symbol once. */
static int find_hash(struct match *match, const struct dynamic *dynamic)
{
	const struct elf_image *image = match->image;
	uint32_t header[2], index, high, hash = 0;
	uint64_t links = dynamic->hash + sizeof(header);

	for (const char *c = match->name; *c != '\0'; c++) {
		hash = (hash << 4) + (uint8_t)*c;
		high = hash & 0xf0000000;
		hash = (hash ^ high >> 24) & ~high;
	}
	if (!image_read(image, dynamic->hash, header, sizeof(header)) || header[0] == 0)
		return -EBADMSG;
	/* A circle is only noticed after as many links as the table claims to have. */
	if (elf_at(image, links + header[0] * 4ull, header[1] * 4ull) == NULL)
		return -EBADMSG;
	if (!image_read(image, links + hash % header[0] * sizeof(index), &index, sizeof(index)))
		return -EBADMSG;
	links += header[0] * sizeof(uint32_t);
	for (uint32_t seen = 0; index != 0; seen++) {
		if (seen == header[1] || index >= header[1] || !match_dynamic(match, dynamic, index))
			return -EBADMSG;
		if (!image_read(image, links + index * sizeof(index), &index, sizeof(index)))
			return -EBADMSG;
	}
	return match_result(match);
}

int elf_find_dynamic(
        const struct elf_image *image, const char *name, enum elf_kind kind, struct elf_symbol *found)
{
	struct match match = {image, name, strlen(name) + 1, kind, found, false, 0};
	struct dynamic dynamic;

	if (!read_dynamic(image, &dynamic))
		return -ENOENT;
	if (dynamic.gnu_hash != 0)
		return find_gnu_hash(&match, &dynamic);
	return dynamic.hash != 0 ? find_hash(&match, &dynamic) : -ENOENT;
}

/* How many sections a file has: 0 in the header means that section 0 says it. */
static uint64_t count_sections(struct elf_file file, const Elf64_Ehdr *header)
{
	Elf64_Shdr first;

	if (header->e_shoff == 0 || header->e_shentsize != sizeof(first))
		return 0;
	if (header->e_shnum != 0)
		return header->e_shnum;
	return file_read(file, header->e_shoff, &first, sizeof(first)) ? first.sh_size : 0;
}

static bool read_section(struct elf_file file, const Elf64_Ehdr *header, uint64_t index, Elf64_Shdr *section)
{
	if (index > file.size / sizeof(*section) || header->e_shoff > file.size)
		return false;
	return file_read(file, header->e_shoff + index * sizeof(*section), section, sizeof(*section));
}

/* The sections of the symbol table and its strings. 0, -ENODATA when there is none, or -EBADMSG. */
static int read_symtab(struct elf_file file, Elf64_Shdr *table, Elf64_Shdr *names)
{
	Elf64_Ehdr header;
	uint64_t sections;

	if (!read_file_header(file, &header))
		return -ENODATA;
	sections = count_sections(file, &header);
	for (uint64_t i = 0; i < sections; i++) {
		if (!read_section(file, &header, i, table))
			return -EBADMSG;
		if (table->sh_type == SHT_SYMTAB)
			return read_section(file, &header, table->sh_link, names) ? 0 : -EBADMSG;
	}
	return -ENODATA;
}

/* How much of a table of strings can be names: up to its last zero. */
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
	symbols = file_at(file, table.sh_offset, table.sh_size);
	strings = file_at(file, names.sh_offset, names.sh_size);
	if (symbols == NULL || strings == NULL || names.sh_type != SHT_STRTAB)
		return -EBADMSG;
	name_bytes = count_name_bytes(strings, names.sh_size);
	for (uint64_t at = 0; at + sizeof(symbol) <= table.sh_size; at += sizeof(symbol)) {
		memcpy(&symbol, symbols + at, sizeof(symbol));
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

/* How many dynamic symbols there are. DT_GNU_HASH only knows where its last chain ends. */
static uint32_t count_dynamic(const struct elf_image *image, const struct dynamic *dynamic)
{
	uint32_t header[4], index, link = 0, last = 0;
	uint64_t buckets, hashes;

	if (dynamic->gnu_hash == 0)
		return dynamic->hash != 0 && image_read(image, dynamic->hash, header, 8) ? header[1] : 0;
	if (!image_read(image, dynamic->gnu_hash, header, sizeof(header)))
		return 0;
	buckets = dynamic->gnu_hash + sizeof(header) + header[2] * sizeof(uint64_t);
	hashes = buckets + header[0] * sizeof(uint32_t);
	for (uint32_t i = 0; i < header[0]; i++) {
		if (!image_read(image, buckets + i * sizeof(index), &index, sizeof(index)))
			return 0;
		last = index > last ? index : last;
	}
	for (; last >= header[1] && last != 0 && (link & 1) == 0; last++) {
		if (!image_read(image, hashes + (last - header[1]) * sizeof(link), &link, sizeof(link)))
			return 0;
	}
	return last;
}

int elf_each_dynamic(const struct elf_image *image, elf_visit *visit, void *to)
{
	struct dynamic dynamic;
	const uint8_t *strings;
	Elf64_Sym symbol;
	uint64_t name_bytes;
	uint32_t count;

	if (!read_dynamic(image, &dynamic))
		return -ENOENT;
	strings = elf_at(image, dynamic.strings, dynamic.strings_bytes);
	count = count_dynamic(image, &dynamic);
	if (strings == NULL || count == 0)
		return -EBADMSG;
	name_bytes = count_name_bytes(strings, dynamic.strings_bytes);
	for (uint64_t i = 0; i < count; i++) {
		if (!image_read(image, dynamic.symbols + i * sizeof(symbol), &symbol, sizeof(symbol)))
			return -EBADMSG;
		if (symbol.st_name < name_bytes)
			visit(to, &symbol, (const char *)strings + symbol.st_name);
	}
	return 0;
}

/* Looks through a run of notes; their parts are padded to `alignment`. */
static int find_build_id(const uint8_t *notes, uint64_t bytes, uint64_t alignment, uint8_t *id)
{
	uint64_t mask = alignment == 8 ? 7 : 3;
	Elf64_Nhdr note;

	for (uint64_t at = 0; at < bytes && bytes - at >= sizeof(note);) {
		uint64_t name = at + sizeof(note), value;

		memcpy(&note, notes + at, sizeof(note));
		value = (name + note.n_namesz + mask) & ~mask;
		if (value > bytes || note.n_descsz > bytes - value)
			return -EBADMSG;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		        memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0) {
			if (note.n_descsz == 0 || note.n_descsz > ELF_BUILD_ID_MAX)
				return -EBADMSG;
			memcpy(id, notes + value, note.n_descsz);
			return (int)note.n_descsz;
		}
		at = (value + note.n_descsz + mask) & ~mask;
	}
	return -ENOENT;
}

int elf_build_id(const struct elf_image *image, uint8_t id[ELF_BUILD_ID_MAX])
{
	for (size_t i = 0; i < image->count; i++) {
		const Elf64_Phdr *segment = &image->headers[i];
		uint64_t bytes = segment_bytes(image, segment);
		const uint8_t *notes;
		int length = 0;

		if (segment->p_type != PT_NOTE)
			continue;
		notes = elf_at(image, segment->p_vaddr, bytes);
		if (notes != NULL)
			length = find_build_id(notes, bytes, segment->p_align, id);
		if (length > 0)
			return length;
	}
	return -ENOENT;
}

int elf_build_id_of_sections(struct elf_file file, uint8_t id[ELF_BUILD_ID_MAX])
{
	Elf64_Ehdr header;
	Elf64_Shdr section;
	uint64_t sections;

	if (!read_file_header(file, &header))
		return -ENOEXEC;
	sections = count_sections(file, &header);
	for (uint64_t i = 0; i < sections; i++) {
		const uint8_t *notes;
		int length = 0;

		if (!read_section(file, &header, i, &section))
			return -EBADMSG;
		if (section.sh_type != SHT_NOTE)
			continue;
		notes = file_at(file, section.sh_offset, section.sh_size);
		if (notes != NULL)
			length = find_build_id(notes, section.sh_size, section.sh_addralign, id);
		if (length > 0)
			return length;
	}
	return -ENOENT;
}
