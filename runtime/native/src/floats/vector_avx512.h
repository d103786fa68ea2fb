// Sixteen floats in one 512-bit register. Needs AVX-512 F, BW, DQ and VL.
#pragma once

#include <immintrin.h>

#include "../kernel.h"

namespace {

struct Vector {
    __m512 v;
};

// Registers: 32 of 16 floats.
constexpr int kScoreRows = 6, kScoreVectors = 4;  // 24 sums and 4 of keys
constexpr int kValueRows = 8, kValueVectors = 2;  // 16 sums and 2 of values

inline Vector load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, Vector a) { _mm512_storeu_ps(p, a.v); }
inline Vector broadcast(float a) { return {_mm512_set1_ps(a)}; }
inline Vector from_int32(const int32_t* p) { return {_mm512_cvtepi32_ps(_mm512_loadu_si512(p))}; }
inline Vector from_int8(const int8_t* p) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes))};
}
inline Vector operator+(Vector a, Vector b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vector operator-(Vector a, Vector b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vector operator*(Vector a, Vector b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vector operator/(Vector a, Vector b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vector fma(Vector a, Vector b, Vector c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vector max(Vector a, Vector b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vector min(Vector a, Vector b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vector abs(Vector a) { return {_mm512_abs_ps(a.v)}; }
// Lane i of the result is lane i ^ N.
template <int N>
inline Vector swap(Vector a) {
    if constexpr (N == 1) return {_mm512_permute_ps(a.v, 0xB1)};
    if constexpr (N == 2) return {_mm512_permute_ps(a.v, 0x4E)};
    if constexpr (N == 4) return {_mm512_shuffle_f32x4(a.v, a.v, 0xB1)};
    if constexpr (N == 8) return {_mm512_shuffle_f32x4(a.v, a.v, 0x4E)};
}
// Zero in the lanes from `count` on.
inline Vector keep_first(Vector a, int count) {
    return {_mm512_maskz_mov_ps(static_cast<__mmask16>((1u << count) - 1), a.v)};
}
// a * 2^n, where `biased` is n + 1.5 * 2^23: the integer n stands in its lowest bits.
inline Vector scale_by_power(Vector a, Vector biased) {
    const __m512i shifted = _mm512_slli_epi32(_mm512_castps_si512(biased.v), 23);
    return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.v), shifted))};
}
// Round to the nearest code, ties to even, and store 16 of them.
inline void store_codes(uint8_t* p, Vector a, minilm::CodeType type) {
    const __m512i codes = _mm512_cvtps_epi32(a.v);
    if (type == minilm::CodeType::kSigned16) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(codes));
        return;
    }
    __m128i bytes = _mm512_cvtepi32_epi8(codes);
    if (type == minilm::CodeType::kUnsigned8) bytes = _mm_xor_si128(bytes, _mm_set1_epi8(-128));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

}  // namespace
