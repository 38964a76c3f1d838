/*
** The sum or the largest of what several ranks sent, in the order of ranks.
*/
#ifndef MPI_REDUCE_H
#define MPI_REDUCE_H

#include "../dn_comm.h"

/*
** y: n elements; parts: size times n, rank 0's first. half and bfloat16 are added in float and rounded once.
** Of maxima a NaN is the largest. dtype: any but byte.
*/
void mpi_reduce(dn_dtype dtype, dn_comm_op op, void *y, const void *parts, int64_t n, int size);

#endif
