/*
** Matrix products by cuBLAS: the only file that calls it. There is a handle per device, made when the
** first product is asked for, on the device's stream. Its workspace is scratch, part of what an
** operation asks for (cuda_scratch.h), so results are the same bits at every run, and the bytes are
** counted and planned.
**
** float is IEEE float, or TF32 where the device was told so (cuda_device.h); half and bfloat16 are
** summed in float.
*/
#ifndef CUDA_CUBLAS_H
#define CUDA_CUBLAS_H

#include "cuda_backend.h"

/*
** Bytes of a product's workspace, on the current device or the one that is planned: 32 MiB from compute
** capability 9.0 on, as NVIDIA advises, and 8 before. The emulation is built with less.
*/
int64_t cuda_cublas_workspace(void);

/* A row-major matrix, or one for each product of a batch. */
typedef struct cuda_matrix {
  const void *data;
  int64_t ld;         /* elements from row to row, at least a row's length and 1 */
  int64_t stride;     /* elements from one product's matrix to the next; 0: all read the same */
  bool is_transposed; /* what is stored is the transpose */
} cuda_matrix;

/*
** n_products times c = alpha a b + beta c: a rows x depth, b depth x columns, c rows x columns. beta 0
** does not read c. c is never transposed, and its matrices lie apart.
*/
typedef struct cuda_product {
  dn_dtype dtype;     /* of a and b */
  dn_dtype out_dtype; /* of c: the same, or float where that is half or bfloat16 */
  int64_t rows, columns, depth;
  int64_t n_products;
  double alpha, beta;
  cuda_matrix a, b, c; /* c.data is written */
} cuda_product;

/* Sizes are 1 or more; workspace: cuda_cublas_workspace() bytes. Returns DN_EDEVICE, DN_ENOMEM. */
dn_status cuda_cublas_product(const cuda_product *product, void *workspace);

/* The library's major, minor and patch number. Returns DN_EDEVICE. */
dn_status cuda_cublas_release(int release[3]);

#endif
