/*
** Loops that serve float and double are written once, in terms of `real`, and compiled twice (Makefile:
** TWICE): as they are for float, and with CPU_REAL_DOUBLE for double. What others call is named
** CPU_REAL(name) there, which is name_float or name_double; what only other such sources use is mapped by
** a macro beside its prototype.
**
**   CPU_REAL_DECLARE(dn_status, cpu_example, (const dn_tensor *x));      in a header
**   dn_status CPU_REAL(cpu_example)(const dn_tensor *x) { ... }          in a source of TWICE
**   return CPU_REAL_OF(x->dtype, cpu_example)(x);                        in one that is compiled once
*/
#ifndef CPU_REAL_H
#define CPU_REAL_H

#include "../../dn_dtype.h"

#ifdef CPU_REAL_DOUBLE
typedef double real;
#define CPU_REAL_JOINED(name) name##_double
#else
typedef float real;
#define CPU_REAL_JOINED(name) name##_float
#endif
#define CPU_REAL(name) CPU_REAL_JOINED(name)

enum { CPU_LINE = 64 / sizeof(real) }; /* values of a line of cache */

#define CPU_REAL_DECLARE(type, name, parameters) \
  type name##_float parameters;                  \
  type name##_double parameters

#define CPU_REAL_OF(its_dtype, name) ((its_dtype) == DN_DOUBLE ? name##_double : name##_float)

/* Whether loops over `real` exist for it. */
static inline bool cpu_is_real(dn_dtype dtype) { return dtype == DN_FLOAT || dtype == DN_DOUBLE; }

#endif
