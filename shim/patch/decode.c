/* SPDX-License-Identifier: MIT */
/* What does not depend on the processor. */
#include "patch/decode.h"

const char *decode_refusal_text(enum decode_refusal refusal)
{
	static const char *const text[] = {
	        [DECODE_FINE] = "fine",
	        [DECODE_NO_DECODER] = "there is no decoder (libZydis 4)",
	        [DECODE_TOO_SHORT] = "it is too short for a jump",
	        [DECODE_TOO_LONG] = "it has more branches than are looked at",
	        [DECODE_UNKNOWN] = "it has bytes that are no known instruction",
	        [DECODE_PRIVILEGED] = "it begins with a privileged instruction",
	        [DECODE_CALL] = "it begins with a call",
	        [DECODE_LOOP] = "it begins with an instruction that has no long form",
	        [DECODE_BRANCH_BACK] = "it branches back to its beginning",
	        [DECODE_OVERLAP] = "it jumps into the middle of an instruction",
	        [DECODE_HOOKED] = "somebody else has patched it already",
	        [DECODE_OUT_OF_RANGE] = "what it refers to is out of reach",
	        [DECODE_NO_OPERAND] = "it subtracts from no variable",
	        [DECODE_MANY_OPERANDS] = "it subtracts from more than one variable",
	};

	return text[refusal];
}
