/*
** A stand-in for NVIDIA's cublas_v2.h: nothing of it is used yet. What cuda/ comes to use is declared here
** under its own name, and computed in emulated_cublas_v2.cpp by work on the stream (emulation_enqueue).
*/
#ifndef EMULATED_CUBLAS_V2_H
#define EMULATED_CUBLAS_V2_H

#include "cuda_runtime.h"

#endif
