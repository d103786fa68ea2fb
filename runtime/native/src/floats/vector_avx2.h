// Sixteen floats in two 256-bit registers. Needs AVX2 and FMA. (GCC's generic 64-byte vectors would
// go through the stack here.)
#pragma once

#include <immintrin.h>

#include "../kernel.h"

namespace {

struct Vector {
    __m256 low, high;
};

// Registers: 16 of 8 floats, so 8 Vectors.
constexpr int kScoreRows = 4, kScoreVectors = 1;  // 8 registers of sums and 2 of keys
constexpr int kValueRows = 3, kValueVectors = 2;  // 12 registers of sums and 2 of values

inline Vector load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float* p, Vector a) {
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
}
inline Vector broadcast(float a) { return {_mm256_set1_ps(a), _mm256_set1_ps(a)}; }
inline Vector from_int32(const int32_t* p) {
    const auto* words = reinterpret_cast<const __m256i*>(p);
    return {_mm256_cvtepi32_ps(_mm256_loadu_si256(words)),
            _mm256_cvtepi32_ps(_mm256_loadu_si256(words + 1))};
}
inline Vector from_int8(const int8_t* p) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(codes, 8)))};
}
inline Vector operator+(Vector a, Vector b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Vector operator-(Vector a, Vector b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline Vector operator*(Vector a, Vector b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline Vector operator/(Vector a, Vector b) {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
inline Vector fma(Vector a, Vector b, Vector c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Vector max(Vector a, Vector b) {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline Vector min(Vector a, Vector b) {
    return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline Vector abs(Vector a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
// Lane i of the result is lane i ^ N.
template <int N>
inline Vector swap(Vector a) {
    if constexpr (N == 1) return {_mm256_permute_ps(a.low, 0xB1), _mm256_permute_ps(a.high, 0xB1)};
    if constexpr (N == 2) return {_mm256_permute_ps(a.low, 0x4E), _mm256_permute_ps(a.high, 0x4E)};
    if constexpr (N == 4)
        return {_mm256_permute2f128_ps(a.low, a.low, 1), _mm256_permute2f128_ps(a.high, a.high, 1)};
    if constexpr (N == 8) return {a.high, a.low};
}
// Zero in the lanes from `count` on.
inline Vector keep_first(Vector a, int count) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes);
    const __m256i high = _mm256_cmpgt_epi32(_mm256_set1_epi32(count - 8), lanes);
    return {_mm256_and_ps(a.low, _mm256_castsi256_ps(low)),
            _mm256_and_ps(a.high, _mm256_castsi256_ps(high))};
}
inline __m256 scale_half(__m256 a, __m256 biased) {
    const __m256i shifted = _mm256_slli_epi32(_mm256_castps_si256(biased), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), shifted));
}
// a * 2^n, where `biased` is n + 1.5 * 2^23: the integer n stands in its lowest bits.
inline Vector scale_by_power(Vector a, Vector biased) {
    return {scale_half(a.low, biased.low), scale_half(a.high, biased.high)};
}
// Round to the nearest code, ties to even, and store 16 of them.
inline void store_codes(uint8_t* p, Vector a, minilm::CodeType type) {
    // Packing works within halves of 128 bits; the permutation puts the four quarters in order.
    const __m256i packed =
        _mm256_packs_epi32(_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high));
    const __m256i words = _mm256_permute4x64_epi64(packed, 0xD8);
    if (type == minilm::CodeType::kSigned16) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), words);
        return;
    }
    __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    if (type == minilm::CodeType::kUnsigned8) bytes = _mm_xor_si128(bytes, _mm_set1_epi8(-128));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

}  // namespace
