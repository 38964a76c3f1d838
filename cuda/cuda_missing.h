/*
** Operations that are not there yet: they return DN_EDEVICE and their name. Whoever writes
** cuda_<op> takes its line away; the last one takes this file away, and cuda_missing.cu with it.
*/
#ifndef CUDA_MISSING_H
#define CUDA_MISSING_H

#define CUDA_IS_MISSING ~, true


/* true for a name that has a line above, false for the others. */
#define CUDA_SECOND(first, second, ...) second
#define CUDA_PICK(...) CUDA_SECOND(__VA_ARGS__)
#define CUDA_MISSES(name) CUDA_PICK(CUDA_MISSING_##name, false, ~)

/* The names above; ends with NULL. */
extern const char *const cuda_missing_names[];

#endif
