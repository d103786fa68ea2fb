// The dot product of 64-bit ARM: `sdot` sums four products of signed bytes into 32 bits, exactly.
#include <arm_neon.h>

#include "tables.h"

namespace {

constexpr int kRows = 5, kColumns = 16;  // 20 registers of sums, 4 of weights, 5 of codes
constexpr int kDepth = 16;               // inputs in a register of codes

template <int Lane, int Rows>
inline void add_lane(int32x4_t (&sums)[Rows][4], const int8x16_t (&codes)[Rows],
                     const int8_t* panel) {
    int8x16_t weights[4];
    for (int c = 0; c < 4; ++c) weights[c] = vld1q_s8(panel + 64 * Lane + 16 * c);
#pragma GCC unroll 5
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
        for (int c = 0; c < 4; ++c)
            sums[r][c] = vdotq_laneq_s32(sums[r][c], weights[c], codes[r], Lane);
    }
}

template <int Rows>
void dispatch(int rows, const void* codes, size_t stride, const int8_t* panel, const int32_t* start,
              int depth, int32_t* out) {
    if constexpr (Rows > 1) {
        if (rows < Rows) return dispatch<Rows - 1>(rows, codes, stride, panel, start, depth, out);
    }
    const auto* first = static_cast<const int8_t*>(codes);
    int32x4_t sums[Rows][4];
#pragma GCC unroll 5
    for (int r = 0; r < Rows; ++r)
        for (int c = 0; c < 4; ++c) sums[r][c] = vld1q_s32(start + 4 * c);
    for (int d = 0; d < depth; d += kDepth, panel += kDepth * kColumns) {
        int8x16_t row[Rows];
#pragma GCC unroll 5
        for (int r = 0; r < Rows; ++r) row[r] = vld1q_s8(first + r * stride + d);
        add_lane<0>(sums, row, panel);
        add_lane<1>(sums, row, panel);
        add_lane<2>(sums, row, panel);
        add_lane<3>(sums, row, panel);
    }
#pragma GCC unroll 5
    for (int r = 0; r < Rows; ++r)
        for (int c = 0; c < 4; ++c) vst1q_s32(out + r * kColumns + 4 * c, sums[r][c]);
}

double spin(int64_t rounds) {
    int8x16_t codes = vdupq_n_s8(0), weights = vdupq_n_s8(0);
    int32x4_t sums[kRows * 4];
    for (int32x4_t& each : sums) each = vdupq_n_s32(0);
    for (int64_t i = 0; i < rounds; ++i) {
        __asm__ volatile("" : "+w"(codes), "+w"(weights));
#pragma GCC unroll 20
        for (int32x4_t& each : sums) each = vdotq_laneq_s32(each, weights, codes, 0);
    }
    for (const int32x4_t& each : sums) __asm__ volatile("" : : "w"(each));
    return 2.0 * 16 * kRows * 4 * static_cast<double>(rounds);
}

}  // namespace

const minilm::IntegerOps minilm::kIntegerNeonDot = {
    kRows, kColumns, 4, kDepth, false, CodeType::kSigned8, dispatch<kRows>, nullptr, nullptr, spin};
