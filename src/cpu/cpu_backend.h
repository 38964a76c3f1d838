/*
** The CPU backend's own names: cpu_<op> for every operation, and what its files share.
** Each operation has reference loops (plain, for float and double, sums in double) and, where it
** matters, a fast float path beside them; dn_reference() forces the loops, so that specs can compare
** the two. Activations in 16 bits come here as float (cpu_widen.h).
*/
#ifndef CPU_BACKEND_H
#define CPU_BACKEND_H

#include "../dn_ops.h"
#include "../dn_threads.h"

#define DN_OP(name, parameters, arguments, roles, traits) dn_status cpu_##name parameters;
#include "../dn_ops.def"

#endif
