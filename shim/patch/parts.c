/* SPDX-License-Identifier: MIT */
#include "patch/parts.h"

#include "patch/references.h"

/*
 * How far a part that is rarely executed reaches around the place where the function enters it. Its end is unknown: a
 * call that does not return, and then another function's part, may follow.
 */
enum { BYTES_BEFORE = 1 << 10, BYTES_BEHIND = 1 << 12 };

bool part_at(const struct decode_code *code, uint64_t address, struct decode_code *part)
{
	if ((uintptr_t)code->bytes != code->address || address < code->text_low || address >= code->text_high)
		return false;
	*part = *code;
	part->bytes = (const uint8_t *)(uintptr_t)address;
	part->address = address;
	part->size = 0;
	part->available = code->text_high - address;
	return true;
}

bool part_leads_back(const struct decode_code *code, uint64_t address, size_t begin, size_t end)
{
	struct decode_code part;
	uint64_t low, high;

	if (begin >= end || !part_at(code, address, &part))
		return false;
	low = address - code->text_low > BYTES_BEFORE ? address - BYTES_BEFORE : code->text_low;
	high = part.available > BYTES_BEHIND ? address + BYTES_BEHIND : code->text_high;
	return references_lead_to(low, high, code->address + begin, code->address + end - 1);
}
