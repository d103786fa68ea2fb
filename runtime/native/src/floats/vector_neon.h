// Sixteen floats in four 128-bit registers: 64-bit ARM, any processor.
#pragma once

#include <arm_neon.h>

#include "../kernel.h"

namespace {

struct Vector {
    float32x4_t v[4];
};

// Registers: 32 of 4 floats, so 8 Vectors.
constexpr int kScoreRows = 5, kScoreVectors = 1;  // 20 registers of sums and 4 of keys
constexpr int kValueRows = 2, kValueVectors = 2;  // 16 registers of sums and 8 of values

template <class Function>
inline Vector each(Function function) {
    return {{function(0), function(1), function(2), function(3)}};
}
inline Vector load(const float* p) {
    return each([=](int i) { return vld1q_f32(p + 4 * i); });
}
inline void store(float* p, Vector a) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.v[i]);
}
inline Vector broadcast(float a) {
    return each([=](int) { return vdupq_n_f32(a); });
}
inline Vector from_int32(const int32_t* p) {
    return each([=](int i) { return vcvtq_f32_s32(vld1q_s32(p + 4 * i)); });
}
inline Vector from_int8(const int8_t* p) {
    const int8x16_t codes = vld1q_s8(p);
    const int16x8_t low = vmovl_s8(vget_low_s8(codes)), high = vmovl_s8(vget_high_s8(codes));
    return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
             vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
             vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
             vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))}};
}
inline Vector operator+(Vector a, Vector b) {
    return each([&](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline Vector operator-(Vector a, Vector b) {
    return each([&](int i) { return vsubq_f32(a.v[i], b.v[i]); });
}
inline Vector operator*(Vector a, Vector b) {
    return each([&](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline Vector operator/(Vector a, Vector b) {
    return each([&](int i) { return vdivq_f32(a.v[i], b.v[i]); });
}
inline Vector fma(Vector a, Vector b, Vector c) {
    return each([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
inline Vector max(Vector a, Vector b) {
    return each([&](int i) { return vmaxq_f32(a.v[i], b.v[i]); });
}
inline Vector min(Vector a, Vector b) {
    return each([&](int i) { return vminq_f32(a.v[i], b.v[i]); });
}
inline Vector abs(Vector a) {
    return each([&](int i) { return vabsq_f32(a.v[i]); });
}
// Lane i of the result is lane i ^ N.
template <int N>
inline Vector swap(Vector a) {
    return each([&](int i) {
        if constexpr (N == 1) return vrev64q_f32(a.v[i]);
        if constexpr (N == 2) return vextq_f32(a.v[i], a.v[i], 2);
        if constexpr (N >= 4) return a.v[i ^ (N / 4)];
    });
}
// Zero in the lanes from `count` on.
inline Vector keep_first(Vector a, int count) {
    const int32_t first[4] = {0, 1, 2, 3};
    const int32x4_t lanes = vld1q_s32(first);
    return each([&](int i) {
        const uint32x4_t kept = vcltq_s32(lanes, vdupq_n_s32(count - 4 * i));
        return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a.v[i]), kept));
    });
}
// a * 2^n, where `biased` is n + 1.5 * 2^23: the integer n stands in its lowest bits.
inline Vector scale_by_power(Vector a, Vector biased) {
    return each([&](int i) {
        const int32x4_t shifted = vshlq_n_s32(vreinterpretq_s32_f32(biased.v[i]), 23);
        return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a.v[i]), shifted));
    });
}
// Round to the nearest code, ties to even, and store 16 of them.
inline void store_codes(uint8_t* p, Vector a, minilm::CodeType type) {
    int16x4_t words[4];
    for (int i = 0; i < 4; ++i) words[i] = vqmovn_s32(vcvtnq_s32_f32(a.v[i]));
    const int16x8_t low = vcombine_s16(words[0], words[1]);
    const int16x8_t high = vcombine_s16(words[2], words[3]);
    if (type == minilm::CodeType::kSigned16) {
        vst1q_s16(reinterpret_cast<int16_t*>(p), low);
        vst1q_s16(reinterpret_cast<int16_t*>(p) + 8, high);
        return;
    }
    const int8x16_t bytes = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
    const uint8x16_t flip = vdupq_n_u8(type == minilm::CodeType::kUnsigned8 ? 128 : 0);
    vst1q_u8(p, veorq_u8(vreinterpretq_u8_s8(bytes), flip));
}

}  // namespace
