/*
** Singular value decomposition of small matrices, in double, on the CPU.
*/
#ifndef DN_SVD_H
#define DN_SVD_H

#include "dn_tensor.h"

/*
** a = u diag(s) v, for each of G matrices.
**   u  G,M,K  [out]  left vectors, columns      a  G,M,N
**   s  G,K    [out]  singular values, largest first
**   v  G,K,N  [out]  right vectors, rows        K: the smaller of M and N
** Double, contiguous. Vectors of the shorter side are orthonormal; a singular value of 0 leaves a vector
** of zeros on the longer one. A matrix with NaN or infinity gives NaN.
** Source: one-sided Jacobi rotations, Hestenes 1958 (J. SIAM 6, 51-90).
** Returns DN_EARG, DN_ENOMEM.
*/
dn_status dn_svd(dn_tensor *u, dn_tensor *s, dn_tensor *v, const dn_tensor *a);

#endif
