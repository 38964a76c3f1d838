/*
** What an argument is to its operation, and what operations have in common: the words of dn_ops.def.
** Here all of them mean nothing. Who wants a meaning defines the words of interest, and DN_OP, right
** before including dn_ops.def, which takes every definition back at its end. A role that its argument's
** type does not allow does not compile (cpu_widen.c).
**
** Tensors. _IF: NULL where it is left out (nil in Lua)
**   WRITTEN(name)          overwritten: what it held does not count
**   ADDED(name)            changed: what it held counts, always or by an option (accumulate, beta)
**   READ(name)
**   PARAMETER(role, name)  one of the three, of a weight or a table over channels: it stays float where
**                          activations have 16 bits (dn_ops.h, "dtypes")
** Other arguments
**   NUMBER(name)           double; _IF: 0 where it is left out
**   SLOT(name)             dn_number: a number, or one in memory, and then a tensor in Lua; _IF: 0 where it
**                          is left out
**   FLAG(name)             bool; false where it is left out
**   SIZE(name)             int64_t
**   DIM(name)              a dimension; from 0 in C and from 1 in Lua
**   KIND(kind, name)       a dn_<kind>_kind; a word in Lua
**   RNG, CONV2D, POOL2D, SGD(name)
**                          a struct; its fields in Lua, one after the other
** Traits
**   WIDENED                takes activations in 16 bits; on the CPU by way of float copies (cpu_widen.h)
**   CPU_SCRATCH, CUDA_SCRATCH
**                          may ask the backend for scratch, and does so, or says that it needs none,
**                          before it touches a tensor (cpu_scratch.h, cuda_scratch.h); others never ask
**   PLAIN                  none of these
*/
#ifndef WRITTEN
#define WRITTEN(name)
#endif
#ifndef WRITTEN_IF
#define WRITTEN_IF(name)
#endif
#ifndef ADDED
#define ADDED(name)
#endif
#ifndef ADDED_IF
#define ADDED_IF(name)
#endif
#ifndef READ
#define READ(name)
#endif
#ifndef READ_IF
#define READ_IF(name)
#endif
#ifndef PARAMETER
#define PARAMETER(role, name) role(name)
#endif
#ifndef NUMBER
#define NUMBER(name)
#endif
#ifndef NUMBER_IF
#define NUMBER_IF(name)
#endif
#ifndef SLOT
#define SLOT(name)
#endif
#ifndef SLOT_IF
#define SLOT_IF(name)
#endif
#ifndef FLAG
#define FLAG(name)
#endif
#ifndef SIZE
#define SIZE(name)
#endif
#ifndef DIM
#define DIM(name)
#endif
#ifndef KIND
#define KIND(kind, name)
#endif
#ifndef RNG
#define RNG(name)
#endif
#ifndef CONV2D
#define CONV2D(name)
#endif
#ifndef POOL2D
#define POOL2D(name)
#endif
#ifndef SGD
#define SGD(name)
#endif
#ifndef WIDENED
#define WIDENED
#endif
#ifndef CPU_SCRATCH
#define CPU_SCRATCH
#endif
#ifndef CUDA_SCRATCH
#define CUDA_SCRATCH
#endif
#ifndef PLAIN
#define PLAIN
#endif
