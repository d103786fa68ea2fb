/* The C ABI of the native encoder: an int8 BERT sentence encoder for CPUs.
 *
 * Every function that can fail returns a MinilmStatus and, where it is not MINILM_OK, writes a text
 * that names what was wrong into `error` (UTF-8, always terminated, cut to `error_size` bytes).
 * Nothing aborts, and no exception crosses this boundary.
 *
 * An encoder is immutable once open: any number of threads may call `minilm_native_encode` on one
 * encoder at once. Each call starts its threads; they end when it is done, and own nothing of the
 * caller's. So a process may fork, and use the encoder in the parent and in the child.
 */
#ifndef MINILM_NATIVE_H
#define MINILM_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define MINILM_EXPORT __declspec(dllexport)
#else
#define MINILM_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface: a caller refuses a library that reports another one. */
#define MINILM_NATIVE_ABI 1

typedef enum MinilmStatus {
    MINILM_OK = 0,
    MINILM_INVALID_ARGUMENT = 1,   /* ids out of range, a text without tokens, no threads, ... */
    MINILM_INVALID_WEIGHTS = 2,    /* the weight file is cut, altered, of a later format, ... */
    MINILM_UNSUPPORTED_KERNEL = 3, /* no such kernel, or this processor cannot run it */
    MINILM_OUT_OF_MEMORY = 4,
    MINILM_INTERNAL = 5 /* anything else: a fault of this library */
} MinilmStatus;

typedef struct MinilmEncoder MinilmEncoder;

MINILM_EXPORT int32_t minilm_native_abi(void);

/* Open a weight file (`native/model_int8.safetensors`) that lies in memory.
 *
 * data, size: the whole file; read during this call only.
 * kernel: name of the kernel to run on, or NULL for the fastest that this processor has.
 * encoder: receives the handle; NULL on failure. Close it with minilm_native_close.
 */
MINILM_EXPORT int32_t minilm_native_open(const void* data, size_t size, const char* kernel,
                                         MinilmEncoder** encoder, char* error, size_t error_size);

/* Embed texts.
 *
 * ids: int32, (offsets[texts],), token ids of all texts, one text after another.
 * offsets: int64, (texts + 1,), where each text begins in `ids`; rises from 0.
 * threads: threads to use, at least 1, this one included. The bytes of a vector depend neither on
 *     it, nor on the other texts, nor on the kernel.
 * vectors: float32, (texts, dimension), row-major, written by this call.
 */
MINILM_EXPORT int32_t minilm_native_encode(const MinilmEncoder* encoder, const int32_t* ids,
                                           const int64_t* offsets, int64_t texts, int32_t threads,
                                           float* vectors, char* error, size_t error_size);

/* Free an encoder; NULL is allowed. No call on it may be running. */
MINILM_EXPORT void minilm_native_close(MinilmEncoder* encoder);

/* Elements of a vector. */
MINILM_EXPORT int64_t minilm_native_dimension(const MinilmEncoder* encoder);

/* Tokens of the longest text that the encoder takes. */
MINILM_EXPORT int64_t minilm_native_max_tokens(const MinilmEncoder* encoder);

/* Name of the kernel that an encoder runs on: a constant string. */
MINILM_EXPORT const char* minilm_native_kernel(const MinilmEncoder* encoder);

/* Names of the kernels that this processor and operating system can run, fastest first, separated
 * by commas: a constant string. */
MINILM_EXPORT const char* minilm_native_kernels(void);

/* Measure the rate of a kernel's int8 products on one core, operands in registers: the ceiling that
 * a product can reach. One multiplication and one addition count as two operations.
 *
 * kernel: as for minilm_native_open.
 * seconds: how long to measure.
 * operations_per_second: receives the best rate seen.
 */
MINILM_EXPORT int32_t minilm_native_peak(const char* kernel, double seconds,
                                         double* operations_per_second, char* error,
                                         size_t error_size);

#ifdef __cplusplus
}
#endif

#endif /* MINILM_NATIVE_H */
