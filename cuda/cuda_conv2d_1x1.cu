#include "cuda_conv2d_1x1.h"

#include "cuda_cublas.h"
#include "cuda_dtype.h"
#include "cuda_narrow.h"
#include "cuda_parameters.h"

/* Room for the weight's gradients of single images, before they are added up. */
static const int64_t PARTS_BYTES = 16 << 20;

bool cuda_conv2d_is_1x1(const cuda_conv2d *conv) {
  const dn_conv2d *options = &conv->options;
  return conv->r == 1 && conv->s == 1 && options->stride_h == 1 && options->stride_w == 1 &&
         options->pad_h == 0 && options->pad_w == 0 && options->groups == 1;
}

/* What lies where in the scratch. */
typedef struct layout {
  int64_t n_bytes, workspace, weight, parts;
  int64_t n_parts; /* images whose gradients have room */
} layout;

static layout layout_of(cuda_conv2d_direction direction, const cuda_images *x,
                        const cuda_images *y) {
  layout l;
  memset(&l, 0, sizeof l);
  const int64_t n_weights = x->c * y->c;
  l.workspace = cuda_scratch_place(&l.n_bytes, cuda_cublas_workspace(), 1);
  if (direction != CUDA_CONV2D_BACKWARD_WEIGHT) {
    if (cuda_is_narrow(x->dtype)) l.weight = cuda_scratch_place(&l.n_bytes, n_weights, 2);
    return l;
  }
  const int64_t size = (int64_t)dn_dtype_size(cuda_parameter_dtype(x->dtype));
  l.n_parts = PARTS_BYTES / (n_weights * size);
  if (l.n_parts > x->n) l.n_parts = x->n;
  if (l.n_parts > 1) l.parts = cuda_scratch_place(&l.n_bytes, l.n_parts * n_weights, size);
  return l;
}

int64_t cuda_conv2d_1x1_scratch(cuda_conv2d_direction direction, const cuda_images *x,
                                const cuda_images *y) {
  return layout_of(direction, x, y).n_bytes;
}

/* Image by image, channels as rows. */
static cuda_matrix matrix_of(const cuda_images *x) {
  const cuda_matrix matrix = {x->data, x->channel_stride, x->image_stride, false};
  return matrix;
}

/* The weight K,C in the images' dtype: itself, or rounded into the scratch. */
static dn_status weight_beside(const cuda_images *x, const cuda_images *y, const void *weight,
                               const layout *l, char *scratch, cuda_matrix *matrix) {
  matrix->data = weight;
  matrix->ld = x->c;
  matrix->stride = 0;
  if (!cuda_is_narrow(x->dtype)) return DN_OK;
  return cuda_weight_beside(weight, x->c * y->c, x->dtype, scratch + l->weight, &matrix->data);
}

dn_status cuda_conv2d_1x1_forward(const cuda_images *y, const cuda_images *x, const void *weight,
                                  void *scratch) {
  const layout l = layout_of(CUDA_CONV2D_FORWARD, x, y);
  cuda_product product;
  memset(&product, 0, sizeof product);
  product.dtype = product.out_dtype = x->dtype;
  product.rows = y->c;
  product.columns = x->h * x->w;
  product.depth = x->c;
  product.n_products = x->n;
  product.alpha = 1;
  DN_TRY(weight_beside(x, y, weight, &l, (char *)scratch, &product.a));
  product.b = matrix_of(x);
  product.c = matrix_of(y);
  return cuda_cublas_product(&product, (char *)scratch + l.workspace);
}

dn_status cuda_conv2d_1x1_backward_data(const cuda_images *dx, const cuda_images *dy,
                                        const void *weight, void *scratch) {
  const layout l = layout_of(CUDA_CONV2D_BACKWARD_DATA, dx, dy);
  cuda_product product;
  memset(&product, 0, sizeof product);
  product.dtype = product.out_dtype = dx->dtype;
  product.rows = dx->c;
  product.columns = dx->h * dx->w;
  product.depth = dy->c;
  product.n_products = dx->n;
  product.alpha = 1;
  DN_TRY(weight_beside(dx, dy, weight, &l, (char *)scratch, &product.a));
  product.a.is_transposed = true;
  product.b = matrix_of(dy);
  product.c = matrix_of(dx);
  return cuda_cublas_product(&product, (char *)scratch + l.workspace);
}

/* A thread adds up elements i, i + threads, ...: parts of images one after the other. */
template <typename C>
__global__ void parts_add_kernel(C *dweight, const C *parts, int64_t n, int64_t n_parts, C scale) {
  CUDA_FOR(i, n) {
    C sum = 0;
    for (int64_t part = 0; part < n_parts; part++) sum += parts[part * n + i];
    dweight[i] += scale * sum;
  }
}

/* The product of images first..first+count-1: into dweight for one image, else into parts. */
static dn_status part_backward_weight(void *out, double scale, double beta, const cuda_images *dy,
                                      const cuda_images *x, void *workspace) {
  cuda_product product;
  memset(&product, 0, sizeof product);
  product.dtype = x->dtype;
  product.out_dtype = cuda_parameter_dtype(x->dtype);
  product.rows = dy->c;
  product.columns = x->c;
  product.depth = x->h * x->w;
  product.n_products = x->n;
  product.alpha = scale;
  product.beta = beta;
  product.a = matrix_of(dy);
  product.b = matrix_of(x);
  product.b.is_transposed = true;
  product.c.data = out;
  product.c.ld = x->c;
  product.c.stride = x->c * dy->c;
  return cuda_cublas_product(&product, workspace);
}

dn_status cuda_conv2d_1x1_backward_weight(void *dweight, const cuda_images *dy,
                                          const cuda_images *x, double scale, void *scratch) {
  const layout l = layout_of(CUDA_CONV2D_BACKWARD_WEIGHT, x, dy);
  void *const workspace = (char *)scratch + l.workspace, *const parts = (char *)scratch + l.parts;
  const int64_t n = x->c * dy->c, step = l.n_parts > 1 ? l.n_parts : 1;
  for (int64_t first = 0; first < x->n; first += step) {
    const int64_t count = step < x->n - first ? step : x->n - first;
    const cuda_images some_dy = cuda_images_part(dy, first, count);
    const cuda_images some_x = cuda_images_part(x, first, count);
    if (count == 1) {
      DN_TRY(part_backward_weight(dweight, scale, 1, &some_dy, &some_x, workspace));
      continue;
    }
    DN_TRY(part_backward_weight(parts, 1, 0, &some_dy, &some_x, workspace));
    CUDA_FOR_COMPUTE(
        cuda_parameter_dtype(x->dtype), C,
        CUDA_LAUNCH((parts_add_kernel<C>), cuda_blocks(n), CUDA_THREADS, 0, cuda_stream(),
                    (C *)dweight, (const C *)parts, n, count, (C)scale));
  }
  return DN_OK;
}
