/*
** Which GPU the device "plan:cuda:N" stands for, as cuDNN wants to be told: GPU N where it is there, and
** else an H200.
*/
#ifndef CUDA_DESCRIBED_H
#define CUDA_DESCRIBED_H

#include "cuda_backend.h"

/* An operation on a plan device begins: its number is that of the GPU, for this thread. */
void cuda_described_enter(const dn_device *plan_device);

/* That number; 0 before any. */
int cuda_described_ordinal(void);

/* Whether there is such a GPU, without opening it. */
bool cuda_described_is_there(void);

/* What dn_device_tf32 said of GPU n, for its plans. */
void cuda_described_set_tf32(int n, bool on);
bool cuda_described_tf32(void);

/* Compute capability, major, of the current device or of the one that is planned. */
int cuda_described_major(void);

/* An H200 in the words of cuDNN (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION). */
extern const char cuda_described_h200[];

#endif
