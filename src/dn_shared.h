/*
** DN_SHARED_INLINE stands before a function of a header that the library and the kernels of a GPU share.
*/
#ifndef DN_SHARED_H
#define DN_SHARED_H

#ifdef __CUDACC__
#define DN_SHARED_INLINE static __host__ __device__ inline
#else
#define DN_SHARED_INLINE static inline
#endif

#endif
