#ifndef BIND_H
#define BIND_H
#include "bind_handle.h"
#include "bind_init.h"
#endif
