/*
** Activations in 16 bits on a backend that computes in float and double: cpu_widened_<op> copies
** what is half or bfloat16 into float scratch, lets cpu_<op> compute there, and copies what it wrote
** back, rounded. Simple and right, and slow: it is there so that whatever is built for 16 bits runs,
** and can be compared with, where there is no GPU. Other calls pass straight through.
**
** Operations on elements, reductions, selections and random fills read and write 16 bits themselves.
*/
#ifndef CPU_WIDEN_H
#define CPU_WIDEN_H

#include "../dn_ops.h"

#define DN_OP(name, parameters, arguments, roles, traits) dn_status cpu_widened_##name parameters;
#include "../dn_ops.def"

#endif
