#include "cpu_backend.h"

#include "../dn_backend.h"
#include "cpu_device.h"
#include "cpu_widen.h"

const dn_backend dn_cpu_backend = {
    .name = "cpu",
    .memory_new = cpu_memory_new,
    .memory_free = cpu_memory_free,
    .upload = cpu_upload,
    .download = cpu_upload,
    .transfer = cpu_transfer,
    .upload_async = cpu_upload,
    CPU_DEVICE_SLOTS,
#define DN_OP(name, parameters, arguments, roles, traits) .name = cpu_widened_##name,
#include "../dn_ops.def"
};
