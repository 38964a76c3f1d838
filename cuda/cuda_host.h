/*
** Keeps the functions that the library handed over (dn_plugin.h); dn_error, dn_alloc and the like lead
** to them.
*/
#ifndef CUDA_HOST_H
#define CUDA_HOST_H

#include "cuda_backend.h"

/* false where the library's table is not the one that this object was compiled for. */
bool cuda_host_set(const dn_plugin_host *given);

#endif
