// Registers of 256 bits, as broadcast_tile.inl wants them.
#pragma once

#include <immintrin.h>

#include "tables.h"

namespace {

using Register = __m256i;
struct Weights {
    Register low, high;
};
constexpr int kRows = 6;  // 12 registers of sums, 2 of weights, 1 of codes, 1 of products
constexpr int kLanes = 8;

inline Register load_start(const int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline void store_sums(int32_t* p, Register sums) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), sums);
}
inline Register spread(const char* p) {
    int32_t bytes;
    __builtin_memcpy(&bytes, p, sizeof bytes);
    return _mm256_set1_epi32(bytes);
}

}  // namespace
