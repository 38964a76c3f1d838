/*
** The devices "plan:cuda:N": a GPU without its memory, for finding out what a program will need
** there; as src/cpu/cpu_plan_backend.c is for the CPU. It needs no GPU.
*/
#ifndef CUDA_PLAN_H
#define CUDA_PLAN_H

extern "C" {
#include "../src/dn_backend.h"
}

extern const dn_backend cuda_plan_backend;

#endif
