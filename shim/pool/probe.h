/* SPDX-License-Identifier: MIT */
/*
 * Static trace points (USDT) off the fast path, for bpftrace, perf and SystemTap. Each is one nop until a tracer uses it.
 * Their provider is copool; their arguments are the pool's name and a number or an object:
 *
 *	refill  name, full batches left    a thread's cache took a batch from the depot
 *	spill   name, full batches now     a thread's cache gave a batch to the depot
 *	new     name, object               a miss: the program's own function made an object
 *	delete  name, object               an object goes to the program's own function
 *	trim    name, objects              idle objects were given back to the system
 *
 * Where <sys/sdt.h> was missing when the library was built, there are none.
 */
#ifndef COPOOL_POOL_PROBE_H
#define COPOOL_POOL_PROBE_H

#ifdef __has_include
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#endif
#endif

#ifdef DTRACE_PROBE2
#define PROBE(point, name, value) DTRACE_PROBE2(copool, point, name, value)
#else
#define PROBE(point, name, value) ((void)(name), (void)(value))
#endif

#endif
