#include "dn_stamp.h"

#include <string.h>

dn_stamp dn_stamp_of(const dn_tensor *tensor) {
  dn_stamp stamp;
  memset(&stamp, 0, sizeof stamp);
  if (!tensor || !tensor->storage) return stamp;
  stamp.storage = tensor->storage->serial;
  stamp.n_writes = (int64_t)atomic_load_explicit(&tensor->storage->n_writes, memory_order_relaxed);
  stamp.all_writes = dn_storage_all_writes();
  stamp.offset = tensor->offset;
  stamp.dtype = (int64_t)tensor->dtype;
  stamp.n_dim = tensor->n_dim;
  for (int d = 0; d < tensor->n_dim; d++) {
    stamp.dim[d].size = tensor->size[d];
    stamp.dim[d].stride = tensor->stride[d];
  }
  return stamp;
}
