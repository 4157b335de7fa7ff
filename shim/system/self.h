/* SPDX-License-Identifier: MIT */
/*
 * What the program is called, and what tells it from others of that name. libc's own word for it points into argv, where programs write their titles over it
 * while they run; here is what it was at the start.
 */
#ifndef COPOOL_SYSTEM_SELF_H
#define COPOOL_SYSTEM_SELF_H

enum { SELF_LABEL_BYTES = 128 };

/* Called once, by the constructor, before all that asks. */
void self_know(void);

/* The name of the program's file as it was called, without folders; never empty. Outlives the process. */
const char *self_name(void);

/*
 * Sets the label: what the user says, or for "" what QEMU's option -name says of the guest, if `argv` has it. Called
 * once, by the constructor, after self_know. `argv` ends with NULL, or is NULL.
 */
void self_know_label(const char *setting, char *const *argv);

/* The label, "" when there is none. It may hold any bytes. Outlives the process. */
const char *self_label(void);

#endif
