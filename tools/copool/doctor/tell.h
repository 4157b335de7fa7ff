/* SPDX-License-Identifier: MIT */
#ifndef COPOOL_TOOLS_DOCTOR_TELL_H
#define COPOOL_TOOLS_DOCTOR_TELL_H

#include "doctor/sheet.h"
#include "doctor/answer.h"

/* Writes answer, facts, findings and the next command for people; or all of it as one JSON object. */
void tell_text(const struct sheet *sheet, const char *name, const struct answer *answer);
void tell_json(const struct sheet *sheet, const char *name, const struct answer *answer);

#endif
