/*
** A stand-in for NVIDIA's cuda_bf16.h: nothing of it is used yet. What cuda/ comes to use is declared here
** under its own name, and computed in emulated_cuda_bf16.cpp by work on the stream (emulation_enqueue).
*/
#ifndef EMULATED_CUDA_BF16_H
#define EMULATED_CUDA_BF16_H

#include "cuda_runtime.h"

#endif
