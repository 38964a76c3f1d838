/*
** A stand-in for NVIDIA's cudnn.h: nothing of it is used yet. What cuda/ comes to use is declared here
** under its own name, and computed in emulated_cudnn.cpp by work on the stream (emulation_enqueue).
*/
#ifndef EMULATED_CUDNN_H
#define EMULATED_CUDNN_H

#include "cuda_runtime.h"

#endif
