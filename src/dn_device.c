#include "dn_device.h"

static dn_device cpu = {
    .name = "cpu", .host = &cpu, .has_values = true, .memory_lock = PTHREAD_MUTEX_INITIALIZER};

dn_device *dn_device_cpu(void) { return &cpu; }
