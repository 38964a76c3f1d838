/*
** A GPU made of one thread of the host, for running cuda/ where there is none. It is slow and strict.
**
**   streams   work is queued and runs only when somebody waits for it: in order on its stream, and
**             behind the events that the stream waits for. So a result that is read too early is not
**             there yet.
**   memory    a device's memory is one range of addresses that nothing but running work may touch:
**             host code that follows a device's pointer ends the process. Fresh memory holds 0xFF, which
**             is NaN; under AddressSanitizer there is poison between blocks. Where the processor has no
**             protection keys, large memory is guarded now and then only (emulation_memory.cpp).
**   kernels   block by block, a block's threads one after the other. A thread that waits (for the block
**             or its warp) gives way to the next; so a value that is used without a barrier in between
**             is often not there yet, in one order or, with the hook "reverse", in the other.
**   captures  keep what is put on a stream, and refuse what waits or allocates (emulation_capture.cpp)
**   shared    is fresh for every block, holds 0xFF, and is fenced.
** A kernel that does something wrong (a barrier that not all threads reach, a fence written to) fails
** with cudaErrorLaunchFailure, and the message says what it was.
**
** emulation_hook(name, n), for specs: "fail malloc" fails the n-th cudaMalloc from now as out of
** memory; "fail launch" the n-th launch, with the error of the number "fail as" where that is not 0;
** "fail copy" the n-th copy; "fail cublas" and those of cuDNN, NCCL, CUPTI and graphs are told in
** cublas_v2.h, cudnn.h, nccl.h, cupti.h and emulation_capture.cpp; "reverse" (0 or 1) the order of threads and blocks; "broken"
** (from 1) runs a kernel that is wrong on purpose on device 0 (emulation_broken.cpp); "races" asks
** whether races are found (emulation_races.h); "counted" n answers with the n-th (from 0) of what was
** launched and called, and "uncount" forgets all that (emulation_counts.cpp). The environment sets what
** is there from the start:
** DENSENET_EMULATED_GPUS, a number (2 when not set), or "no driver"; DENSENET_EMULATED_BYTES, the memory
** of each; and DENSENET_EMULATED_GUARD, "pages" for memory guarded as where there are no protection keys.
*/
#ifndef EMULATION_H
#define EMULATION_H

#include <functional>
#include <tuple>

#define EMULATION_LANE_BYTES 16

/* Shared memory of a block: without asking, and with cudaFuncSetAttribute, as compute capability 9.0 has it. */
const int EMULATION_SHARED_BYTES = 48 << 10, EMULATION_MOST_SHARED_BYTES = 227 << 10;

/* Where the running thread is. */
struct emulation_place {
  uint3 thread, block;
  dim3 block_size, grid_size;
};
extern emulation_place emulation_now;

int emulation_lane(void);

/* Waits for all threads of the block. */
void emulation_wait_block(void);

/*
** Waits for all lanes of the warp, which give n_bytes each; where they stand, EMULATION_LANE_BYTES
** apart, good until the next exchange but one. All 32 lanes take part: other masks are not emulated.
*/
const char *emulation_exchange(unsigned mask, const void *value, size_t n_bytes);

/* The block's shared memory for the declaration `key`, and what was asked for at the launch. */
void *emulation_shared(const void *key, size_t n_bytes);
void *emulation_shared_dynamic(void);

/* Puts work on a stream; it may touch the memory of the stream's device. For libraries' stand-ins. */
void emulation_enqueue(cudaStream_t stream, const std::function<void()> &work);

/*
** The same of work that needs other processes: it waits for nothing, and returns false until they have
** come as far as it takes; then it is called again.
*/
void emulation_enqueue_until(cudaStream_t stream, const std::function<bool()> &work);
/* Goes on with the stream's work, one piece; false where that waits for other processes. */
bool emulation_advance(cudaStream_t stream);
int emulation_device_of_stream(cudaStream_t stream);

/* From inside such work: it failed, and why. The device is lost, as it would be. */
void emulation_fail(cudaError_t error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void emulation_launch_body(const char *name, const void *kernel, dim3 grid, dim3 block,
                           size_t n_shared, cudaStream_t stream, const std::function<void()> &body);

/* kernel<<<grid, block, n_shared, stream>>>(arguments...); they are evaluated now. */
template <typename... Parameters, typename... Arguments>
void emulation_launch(const char *name, dim3 grid, dim3 block, size_t n_shared, cudaStream_t stream,
                      void (*kernel)(Parameters...), const Arguments &...arguments) {
  const std::tuple<std::decay_t<Parameters>...> given(arguments...);
  emulation_launch_body(name, (const void *)kernel, grid, block, n_shared, stream,
                        [kernel, given]() { std::apply(kernel, given); });
}

/* answer: NULL, or where the hook leaves what it has to say, good until the next call. */
bool emulation_hook(const char *name, int64_t value, const char **answer);

/*
** From inside a kernel: false where the address is no multiple of n_bytes. The launch then fails as a
** GPU's would, with cudaErrorMisalignedAddress; the caller leaves the memory alone.
*/
bool emulation_is_aligned(const void *address, size_t n_bytes);

/* ---- Between the emulation's own files ---- */

/* One step of the countdown that the hook of this name set; true for the one to fail. */
bool emulation_is_ordered(const char *name);
/* What that hook was set to, less the steps; 0 at first. */
int64_t emulation_hook_value(const char *name);
bool emulation_is_reversed(void);

/* One call of the runtime at a time; a call may make others. */
struct emulation_locked {
  emulation_locked();
  ~emulation_locked();
};

/* A launch of a kernel, or a call of a library, for the hook "counted". */
void emulation_count_launch(const char *kernel);
void emulation_count_call(const char *function);
#define EMULATION_COUNT() emulation_count_call(__func__)
/* Line n (from 0) of what was counted, as "launch NAME NUMBER" or "call NAME NUMBER"; or NULL. */
const char *emulation_counted(int64_t n);
void emulation_uncount(void);

/* From inside a kernel: the launch fails, with its name, the block and this. */
void emulation_fail_block(const char *what, cudaError_t error = cudaErrorLaunchFailure);

/* Bytes of dynamic shared memory that this kernel may have on this device. */
size_t emulation_most_shared(const void *kernel, int device);

/* Runs a launch, now. */
void emulation_run(const char *name, dim3 grid, dim3 block, size_t n_shared, size_t most_shared,
                   const std::function<void()> &body);

/*
** Whether a call may be made now that allocates or waits (stream: for that one; NULL: for anything). While
** it may not, because a capture is open, this is the error, and the capture is invalid.
*/
cudaError_t emulation_capture_refuse(cudaStream_t stream);

/* The memory of a device opens while its work runs. */
void emulation_memory_open(int device);
void emulation_memory_close(int device);

/* Whose block `address` is in: a device, or -1 for the host's. */
int emulation_device_of(const void *address);
bool emulation_is_pinned(const void *address);

/* This thread's device, and the error that calls leave behind. */
int emulation_current(void);
cudaError_t emulation_leave_error(cudaError_t error);
/* The failure that the device has had, or cudaSuccess. */
cudaError_t emulation_lost(int device);

int emulation_n_devices(void);
int64_t emulation_device_bytes(void);
/* Waits for all work of a device, or of all (-1). */
void emulation_finish(int device);

/* Runs broken kernel number n; false when there is none. */
bool emulation_break(int64_t n);

/* Runs case n of emulation_capture_cases.cpp; false where its error is not CUDA's, or there is none. */
bool emulation_capture_case(int64_t n);

#endif
