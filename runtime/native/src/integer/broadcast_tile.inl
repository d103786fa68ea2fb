// A tile of products from 4 bytes of codes a row at a time, spread over a register, times two
// registers of weights. The including file defines, for its instruction set:
//   Register, kRows, kPanelBytes (bytes of weights for 4 bytes of codes)
//   Register load_start(const int32_t*), spread(const char*); void store_sums(int32_t*, Register)
//   Weights load_weights(const int8_t*), with members `low` and `high`
//   Register multiply_add(Register sums, Register codes, Register weights)
//   kLanes (sums in a register), kStep (inputs in 4 bytes of codes)
#pragma once

#include <stddef.h>

namespace {

// Keeps the compiler from deriving one pointer from another: it would turn the few base pointers
// below into one for each row, more than there are registers.
inline void opaque(const char*& pointer) { __asm__("" : "+r"(pointer)); }

// Sums stay in registers only if the compiler unrolls every loop over rows: see `unroll` below.
template <int Rows>
inline void tile_rows(const char* codes, size_t stride, const int8_t* panel, const int32_t* start,
                      int depth, int32_t* sums) {
    constexpr int kBases =
        (Rows + 2) / 3;  // one pointer for three rows: p, p + stride, p + 2 stride
    Register low[Rows], high[Rows];
    const char* base[kBases];
#pragma GCC unroll 4
    for (int i = 0; i < kBases; ++i) {
        base[i] = codes + 3 * i * stride;
        opaque(base[i]);
    }
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
        low[r] = load_start(start);
        high[r] = load_start(start + kLanes);
    }
    for (int d = 0; d < depth; d += kStep) {
        const Weights weights = load_weights(panel);
        panel += kPanelBytes;
#pragma GCC unroll 12
        for (int r = 0; r < Rows; ++r) {
            const Register row = spread(base[r / 3] + (r % 3) * stride);
            low[r] = multiply_add(low[r], row, weights.low);
            high[r] = multiply_add(high[r], row, weights.high);
        }
#pragma GCC unroll 4
        for (int i = 0; i < kBases; ++i) {
            base[i] += 4;
            opaque(base[i]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
        store_sums(sums + r * 2 * kLanes, low[r]);
        store_sums(sums + r * 2 * kLanes + kLanes, high[r]);
    }
}

template <int Rows>
void dispatch(int rows, const void* codes, size_t stride, const int8_t* panel, const int32_t* start,
              int depth, int32_t* sums) {
    if constexpr (Rows > 1) {
        if (rows < Rows) return dispatch<Rows - 1>(rows, codes, stride, panel, start, depth, sums);
    }
    tile_rows<Rows>(static_cast<const char*>(codes), stride, panel, start, depth, sums);
}

// Products without memory: the tile's sums, each round with one more product.
double spin(int64_t rounds) {
    alignas(64) const int8_t zeros[kPanelBytes] = {};
    alignas(64) int32_t sums[2 * kLanes] = {};
    Weights weights = load_weights(zeros);
    Register low[kRows], high[kRows], row = spread(reinterpret_cast<const char*>(zeros));
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
        low[r] = high[r] = load_start(sums);
        __asm__ volatile("" : "+x"(low[r]));  // or the compiler would see that they are the same
        __asm__ volatile("" : "+x"(high[r]));
    }
    __asm__ volatile("" : "+x"(weights.low), "+x"(weights.high));  // not known to be zeros
    for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
        for (int r = 0; r < kRows; ++r) {
            __asm__ volatile("" : "+x"(row));  // or one product would do for all rows
            low[r] = multiply_add(low[r], row, weights.low);
            high[r] = multiply_add(high[r], row, weights.high);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
        // What is never used would never be computed.
        __asm__ volatile("" : : "x"(low[r]), "x"(high[r]));
    }
    return 2.0 * kStep * 2 * kLanes * kRows * static_cast<double>(rounds);
}

}  // namespace
