/*
 * What Zydis says about an instruction is boiled down to a few words about where it goes and which of its
 * bytes count from its own place; the rest works on those words. Only fields that mean the same in Zydis 4.0
 * and 4.1 are read: opcodes and offsets, never mnemonics or registers, whose numbers differ.
 *
 *	function:	endbr64 | moved instructions            | the rest …
 *	                          ^ skip                          ^ skip + moved
 *	becomes:	endbr64 | jmp rel32 | what they left  | the rest …
 */
#include "patch/decode.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include <Zydis/Decoder.h>

enum {
	ENDBR_BYTES = 4,
	FUNCTION_ALIGNMENT = 16, /* padding reaches to the next such address and not beyond */
	STARTS_BYTES =
	        1 << 16, /* so much of a function is looked through for code inside other instructions */
};

static const uint8_t endbr64[ENDBR_BYTES] = {0xf3, 0x0f, 0x1e, 0xfa};

/* Where execution goes on. */
enum flow {
	FLOW_NEXT,
	FLOW_BRANCH, /* to `target` or the next instruction */
	FLOW_JUMP,   /* to `target` */
	FLOW_CALL,
	FLOW_LOOP,       /* as FLOW_BRANCH, with no long form */
	FLOW_AWAY,       /* returns, jumps to what a register or memory says, or stops */
	FLOW_BREAKPOINT, /* int3: a debugger's, or padding */
};

struct instruction {
	const uint8_t *bytes;
	unsigned length;
	enum flow flow;
	bool is_privileged;
	bool is_odd;     /* an operand or address size that does not go with a relative offset */
	bool is_padding; /* int3 or a nop that compilers fill gaps with */
	bool is_rip_sub; /* sub %r32, disp(%rip) */
	unsigned offset; /* of the bytes that count from the end of the instruction */
	unsigned size;   /* of these bytes: 0 (none), 1 or 4 */
	uint64_t target; /* the address that they mean */
};

/* A pass over a function's instructions, in the order they lie. */
struct walk {
	const struct decode_code *code;
	size_t at;       /* of the next instruction */
	size_t limit;    /* where to stop at the latest */
	size_t furthest; /* where the function goes on for sure: a branch has led there */
	bool is_over;
};

static struct {
	void *library;
	ZyanU64 (*version)(void);
	__typeof__(ZydisDecoderInit) *init;
	__typeof__(ZydisDecoderDecodeInstruction) *decode;
	union {
		ZydisDecoder decoder;
		uint8_t room[256]; /* 4.0's is larger than 4.1's, whichever we are compiled with */
	};
} zydis;

/* pause and `xchg %r8,%rax` share a nop's opcode; their prefixes tell. */
static bool is_plain_nop(const ZydisDecodedInstruction *raw)
{
	bool is_plain = true;

	for (unsigned i = 0; i < raw->raw.prefix_count; i++)
		is_plain &= raw->raw.prefixes[i].value == 0x66 || raw->raw.prefixes[i].value == 0x2e;
	return is_plain;
}

/* Says where an instruction goes, by its opcode. */
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
	case 0xc7: /* xbegin, where it is no mov */
		in->flow = raw->raw.imm[0].is_relative ? FLOW_LOOP : FLOW_NEXT;
		break;
	case 0xff:
		if (reg == 2 || reg == 3)
			in->flow = FLOW_CALL;
		else if (reg == 4 || reg == 5)
			in->flow = FLOW_AWAY;
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

/* Reads one instruction; false when the bytes are none. */
static bool read_instruction(const struct decode_code *code, size_t at, struct instruction *in)
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
	const struct decode_code first = {.bytes = sub, .available = sizeof(sub)};
	const struct decode_code second = {.bytes = jne, .available = sizeof(jne)};
	struct instruction in;

	if (!ZYAN_SUCCESS(zydis.init(&zydis.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
		return false;
	return read_instruction(&first, 0, &in) && in.is_rip_sub && in.length == sizeof(sub) &&
	       in.target == 0x12345678 + sizeof(sub) && read_instruction(&second, 0, &in) &&
	       in.flow == FLOW_BRANCH && in.target == 0;
}

/* Fills the table from one library; false when it is not one that we understand. */
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

int decode_open(void)
{
	/* The libc of the first one's time looks in eighty places for what it does not find. */
	static const char *const names[] = {"libZydis.so.4.0", "libZydis.so.4.1", "libZydis.so.4"};
	int error = -ENOENT;

	if (zydis.library != NULL)
		return 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);

		if (library == NULL)
			continue;
		if (use_library(library)) {
			zydis.library = library;
			return 0;
		}
		dlclose(library);
		error = -ELIBBAD;
	}
	return error;
}

void decode_close(void)
{
	if (zydis.library != NULL)
		dlclose(zydis.library);
	zydis.library = NULL;
}

static struct walk walk_begin(const struct decode_code *code, size_t at)
{
	return (struct walk){code, at, code->size != 0 ? code->size : code->available, 0, false};
}

/*
 * Reads the next instruction; false at the end of the function. Where its size is unknown, that is the first
 * place where execution cannot go on and no branch has led past.
 */
static bool walk_next(struct walk *walk, struct instruction *in, enum decode_refusal *refusal)
{
	const struct decode_code *code = walk->code;

	if (walk->is_over || walk->at >= walk->limit)
		return false;
	if (!read_instruction(code, walk->at, in)) {
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

/* Whether the first instruction is what others write over an entry: it leads out of the object at once. */
static bool is_hook(const struct decode_code *code, size_t at, const struct instruction *in)
{
	const uint8_t *next = in->bytes + in->length;

	switch (in->flow) {
	case FLOW_BREAKPOINT:
		return true;
	case FLOW_JUMP:
		return in->target < code->image_low || in->target >= code->image_high;
	case FLOW_AWAY: /* jmp *address(%rip), its address among the code; a GOT is not */
		return in->size == 4 && in->target >= code->text_low && in->target < code->text_high;
	default: /* movabs $address, %register; jmp *%register */
		return in->length == 10 && code->available - at >= 13 && (in->bytes[1] & 0xf8) == 0xb8 &&
		       (!memcmp(next, "\xff", 1) || !memcmp(next, "\x41\xff", 2));
	}
}

/* Why one instruction cannot run elsewhere. */
static enum decode_refusal refuse_to_move(const struct instruction *in)
{
	if (in->is_privileged)
		return DECODE_PRIVILEGED;
	if (in->flow == FLOW_CALL)
		return DECODE_CALL;
	if (in->flow == FLOW_LOOP)
		return DECODE_LOOP;
	if (in->flow == FLOW_BREAKPOINT)
		return DECODE_HOOKED;
	return in->is_odd ? DECODE_UNKNOWN : DECODE_FINE;
}

/*
 * Whether nobody needs the bytes from `at` to `end`, behind the function's last instruction: nops and int3
 * up to the address where the next function may begin.
 */
static bool is_padded(const struct decode_code *code, size_t at, size_t end)
{
	uint64_t next = (code->address + code->size + FUNCTION_ALIGNMENT - 1) & ~(FUNCTION_ALIGNMENT - 1ull);
	struct instruction in;

	if (code->size == 0 || end > next - code->address)
		return false;
	for (; at < end; at += in.length)
		if (!read_instruction(code, at, &in) || !in.is_padding)
			return false;
	return true;
}

/* Marks the bytes of a function where instructions begin. Leaves where the last one ends. */
static enum decode_refusal find_starts(
        const struct decode_code *code, size_t at, uint8_t *starts, size_t *end)
{
	struct walk walk = walk_begin(code, at);
	enum decode_refusal refusal = DECODE_FINE;
	struct instruction in;

	for (; walk_next(&walk, &in, &refusal); at = walk.at)
		if (at < STARTS_BYTES)
			starts[at / 8] |= 1u << at % 8;
	*end = at < STARTS_BYTES ? at : STARTS_BYTES;
	return refusal;
}

/*
 * Whether the function goes to a place among its first `end` bytes. To call itself is no such thing. A way
 * into the middle of an instruction leads to code that nobody has looked at.
 */
static enum decode_refusal find_branch_back(const struct decode_code *code, size_t at, size_t end)
{
	uint8_t starts[STARTS_BYTES / 8] = {0};
	struct walk walk = walk_begin(code, at);
	enum decode_refusal refusal;
	struct instruction in;
	size_t known;

	refusal = find_starts(code, at, starts, &known);
	while (refusal == DECODE_FINE && walk_next(&walk, &in, &refusal)) {
		uint64_t offset = in.target - code->address;

		if (in.size == 0 || in.flow == FLOW_NEXT || (in.flow == FLOW_CALL && offset == 0))
			continue;
		if (offset < end)
			refusal = DECODE_BRANCH_BACK;
		else if (offset < known && (starts[offset / 8] & 1u << offset % 8) == 0)
			refusal = DECODE_OVERLAP;
	}
	return refusal;
}

enum decode_refusal decode_prologue(const struct decode_code *code, struct decode_prologue *prologue)
{
	size_t limit = code->size != 0 ? code->size : code->available;
	size_t skip =
	        limit >= ENDBR_BYTES && memcmp(code->bytes, endbr64, ENDBR_BYTES) == 0 ? ENDBR_BYTES : 0;
	size_t end = skip + DECODE_JUMP_BYTES, at;
	struct instruction in;
	bool ends = false;

	if (zydis.library == NULL)
		return DECODE_NO_DECODER;
	for (at = skip; at < end && !ends; at += in.length) {
		enum decode_refusal refusal;

		if (at >= limit)
			return DECODE_TOO_SHORT;
		if (!read_instruction(code, at, &in))
			return DECODE_UNKNOWN;
		if (at + in.length > limit)
			return DECODE_TOO_SHORT;
		refusal = at == skip && is_hook(code, at, &in) ? DECODE_HOOKED : refuse_to_move(&in);
		if (refusal != DECODE_FINE)
			return refusal;
		ends = in.flow == FLOW_JUMP || in.flow == FLOW_AWAY;
	}
	if (at < end && !is_padded(code, at, end))
		return DECODE_TOO_SHORT;
	*prologue = (struct decode_prologue){(unsigned)skip, (unsigned)(at - skip), ends};
	return find_branch_back(code, skip, at > end ? at : end);
}

/* Writes a number that counts from `from`; false when four bytes cannot hold it. */
static bool put_offset(uint8_t *bytes, uint64_t from, uint64_t to)
{
	int64_t distance = (int64_t)(to - from);
	int32_t value = (int32_t)distance;

	memcpy(bytes, &value, sizeof(value));
	return value == distance;
}

bool decode_put_jump(uint8_t *bytes, uint64_t from, uint64_t to)
{
	bytes[0] = 0xe9;
	return put_offset(bytes + 1, from + DECODE_JUMP_BYTES, to);
}

/* Writes one instruction as it must be at `address`; returns its length, 0 when it does not reach. */
static unsigned move_instruction(const struct instruction *in, uint64_t address, uint8_t *to)
{
	unsigned length = in->length, offset = in->offset;

	if (in->size == 1) {
		uint8_t opcode = in->bytes[in->offset - 1];

		offset = 0;
		if (in->flow == FLOW_BRANCH)
			to[offset++] = 0x0f;
		to[offset++] = in->flow == FLOW_BRANCH ? opcode + 0x10 : 0xe9; /* 7x: 0f 8x; eb: e9 */
		length = offset + 4;
	} else {
		memcpy(to, in->bytes, length);
	}
	if (in->size != 0 && !put_offset(to + offset, address + length, in->target))
		return 0;
	return length;
}

enum decode_refusal decode_move(const struct decode_code *code, const struct decode_prologue *prologue,
        uint64_t address, uint8_t *moved, size_t *moved_bytes)
{
	size_t end = prologue->skip + prologue->moved, used = prologue->skip;
	struct instruction in;

	memcpy(moved, endbr64, prologue->skip);
	for (size_t at = prologue->skip; at < end; at += in.length) {
		unsigned length;

		if (zydis.library == NULL)
			return DECODE_NO_DECODER;
		if (!read_instruction(code, at, &in))
			return DECODE_UNKNOWN;
		length = move_instruction(&in, address + used, moved + used);
		if (length == 0)
			return DECODE_OUT_OF_RANGE;
		used += length;
	}
	if (!prologue->ends) {
		if (!decode_put_jump(moved + used, address + used, code->address + end))
			return DECODE_OUT_OF_RANGE;
		used += DECODE_JUMP_BYTES;
	}
	*moved_bytes = used;
	return DECODE_FINE;
}

enum decode_refusal decode_rip_operand(const struct decode_code *code, uint64_t *address)
{
	struct walk walk = walk_begin(code, 0);
	enum decode_refusal refusal = DECODE_FINE;
	struct instruction in;
	bool is_found = false;

	if (zydis.library == NULL)
		return DECODE_NO_DECODER;
	while (walk_next(&walk, &in, &refusal)) {
		if (!in.is_rip_sub)
			continue;
		if (is_found)
			return DECODE_MANY_OPERANDS;
		is_found = true;
		*address = in.target;
	}
	if (refusal != DECODE_FINE)
		return refusal;
	return is_found ? DECODE_FINE : DECODE_NO_OPERAND;
}

const char *decode_refusal_text(enum decode_refusal refusal)
{
	switch (refusal) {
	case DECODE_FINE:
		return "fine";
	case DECODE_NO_DECODER:
		return "there is no decoder (libZydis 4)";
	case DECODE_TOO_SHORT:
		return "it is too short for a jump";
	case DECODE_UNKNOWN:
		return "it has bytes that are no known instruction";
	case DECODE_PRIVILEGED:
		return "it begins with a privileged instruction";
	case DECODE_CALL:
		return "it begins with a call";
	case DECODE_LOOP:
		return "it begins with a branch that has no long form";
	case DECODE_BRANCH_BACK:
		return "it branches back to its beginning";
	case DECODE_OVERLAP:
		return "it jumps into the middle of an instruction";
	case DECODE_HOOKED:
		return "somebody else has patched it already";
	case DECODE_OUT_OF_RANGE:
		return "what it refers to is out of reach";
	case DECODE_NO_OPERAND:
		return "it subtracts from no variable";
	case DECODE_MANY_OPERANDS:
		return "it subtracts from more than one variable";
	}
	return "unknown";
}
