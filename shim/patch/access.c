/* SPDX-License-Identifier: MIT */
/* Prefixes, opcode, ModRM and SIB. Nothing behind the instruction is read, whatever its bytes are. */
#include "patch/access.h"

#include <string.h>

enum { INSTRUCTION_ROOM = 16 }; /* the longest has 15 bytes, at most 10 of them before its immediate */

/* movss, and movsd with VEX: the opcode of movups with another prefix */
static bool is_scalar(unsigned opcode, bool is_repeated)
{
	return opcode == 0x0f11 && is_repeated;
}

/* Reads prefixes and opcode. Returns where the operand begins, and the REX bits that extend register numbers. */
static const uint8_t *read_opcode(const uint8_t *at, struct access *access, uint8_t *rex)
{
	bool is_repeated, is_packed;

	at += *at == 0xf0; /* lock */
	is_repeated = *at == 0xf3;
	is_packed = *at == 0x66 || is_repeated;

	if (*at == 0xc5 || *at == 0xc4) { /* VEX, two or three bytes; its bits are REX's inverted */
		const uint8_t *last = at + (*at == 0xc5 ? 1 : 2);

		*rex = (~at[1] >> 5 & 4) | (*at == 0xc4 ? ~at[1] >> 5 & 1 : 0);
		access->opcode = (*at == 0xc5 || (at[1] & 0x1f) == 1 ? 0x0f00 : 0x0f0000) | last[1];
		access->bytes = is_scalar(access->opcode, (*last & 2) != 0) ? 4 : (*last & 4) != 0 ? 32 : 16;
		return last + 2;
	}
	at += is_packed;
	*rex = (*at & 0xf0) == 0x40 ? *at++ : 0;
	access->opcode = *at++;
	access->bytes = (*rex & 8) != 0 ? 8 : is_packed ? 2 : 4;
	if (access->opcode == 0x0f) {
		access->opcode = 0x0f00 | *at++;
		access->bytes = is_scalar(access->opcode, is_repeated) ? 4 : 16;
	}
	return at;
}

bool access_read(const struct instruction *in, struct access *access)
{
	uint8_t copy[INSTRUCTION_ROOM] = {0}; /* an instruction of another form may seem longer than it is */
	const uint8_t *at, *end = copy + in->length;
	uint8_t rex, modrm;

	memcpy(copy, in->bytes, in->length);
	at = read_opcode(copy, access, &rex);
	modrm = *at++;
	if (at > end || modrm >= 0xc0 || (modrm & 0xc7) == 5)
		return false;
	access->reg = (modrm >> 3 & 7) | (rex & 4) << 1;
	access->base = (modrm & 7) | (rex & 1) << 3;
	if ((modrm & 7) == 4) {
		if ((*at & 0x38) != 0x20 || (modrm < 0x40 && (*at & 7) == 5)) /* an index, or no base */
			return false;
		access->base = (*at++ & 7) | (rex & 1) << 3;
	}
	access->displacement = 0;
	if (modrm >> 6 == 1) {
		access->displacement = (int8_t)*at++;
	} else if (modrm >> 6 == 2) {
		memcpy(&access->displacement, at, sizeof access->displacement);
		at += sizeof access->displacement;
	}
	if (at > end)
		return false;
	access->immediate = in->bytes + (at - copy);
	access->immediate_bytes = (unsigned)(end - at);
	return true;
}
