/* SPDX-License-Identifier: MIT */
/* Zydis, and what is used of it. The table of its functions is the only state. */
#include "patch/instruction.h"

#include "libc/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <Zydis/Decoder.h>

static struct {
	void *library;
	ZyanU64 (*version)(void);
	__typeof__(ZydisDecoderInit) *init;
	__typeof__(ZydisDecoderDecodeInstruction) *decode;
	union {
		ZydisDecoder decoder;
		uint8_t room[256]; /* that of 4.0 is larger than that of 4.1 */
	};
} zydis;

/* pause and `xchg %r8,%rax` share the opcode of nop; their prefixes tell them apart. */
static bool is_plain_nop(const ZydisDecodedInstruction *raw)
{
	bool is_plain = true;

	for (unsigned i = 0; i < raw->raw.prefix_count; i++)
		is_plain &= raw->raw.prefixes[i].value == 0x66 || raw->raw.prefixes[i].value == 0x2e;
	return is_plain;
}

/* Sets where execution continues, by the opcode. */
static void classify(const ZydisDecodedInstruction *raw, struct instruction *in)
{
	bool is_default = raw->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT;
	unsigned reg = raw->raw.modrm.reg;

	if (raw->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	        (!is_default && raw->opcode_map != ZYDIS_OPCODE_MAP_0F))
		return;
	switch (is_default ? raw->opcode : 0x0f00 | raw->opcode) {
	case 0x70 ... 0x7f:
	case 0x0f80 ... 0x0f8f:
		in->flow = FLOW_BRANCH;
		break;
	case 0xe9:
	case 0xeb:
		in->flow = FLOW_JUMP;
		break;
	case 0xe8:
		in->flow = FLOW_CALL;
		break;
	case 0xe0 ... 0xe3:
		in->flow = FLOW_LOOP;
		break;
	case 0xc7: /* xbegin, unless it is a mov */
		in->flow = raw->raw.imm[0].is_relative ? FLOW_LOOP : FLOW_NEXT;
		break;
	case 0xff:
		if (reg == 2 || reg == 3)
			in->flow = FLOW_CALL;
		else if (reg == 4 || reg == 5)
			in->flow = FLOW_AWAY;
		in->is_indirect = in->flow != FLOW_NEXT;
		break;
	case 0xc2 ... 0xc3: /* ret, near and far */
	case 0xca ... 0xcb:
	case 0xcf:   /* iret */
	case 0xf4:   /* hlt */
	case 0x0f0b: /* ud2, ud1, ud0 */
	case 0x0fb9:
	case 0x0fff:
		in->flow = FLOW_AWAY;
		break;
	case 0xcc:
		in->flow = FLOW_BREAKPOINT;
		in->is_padding = true;
		break;
	case 0x90:
	case 0x0f1f:
		in->is_padding = is_plain_nop(raw);
		break;
	case 0x29:
		in->is_rip_sub = in->size == 4 && raw->operand_width == 32;
		break;
	}
}

bool instruction_read(const struct decode_code *code, size_t at, struct instruction *in)
{
	ZydisDecodedInstruction raw;
	int64_t value = 0;

	if (at >= code->available || !ZYAN_SUCCESS(zydis.decode(&zydis.decoder, NULL, code->bytes + at,
	                                     code->available - at, &raw)))
		return false;
	*in = (struct instruction){.bytes = code->bytes + at, .length = raw.length};
	in->is_privileged = (raw.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0;
	if (raw.raw.imm[0].is_relative) {
		in->offset = raw.raw.imm[0].offset;
		in->size = raw.raw.imm[0].size / 8;
		in->is_odd = (raw.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0 || in->size == 2;
		value = raw.raw.imm[0].value.s;
	} else if ((raw.attributes & ZYDIS_ATTRIB_HAS_MODRM) && raw.raw.modrm.mod == 0 &&
	           raw.raw.modrm.rm == 5) {
		in->offset = raw.raw.disp.offset;
		in->size = raw.raw.disp.size / 8;
		in->is_odd = raw.address_width != 64;
		value = raw.raw.disp.value;
	}
	in->target = code->address + at + in->length + (uint64_t)value;
	classify(&raw, in);
	return true;
}

static bool is_decoder_sane(void)
{
	static const uint8_t sub[] = {0xf0, 0x29, 0x3d, 0x78, 0x56, 0x34, 0x12}; /* lock sub %edi, …(%rip) */
	static const uint8_t jne[] = {0x75, 0xfe};
	const struct decode_code first = {.bytes = sub, .available = sizeof sub};
	const struct decode_code second = {.bytes = jne, .available = sizeof jne};
	struct instruction in;

	if (!ZYAN_SUCCESS(zydis.init(&zydis.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
		return false;
	return instruction_read(&first, 0, &in) && in.is_rip_sub && in.length == sizeof sub &&
	       in.target == 0x12345678 + sizeof sub && instruction_read(&second, 0, &in) &&
	       in.flow == FLOW_BRANCH && in.target == 0;
}

/* Fills the table from a library. False: it is no known version. */
static bool use_library(void *library)
{
	ZyanU64 version;

	zydis.version = (__typeof__(zydis.version))dlsym(library, "ZydisGetVersion");
	zydis.init = (__typeof__(zydis.init))dlsym(library, "ZydisDecoderInit");
	zydis.decode = (__typeof__(zydis.decode))dlsym(library, "ZydisDecoderDecodeInstruction");
	if (zydis.version == NULL || zydis.init == NULL || zydis.decode == NULL)
		return false;
	version = zydis.version() >> 32; /* major 16, minor 16 */
	return (version == 0x40000 || version == 0x40001) && is_decoder_sane();
}

/* Whether it is there, where libc is, and may not be opened. */
static bool is_denied(const char *name)
{
	struct link_map *map;
	char path[PATH_MAX];
	Dl_info libc;
	int fd;

	if (dladdr1((const void *)gnu_get_libc_version, &libc, (void **)&map, RTLD_DL_LINKMAP) == 0)
		return false;
	snprintf(path, sizeof path, "%.*s/%s", (int)(strrchr(libc.dli_fname, '/') - libc.dli_fname),
	        libc.dli_fname, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd < 0 && (errno == EACCES || errno == EPERM);
}

int decode_open(void)
{
	/* The libc of the first version's time searches eighty places for a library that is not there. */
	static const char *const names[] = {"libZydis.so.4.0", "libZydis.so.4.1", "libZydis.so.4"};
	int error = -ENOENT;

	if (zydis.library != NULL)
		return 0;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);

		if (library == NULL) {
			const char *said = dlerror();
			bool is_there = said != NULL && strstr(said, "map segment") != NULL;

			error = is_there || is_denied(names[i]) ? -EACCES : error;
			continue;
		}
		if (use_library(library)) {
			zydis.library = library;
			return 0;
		}
		real_dlclose(library);
		error = -ELIBBAD;
	}
	return error;
}

void decode_close(void)
{
	if (zydis.library != NULL)
		real_dlclose(zydis.library);
	zydis.library = NULL;
}

bool instruction_can_read(void)
{
	return zydis.library != NULL;
}

struct walk walk_begin(const struct decode_code *code, size_t at)
{
	return (struct walk){code, at, code->size != 0 ? code->size : code->available, 0, false};
}

bool walk_next(struct walk *walk, struct instruction *in, enum decode_refusal *refusal)
{
	const struct decode_code *code = walk->code;

	if (walk->is_over || walk->at >= walk->limit)
		return false;
	if (!instruction_read(code, walk->at, in)) {
		*refusal = DECODE_UNKNOWN;
		return false;
	}
	walk->at += in->length;
	if (code->size != 0)
		return true;
	if ((in->flow == FLOW_BRANCH || in->flow == FLOW_LOOP || in->flow == FLOW_JUMP) &&
	        in->target - code->address < walk->limit && in->target - code->address > walk->furthest)
		walk->furthest = in->target - code->address;
	if (in->flow == FLOW_JUMP || in->flow == FLOW_AWAY || in->flow == FLOW_BREAKPOINT)
		walk->is_over = walk->at > walk->furthest;
	return true;
}
