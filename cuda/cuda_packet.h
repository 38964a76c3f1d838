/*
** Packets: a few neighbouring elements that a thread reads or writes in one go, 16 bytes of them at most,
** which is the widest access that a GPU has. Their address is a multiple of their bytes.
**
** How many elements a packet has, follows from sizes and strides; in sums, which depend on the order, from
** sizes alone, and where the addresses do not fit, such packets are read element by element. So sums are the
** same bits wherever the tensors lie.
*/
#ifndef CUDA_PACKET_H
#define CUDA_PACKET_H

#include "cuda_dtype.h"

template <typename T, int N>
struct alignas(N * sizeof(T)) cuda_packet {
  T at[N];
};

/* Before a loop of few and known turns, which then has none and keeps what it indexes in registers. */
#ifdef __CUDACC__
#define CUDA_UNROLL _Pragma("unroll")
#else
#define CUDA_UNROLL
#endif

/*
** Before a loop of kernels that most threads pass once or twice: unrolled, it would begin with a division for
** the number of its turns.
*/
#ifdef __CUDACC__
#define CUDA_ROLLED _Pragma("unroll 1")
#else
#define CUDA_ROLLED
#endif

/*
** One access of so many bytes, in global memory. Left to itself the compiler cuts some stores of 16 bytes
** into their elements; an instruction of PTX leaves it no choice. A GPU fails at an address that does not
** fit, and so does the emulation.
*/
#ifdef __CUDACC__
/* A type of so many bytes, which the compiler moves at once. */
template <int n_bytes>
struct cuda_word {
  typedef uint4 type;
};
template <>
struct cuda_word<8> {
  typedef uint2 type;
};
template <>
struct cuda_word<4> {
  typedef uint32_t type;
};
template <>
struct cuda_word<2> {
  typedef uint16_t type;
};
template <>
struct cuda_word<1> {
  typedef uint8_t type;
};

template <int n_bytes>
__device__ static inline void cuda_access_load(void *packet, const void *from) {
  typedef typename cuda_word<n_bytes>::type word;
  const word whole = *(const word *)from;
  memcpy(packet, &whole, n_bytes);
}
__device__ static inline void cuda_store_word(void *to, uint4 word) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)),
               "r"(word.x), "r"(word.y), "r"(word.z), "r"(word.w)
               : "memory");
}
__device__ static inline void cuda_store_word(void *to, uint2 word) {
  asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(to)), "r"(word.x),
               "r"(word.y)
               : "memory");
}
template <typename T>
__device__ static inline void cuda_store_word(void *to, T word) {
  *(T *)to = word;
}

template <int n_bytes>
__device__ static inline void cuda_access_store(void *to, const void *packet) {
  typename cuda_word<n_bytes>::type word;
  memcpy(&word, packet, n_bytes);
  cuda_store_word(to, word);
}
#else
template <int n_bytes>
static inline void cuda_access_load(void *packet, const void *from) {
  if (emulation_is_aligned(from, n_bytes)) memcpy(packet, from, n_bytes);
}
template <int n_bytes>
static inline void cuda_access_store(void *to, const void *packet) {
  if (emulation_is_aligned(to, n_bytes)) memcpy(to, packet, n_bytes);
}
#endif

/* N elements from `from` on, in one access, or one by one. */
template <int N, bool in_one = true, typename T>
__device__ static inline cuda_packet<T, N> cuda_packet_load(const T *from) {
  cuda_packet<T, N> packet = {};
  if constexpr (in_one) {
    cuda_access_load<sizeof packet>(&packet, from);
  } else {
    CUDA_UNROLL
    for (int e = 0; e < N; e++) packet.at[e] = from[e];
  }
  return packet;
}

template <bool in_one = true, typename T, int N>
__device__ static inline void cuda_packet_store(T *to, const cuda_packet<T, N> &packet) {
  if constexpr (in_one) {
    cuda_access_store<sizeof packet>(to, &packet);
  } else {
    CUDA_UNROLL
    for (int e = 0; e < N; e++) to[e] = packet.at[e];
  }
}

/* Elements of the largest packet. */
template <typename T>
struct cuda_packet_of {
  enum { MOST = 16 / sizeof(T) };
};

/*
** CUDA_FOR_PACKETS(T, n, N, statements) runs the statements with N as the constant n: what a packet of 16
** bytes holds, of 16-bit numbers also half of that, or 1.
*/
#define CUDA_FOR_PACKETS(T, n, N, ...)       \
  if ((n) == (int)cuda_packet_of<T>::MOST) { \
    enum { N = cuda_packet_of<T>::MOST };    \
    __VA_ARGS__;                             \
  } else if ((n) > 1) {                      \
    enum { N = sizeof(T) == 2 ? 4 : 1 };     \
    __VA_ARGS__;                             \
  } else {                                   \
    enum { N = 1 };                          \
    __VA_ARGS__;                             \
  }

/*
** The loop of a kernel whose threads take packets 0..n-1 in turn, CUDA_AHEAD of them at once, which they read
** before they use the first: first, first + blockDim.x, ..., those below n. I counts them (cuda_divisor.h).
*/
enum { CUDA_AHEAD = 4 };
#define CUDA_FOR_AHEAD(I, first, n)                                                       \
  for (I first = (I)blockIdx.x * (blockDim.x * CUDA_AHEAD) + threadIdx.x; first < (I)(n); \
       first += (I)gridDim.x * (blockDim.x * CUDA_AHEAD))

/* Threads and blocks for it: small blocks where large ones would leave multiprocessors without any. */
typedef struct cuda_pace {
  unsigned blocks;
  int threads;
} cuda_pace;

static inline cuda_pace cuda_pace_of(int64_t n_packets) {
  const int64_t enough_blocks = 264; /* two for each multiprocessor of a large GPU */
  cuda_pace pace = {1, CUDA_THREADS};
  while (pace.threads > 64 && n_packets < enough_blocks * pace.threads * CUDA_AHEAD)
    pace.threads /= 2;
  const int64_t share = pace.threads * CUDA_AHEAD, blocks = (n_packets + share - 1) / share;
  pace.blocks = (unsigned)(blocks < 1 ? 1 : blocks < CUDA_MOST_BLOCKS ? blocks : CUDA_MOST_BLOCKS);
  return pace;
}

/* The largest packet, in elements of n_bytes, of which a run of `size` elements is made. */
static inline int cuda_packet_dividing(int64_t size, int64_t n_bytes) {
  const int most = (int)(16 / n_bytes);
  if (size % most == 0) return most;
  return n_bytes == 2 && size % 4 == 0 ? 4 : 1;
}

#endif
