/* SPDX-License-Identifier: MIT */
/*
 * Every read goes through elf_file_at() or elf_at(), which know how many bytes there are. What is read is copied, so
 * that nothing depends on the alignment that a file claims.
 *
 * The loader replaces some of PT_DYNAMIC's link-time addresses by absolute ones; a file has the former. The bias
 * tells them apart.
 */
#include "patch/elf.h"

#include "patch/elf_read.h"

#include <errno.h>
#include <string.h>

const uint8_t *elf_file_at(struct elf_file file, uint64_t offset, uint64_t bytes)
{
	if (offset > file.size || bytes > file.size - offset)
		return NULL;
	return file.bytes + offset;
}

/* Copies bytes at an offset of a file. False: the file is shorter. */
static bool file_read(struct elf_file file, uint64_t offset, void *to, size_t bytes)
{
	const uint8_t *from = elf_file_at(file, offset, bytes);

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
		return elf_file_at(image->file, segment->p_offset + offset, bytes);
	}
	return NULL;
}

bool elf_read(const struct elf_image *image, uint64_t address, void *to, size_t bytes)
{
	const uint8_t *from = elf_at(image, address, bytes);

	if (from != NULL)
		memcpy(to, from, bytes);
	return from != NULL;
}

bool elf_file_header(struct elf_file file, Elf64_Ehdr *header)
{
	return file.bytes != NULL && file_read(file, 0, header, sizeof *header) &&
	       memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64 &&
	       header->e_ident[EI_DATA] == ELFDATA2LSB;
}

int elf_image_of_file(struct elf_image *image, struct elf_file file)
{
	Elf64_Ehdr header;
	const uint8_t *headers;

	if (!elf_file_header(file, &header))
		return -ENOEXEC;
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return -ENOEXEC;
	if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum == PN_XNUM)
		return -ENOEXEC;
	headers = elf_file_at(file, header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
	if (headers == NULL || (uintptr_t)headers % _Alignof(Elf64_Phdr) != 0)
		return -ENOEXEC;
	*image = (struct elf_image){(const Elf64_Phdr *)headers, header.e_phnum, 0, file};
	return 0;
}

static void note_entry(struct elf_dynamic *dynamic, int64_t tag, uint64_t value, uint64_t address)
{
	switch (tag) {
	case DT_SYMTAB:
		dynamic->symbols = address;
		break;
	case DT_STRTAB:
		dynamic->strings = address;
		break;
	case DT_STRSZ:
		dynamic->strings_bytes = value;
		break;
	case DT_VERSYM:
		dynamic->versions = address;
		break;
	case DT_GNU_HASH:
		dynamic->gnu_hash = address;
		break;
	case DT_HASH:
		dynamic->hash = address;
		break;
	case DT_JMPREL:
		dynamic->relocations[0].at = address;
		break;
	case DT_PLTRELSZ:
		dynamic->relocations[0].bytes = value;
		break;
	case DT_RELA:
		dynamic->relocations[1].at = address;
		break;
	case DT_RELASZ:
		dynamic->relocations[1].bytes = value;
		break;
	default:
		break;
	}
}

bool elf_read_dynamic(const struct elf_image *image, struct elf_dynamic *dynamic)
{
	const Elf64_Phdr *segment = image->headers;
	const Elf64_Phdr *end = segment + image->count;
	const uint8_t *whole;
	uint64_t bytes;
	Elf64_Dyn entry;

	*dynamic = (struct elf_dynamic){0};
	while (segment < end && segment->p_type != PT_DYNAMIC)
		segment++;
	if (segment == end)
		return false;
	bytes = segment_bytes(image, segment);
	/* Every program looks up names in all its objects when it starts: so this is not read entry by entry, if possible. */
	whole = elf_at(image, segment->p_vaddr, bytes);
	for (uint64_t at = 0; at + sizeof entry <= bytes; at += sizeof entry) {
		uint64_t value;

		if (whole != NULL)
			memcpy(&entry, whole + at, sizeof entry);
		else if (!elf_read(image, segment->p_vaddr + at, &entry, sizeof entry))
			break;
		if (entry.d_tag == DT_NULL)
			break;
		value = entry.d_un.d_val;
		note_entry(dynamic, entry.d_tag, value, value >= image->bias ? value - image->bias : value);
	}
	return dynamic->symbols != 0 && dynamic->strings != 0;
}

/* How many sections a file has. If the header says 0, section 0 has the number. */
uint64_t elf_count_sections(struct elf_file file, const Elf64_Ehdr *header)
{
	Elf64_Shdr first;

	if (header->e_shoff == 0 || header->e_shentsize != sizeof first)
		return 0;
	if (header->e_shnum != 0)
		return header->e_shnum;
	return file_read(file, header->e_shoff, &first, sizeof first) ? first.sh_size : 0;
}

bool elf_section(struct elf_file file, const Elf64_Ehdr *header, uint64_t index, Elf64_Shdr *section)
{
	if (index > file.size / sizeof *section || header->e_shoff > file.size)
		return false;
	return file_read(file, header->e_shoff + index * sizeof *section, section, sizeof *section);
}

/* Searches a sequence of notes, whose parts are padded to `alignment`. */
static int find_build_id(const uint8_t *notes, uint64_t bytes, uint64_t alignment, uint8_t *id)
{
	uint64_t mask = alignment == 8 ? 7 : 3;
	Elf64_Nhdr note;

	for (uint64_t at = 0; at < bytes && bytes - at >= sizeof note;) {
		uint64_t name = at + sizeof note, value;

		memcpy(&note, notes + at, sizeof note);
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

/* Searches the properties of a note. */
static bool has_landing_pads(const uint8_t *properties, uint64_t bytes)
{
	enum { ALIGNMENT = 8 };
	struct {
		uint32_t type, bytes;
	} property;
	uint32_t features;

	for (uint64_t at = 0; at < bytes && bytes - at >= sizeof property;) {
		memcpy(&property, properties + at, sizeof property);
		at += sizeof property;
		if (property.bytes > bytes - at)
			return false;
		if (property.type == GNU_PROPERTY_AARCH64_FEATURE_1_AND &&
		        property.bytes == sizeof features) {
			memcpy(&features, properties + at, sizeof features);
			return (features & GNU_PROPERTY_AARCH64_FEATURE_1_BTI) != 0;
		}
		at += (property.bytes + ALIGNMENT - 1ull) & ~(ALIGNMENT - 1ull);
	}
	return false;
}

bool elf_has_landing_pads(const struct elf_image *image)
{
	for (size_t i = 0; i < image->count; i++) {
		const Elf64_Phdr *segment = &image->headers[i];
		uint64_t bytes = segment_bytes(image, segment),
		         begin = sizeof(Elf64_Nhdr) + sizeof ELF_NOTE_GNU;
		const uint8_t *note;
		Elf64_Nhdr header;

		if (segment->p_type != PT_GNU_PROPERTY || bytes < begin)
			continue;
		note = elf_at(image, segment->p_vaddr, bytes);
		if (note == NULL)
			continue;
		memcpy(&header, note, sizeof header);
		if (header.n_type == NT_GNU_PROPERTY_TYPE_0 && header.n_namesz == sizeof ELF_NOTE_GNU &&
		        header.n_descsz <= bytes - begin &&
		        memcmp(note + sizeof header, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0)
			return has_landing_pads(note + begin, header.n_descsz);
	}
	return false;
}

int elf_build_id_of_sections(struct elf_file file, uint8_t id[ELF_BUILD_ID_MAX])
{
	Elf64_Ehdr header;
	Elf64_Shdr section;
	uint64_t sections;

	if (!elf_file_header(file, &header))
		return -ENOEXEC;
	sections = elf_count_sections(file, &header);
	for (uint64_t i = 0; i < sections; i++) {
		const uint8_t *notes;
		int length = 0;

		if (!elf_section(file, &header, i, &section))
			return -EBADMSG;
		if (section.sh_type != SHT_NOTE)
			continue;
		notes = elf_file_at(file, section.sh_offset, section.sh_size);
		if (notes != NULL)
			length = find_build_id(notes, section.sh_size, section.sh_addralign, id);
		if (length > 0)
			return length;
	}
	return -ENOENT;
}
