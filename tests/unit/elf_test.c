/* SPDX-License-Identifier: MIT */
/*
 * Files made by hand and then damaged in every way; and qemu-img, if it is installed (or the file that the first
 * argument names). Untrusted bytes end at a page that cannot be read, so that reading too far ends the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patch/decode.h"
#include "patch/elf.h"
#include "tap.h"

enum { BASE = 0x10000, ID_BYTES = 20, NAMES = 6 };

/* A whole ELF file: what real ones have, as small as possible. */
struct fixture {
	Elf64_Ehdr header;
	Elf64_Phdr segments[4]; /* all up to `code`, `code`, `dynamic`, `note` */
	Elf64_Dyn dynamic[7];
	Elf64_Sym symbols[8];
	char strings[48];
	uint32_t gnu_hash[4 + 2 + 1 + 7]; /* header, bloom, one bucket, hashes of symbols 1 to 7 */
	uint32_t hash[2 + 1 + 8];
	uint16_t versions[8];
	struct {
		Elf64_Nhdr header;
		char name[4];
		uint8_t id[ID_BYTES];
	} note;
	Elf64_Shdr sections[4]; /* none, symbols, strings, note */
	uint8_t code[64];
};

static const char *const names[NAMES] = {"alpha", "beta", "gamma", "twin", "old", "no such name"};

static uint32_t gnu_hash_of(const char *name)
{
	uint32_t hash = 5381;

	while (*name != '\0')
		hash = hash * 33 + (uint8_t)*name++;
	return hash;
}

#define AT(field)   (offsetof(struct fixture, field))
#define SIZE(field) (sizeof(((struct fixture *)NULL)->field))

static void make_symbols(struct fixture *f)
{
	static const struct {
		unsigned name;
		unsigned type;
		size_t at;
		size_t size;
	} wanted[] = {
	        {1, STT_FUNC, AT(code), 16},       /* alpha */
	        {7, STT_OBJECT, AT(note), 4},      /* beta */
	        {12, STT_GNU_IFUNC, AT(code), 16}, /* gamma */
	        {18, STT_FUNC, AT(code) + 16, 16}, /* twin */
	        {18, STT_FUNC, AT(code) + 32, 16}, /* twin */
	        {23, STT_FUNC, AT(code) + 48, 16}, /* old, of a version that is not the default */
	        {1, STT_FUNC, AT(code), 0},        /* alpha, the same place */
	};

	memcpy(f->strings, "\0alpha\0beta\0gamma\0twin\0old", 27);
	for (size_t i = 0; i < 7; i++) {
		Elf64_Sym *symbol = &f->symbols[i + 1];

		symbol->st_name = wanted[i].name;
		symbol->st_info = ELF64_ST_INFO(STB_GLOBAL, wanted[i].type);
		symbol->st_shndx = 1;
		symbol->st_value = BASE + wanted[i].at;
		symbol->st_size = wanted[i].size;
		f->versions[i + 1] = wanted[i].name == 23 ? 0x8002 : 1;
		f->gnu_hash[7 + i] = (gnu_hash_of(f->strings + wanted[i].name) & ~1u) | (i == 6);
		f->hash[3 + i] = (uint32_t)i; /* link i leads to i - 1 … */
	}
	f->hash[3] = 0;
	for (uint32_t i = 1; i < 8; i++)
		f->hash[3 + i] = i - 1; /* … and the one bucket to the last */
	f->hash[0] = 1;
	f->hash[1] = 8;
	f->hash[2] = 7;
	f->gnu_hash[0] = 1;
	f->gnu_hash[1] = 1;
	f->gnu_hash[2] = 1;
	f->gnu_hash[4] = f->gnu_hash[5] = ~0u;
	f->gnu_hash[6] = 1;
}

static void make_fixture(struct fixture *f, bool has_gnu_hash)
{
	const struct {
		Elf64_Sxword tag;
		Elf64_Xword value;
	} wanted[] = {
	        {DT_SYMTAB, BASE + AT(symbols)},
	        {DT_STRTAB, BASE + AT(strings)},
	        {DT_STRSZ, SIZE(strings)},
	        {DT_VERSYM, BASE + AT(versions)},
	        {DT_HASH, BASE + AT(hash)},
	        {has_gnu_hash ? DT_GNU_HASH : DT_DEBUG, BASE + AT(gnu_hash)},
	};

	memset(f, 0, sizeof(*f));
	f->header = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	        .e_type = ET_DYN,
	        .e_machine = EM_X86_64,
	        .e_phoff = AT(segments),
	        .e_shoff = AT(sections),
	        .e_ehsize = sizeof(Elf64_Ehdr),
	        .e_phentsize = sizeof(Elf64_Phdr),
	        .e_phnum = 4,
	        .e_shentsize = sizeof(Elf64_Shdr),
	        .e_shnum = 4};
	f->segments[0] = (Elf64_Phdr){PT_LOAD, PF_R, 0, BASE, BASE, AT(code), AT(code), 4096};
	f->segments[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, AT(code), BASE + AT(code), BASE + AT(code),
	        SIZE(code), SIZE(code), 4096};
	f->segments[2] = (Elf64_Phdr){PT_DYNAMIC, PF_R, AT(dynamic), BASE + AT(dynamic), BASE + AT(dynamic),
	        SIZE(dynamic), SIZE(dynamic), 8};
	f->segments[3] = (Elf64_Phdr){
	        PT_NOTE, PF_R, AT(note), BASE + AT(note), BASE + AT(note), SIZE(note), SIZE(note), 4};
	f->sections[1] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
	        .sh_offset = AT(symbols),
	        .sh_size = SIZE(symbols),
	        .sh_link = 2,
	        .sh_entsize = sizeof(Elf64_Sym)};
	f->sections[2] =
	        (Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = AT(strings), .sh_size = SIZE(strings)};
	f->sections[3] = (Elf64_Shdr){
	        .sh_type = SHT_NOTE, .sh_offset = AT(note), .sh_size = SIZE(note), .sh_addralign = 4};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		f->dynamic[i] = (Elf64_Dyn){wanted[i].tag, {wanted[i].value}};
	f->note.header = (Elf64_Nhdr){4, ID_BYTES, NT_GNU_BUILD_ID};
	memcpy(f->note.name, "GNU", 4);
	for (unsigned i = 0; i < ID_BYTES; i++)
		f->note.id[i] = (uint8_t)(0xa0 + i);
	make_symbols(f);
}

static void test_dynamic(bool has_gnu_hash)
{
	const char *table = has_gnu_hash ? "DT_GNU_HASH" : "DT_HASH";
	struct elf_symbol found = {0};
	struct elf_image image;
	struct fixture f;

	make_fixture(&f, has_gnu_hash);
	tap_is(elf_image_of_file(&image, (struct elf_file){(uint8_t *)&f, sizeof(f)}), 0,
	        "elf: a file is taken");
	tap_ok(elf_find_dynamic(&image, "alpha", ELF_FUNCTION, &found) == 0 &&
	                found.value == BASE + AT(code) && found.size == 16 && found.segment == &f.segments[1],
	        "elf: %s leads to a function", table);
	tap_ok(elf_find_dynamic(&image, "beta", ELF_DATA, &found) == 0 && found.value == BASE + AT(note),
	        "elf: %s leads to a variable", table);
	tap_is(elf_find_dynamic(&image, "beta", ELF_FUNCTION, &found), -ENOENT,
	        "elf: a variable is no function (%s)", table);
	tap_is(elf_find_dynamic(&image, "alpha", ELF_DATA, &found), -ENOENT,
	        "elf: a function is no variable (%s)", table);
	tap_is(elf_find_dynamic(&image, "gamma", ELF_FUNCTION, &found), -ENOTSUP,
	        "elf: an indirect function is told apart (%s)", table);
	tap_is(elf_find_dynamic(&image, "twin", ELF_FUNCTION, &found), -ENOTUNIQ,
	        "elf: two functions of one name are told apart (%s)", table);
	tap_is(elf_find_dynamic(&image, "old", ELF_FUNCTION, &found), -ENOENT,
	        "elf: an old version is not found (%s)", table);
	tap_is(elf_find_dynamic(&image, "alph", ELF_FUNCTION, &found), -ENOENT,
	        "elf: half a name is not found (%s)", table);
	tap_is(elf_find_dynamic(&image, "", ELF_FUNCTION, &found), -ENOENT, "elf: no name is not found (%s)",
	        table);
}

static void test_file(void)
{
	struct elf_symbol found = {0};
	struct elf_image image;
	struct elf_file file;
	struct fixture f;

	make_fixture(&f, true);
	file = (struct elf_file){(uint8_t *)&f, sizeof(f)};
	elf_image_of_file(&image, file);
	tap_ok(elf_find_symtab(file, &image, "old", ELF_FUNCTION, &found) == 0 &&
	                found.value == BASE + AT(code) + 48,
	        "elf: .symtab leads to a function");
	tap_is(elf_find_symtab(file, &image, "twin", ELF_FUNCTION, &found), -ENOTUNIQ,
	        "elf: .symtab tells two functions of one name apart");
	tap_is(elf_find_symtab(file, &image, "nothing", ELF_FUNCTION, &found), -ENOENT,
	        "elf: .symtab does not invent functions");
	f.symbols[1].st_value = BASE + sizeof(f) + 4096;
	tap_is(elf_find_dynamic(&image, "alpha", ELF_FUNCTION, &found), 0,
	        "elf: a second entry of a name serves");
	f.symbols[7].st_value = BASE + sizeof(f) + 4096;
	tap_is(elf_find_dynamic(&image, "alpha", ELF_FUNCTION, &found), -EBADMSG,
	        "elf: a function outside of every segment is damage");
	make_fixture(&f, true);
	f.symbols[1].st_size = 65;
	tap_is(elf_find_dynamic(&image, "alpha", ELF_FUNCTION, &found), 0,
	        "elf: of two entries the one that fits serves");
	tap_is(found.size, 0, "elf: the size of an entry that does not fit is not taken");
	make_fixture(&f, true);
	f.symbols[7].st_shndx = f.symbols[1].st_shndx = SHN_UNDEF;
	tap_is(elf_find_dynamic(&image, "alpha", ELF_FUNCTION, &found), -ENOENT,
	        "elf: an undefined function is not found");
	make_fixture(&f, true);
	f.sections[1].sh_type = SHT_PROGBITS;
	tap_is(elf_find_symtab(file, &image, "alpha", ELF_FUNCTION, &found), -ENODATA,
	        "elf: a file without .symtab says so");
}

/* Damage that has one right answer. */
static void test_damage(void)
{
	struct elf_symbol found = {0};
	struct elf_image image;
	struct elf_file file;
	struct fixture f;
	_Alignas(8) uint8_t copy[sizeof(f) + 1];

	make_fixture(&f, false);
	file = (struct elf_file){(uint8_t *)&f, sizeof(f)};
	elf_image_of_file(&image, file);
	f.hash[3 + 7] = 7;
	tap_is(elf_find_dynamic(&image, "nothing", ELF_FUNCTION, &found), -EBADMSG,
	        "elf: a chain that never ends is damage");
	f.hash[1] = UINT32_MAX;
	f.dynamic[3].d_tag = DT_DEBUG;
	tap_is(elf_find_dynamic(&image, "nothing", ELF_FUNCTION, &found), -EBADMSG,
	        "elf: a table that claims more links than there are is damage, and not followed");
	make_fixture(&f, true);
	f.gnu_hash[0] = 0;
	tap_is(elf_find_dynamic(&image, "alpha", ELF_FUNCTION, &found), -EBADMSG,
	        "elf: a table without buckets is damage");
	make_fixture(&f, true);
	f.symbols[1].st_value = f.symbols[7].st_value = BASE;
	tap_is(elf_find_dynamic(&image, "alpha", ELF_FUNCTION, &found), -EBADMSG,
	        "elf: a function among data is damage");
	make_fixture(&f, false);
	f.segments[0].p_filesz = AT(hash) + 8 + 4 + 7 * 4; /* one symbol's link is missing */
	f.dynamic[3].d_tag = DT_DEBUG;
	tap_is(elf_find_dynamic(&image, "alpha", ELF_FUNCTION, &found), -EBADMSG,
	        "elf: a chain that leaves its segment is damage");
	make_fixture(&f, true);
	f.dynamic[2].d_un.d_val = 3;
	tap_is(elf_find_dynamic(&image, "alpha", ELF_FUNCTION, &found), -ENOENT,
	        "elf: a name that leaves DT_STRSZ is not read");
	tap_is(elf_find_dynamic(&image, "twin", ELF_FUNCTION, &found), -EBADMSG,
	        "elf: a name behind DT_STRSZ is damage");
	f.sections[2].sh_size = 3;
	tap_is(elf_find_symtab(file, &image, "alpha", ELF_FUNCTION, &found), -ENOENT,
	        "elf: a name that leaves its section is not read");
	make_fixture(&f, true);
	f.header.e_ident[EI_CLASS] = ELFCLASS32;
	tap_is(elf_image_of_file(&image, file), -ENOEXEC, "elf: a 32-bit file is refused");
	make_fixture(&f, true);
	memcpy(copy + 1, &f, sizeof(f));
	tap_is(elf_image_of_file(&image, (struct elf_file){copy + 1, sizeof(f)}), -ENOEXEC,
	        "elf: headers that cannot be read in place are refused");
}

static void test_build_id(void)
{
	static const Elf64_Nhdr first = {4, 4, NT_GNU_ABI_TAG};
	uint8_t id[2 * ELF_BUILD_ID_MAX];
	struct elf_image image;
	struct elf_file file;
	struct fixture f;

	make_fixture(&f, true);
	file = (struct elf_file){(uint8_t *)&f, sizeof(f)};
	elf_image_of_file(&image, file);
	tap_ok(elf_build_id(&image, id) == ID_BYTES && memcmp(id, f.note.id, ID_BYTES) == 0,
	        "elf: the build-id is read from the segments");
	tap_ok(elf_build_id_of_sections(file, id) == ID_BYTES && memcmp(id, f.note.id, ID_BYTES) == 0,
	        "elf: the build-id is read from the sections");
	memcpy(f.code, &first, sizeof(first));
	memcpy(f.code + 12, "GNU", 4);
	memcpy(f.code + 20, &f.note, SIZE(note));
	f.segments[3].p_vaddr = BASE + AT(code);
	f.segments[3].p_filesz = 20 + SIZE(note);
	tap_ok(elf_build_id(&image, id) == ID_BYTES && memcmp(id, f.note.id, ID_BYTES) == 0,
	        "elf: the build-id is found behind another note");
	make_fixture(&f, true);
	f.note.header.n_descsz++;
	tap_is(elf_build_id(&image, id), -ENOENT, "elf: a build-id that leaves its segment is not read");
	f.segments[0].p_filesz = f.segments[3].p_filesz = SIZE(note) + ELF_BUILD_ID_MAX;
	f.segments[0].p_filesz += AT(note);
	f.note.header.n_descsz = ELF_BUILD_ID_MAX + 1;
	tap_is(elf_build_id(&image, id), -ENOENT, "elf: a build-id longer than any is not read");
	f.note.header.n_descsz = ELF_BUILD_ID_MAX;
	tap_is(elf_build_id(&image, id), ELF_BUILD_ID_MAX, "elf: a build-id may be as long as it may be");
}

/* Does everything that can be done with a file. The results must be consistent, whatever the file is. */
static bool survives(struct elf_file file)
{
	uint8_t id[ELF_BUILD_ID_MAX];
	struct elf_symbol found;
	struct elf_image image;
	bool good = true;

	good &= elf_build_id_of_sections(file, id) <= ELF_BUILD_ID_MAX;
	if (elf_image_of_file(&image, file) != 0)
		return good;
	good &= elf_build_id(&image, id) <= ELF_BUILD_ID_MAX;
	for (size_t i = 0; i < 2 * NAMES; i++) {
		enum elf_kind kind = i < NAMES ? ELF_FUNCTION : ELF_DATA;

		if (elf_find_dynamic(&image, names[i % NAMES], kind, &found) == 0)
			good &= found.value - found.segment->p_vaddr < found.segment->p_memsz;
		if (elf_find_symtab(file, &image, names[i % NAMES], kind, &found) == 0)
			good &= found.size <= found.segment->p_memsz;
	}
	return good;
}

static void test_hostile(bool has_gnu_hash)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	const char *table = has_gnu_hash ? "DT_GNU_HASH" : "DT_HASH";
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *room = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *end = room + page;
	uint8_t *bytes = end - sizeof(struct fixture);
	struct elf_file file = {bytes, sizeof(struct fixture)};
	struct fixture f;
	uint64_t random = 1;
	bool good = true;

	if (!tap_ok(room != MAP_FAILED && sizeof(f) <= page && sizeof(f) % 8 == 0,
	            "elf: the fixture fits a page"))
		return;
	mprotect(end, page, PROT_NONE);
	make_fixture(&f, has_gnu_hash);
	for (size_t length = 0; length <= sizeof(f); length += 8) {
		memcpy(end - length, &f, length);
		good &= survives((struct elf_file){end - length, length});
	}
	tap_ok(good, "elf: a file may be cut anywhere (%s)", table);
	for (size_t i = 0; i < sizeof(f) * sizeof(values); i++) {
		memcpy(bytes, &f, sizeof(f));
		bytes[i / sizeof(values)] = values[i % sizeof(values)];
		good &= survives(file);
	}
	tap_ok(good, "elf: any one byte may be wrong (%s)", table);
	for (unsigned round = 0; round < 20000; round++) {
		memcpy(bytes, &f, sizeof(f));
		for (unsigned i = 0; i < 1 + round % 8; i++) {
			random = random * 6364136223846793005 + 1442695040888963407;
			bytes[(random >> 33) % sizeof(f)] = (uint8_t)(random >> 24);
		}
		good &= survives(file);
	}
	tap_ok(good, "elf: several bytes may be wrong (%s)", table);
	munmap(room, 2 * page);
}

/* What a real program has: its functions are found, and can be moved. */
static void test_qemu_img(const char *path)
{
	static const char *const functions[] = {"qemu_coroutine_new", "qemu_coroutine_delete",
	        "qemu_coroutine_create", "qemu_coroutine_inc_pool_size", "qemu_coroutine_dec_pool_size",
	        "qemu_alloc_stack", "qemu_free_stack"};
	struct elf_file file = {NULL, 0};
	struct elf_image image;
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) != 0) {
		tap_skip("not installed", "qemu-img: its functions can be patched");
		return;
	}
	file.bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	file.size = (size_t)status.st_size;
	close(fd);
	if (!tap_ok(file.bytes != MAP_FAILED && elf_image_of_file(&image, file) == 0,
	            "qemu-img: its file is taken"))
		return;
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		struct decode_prologue prologue;
		struct elf_symbol found;
		struct decode_code code;
		uint64_t address = 0;

		if (!tap_ok(elf_find_dynamic(&image, functions[i], ELF_FUNCTION, &found) == 0,
		            "qemu-img: %s is found", functions[i]))
			continue;
		code = (struct decode_code){.bytes = file.bytes + found.segment->p_offset +
		                                     (found.value - found.segment->p_vaddr),
		        .address = found.value,
		        .size = found.size,
		        .available = found.segment->p_memsz - (found.value - found.segment->p_vaddr),
		        .text_low = found.segment->p_vaddr,
		        .text_high = found.segment->p_vaddr + found.segment->p_memsz,
		        .image_low = 0,
		        .image_high = 1ull << 31};
		tap_is_text(decode_refusal_text(decode_prologue(&code, &prologue)), "fine",
		        "qemu-img: %s can be moved", functions[i]);
		if (strcmp(functions[i], "qemu_coroutine_dec_pool_size") != 0)
			continue;
		tap_is_text(decode_refusal_text(decode_operand(&code, &address)), "fine",
		        "qemu-img: the variable with its pool's size is found");
		tap_ok(address % sizeof(int) == 0 && address > code.text_high,
		        "qemu-img: that variable lies where variables do (%#llx)",
		        (unsigned long long)address);
	}
	munmap((void *)file.bytes, file.size);
}

int main(int count, char **arguments)
{
	test_dynamic(true);
	test_dynamic(false);
	test_file();
	test_damage();
	test_build_id();
	test_hostile(true);
	test_hostile(false);
	if (decode_open() == 0)
		test_qemu_img(count == 2 ? arguments[1] : "/usr/bin/qemu-img");
	else
		tap_skip("libZydis is not installed", "qemu-img: its functions can be patched");
	decode_close();
	return tap_done();
}
