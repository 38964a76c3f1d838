/*
** Functions whose loops gain from wide vectors and that are no tiles: compiled for the widest instruction
** sets too, of which the loader takes the best, unless the whole build is for such a processor. Vectors
** change the order of no sum but those marked as reductions. Of static functions only: gcc would export
** others from the module.
*/
#ifndef DN_WIDE_H
#define DN_WIDE_H

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__AVX2__) && !defined(__SANITIZE_ADDRESS__)
#define DN_WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define DN_WIDE
#endif

#endif
