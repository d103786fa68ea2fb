// Stands in for the instructions of AMX and AVX-VNNI, each with the meaning that Intel's manual
// gives it, so that the kernels written for them run on any processor with AVX2. Included before
// their sources.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace emulated {

// Eight tiles of 16 rows of 64 bytes, as the kernels configure them.
inline thread_local uint8_t tiles[8][16][64];
inline thread_local bool configured = false;

inline void need_configuration() {
    if (!configured) __builtin_trap();
}

inline void load(int tile, const void* base, size_t stride) {
    need_configuration();
    for (int row = 0; row < 16; ++row) {
        std::memcpy(tiles[tile][row], static_cast<const uint8_t*>(base) + row * stride, 64);
    }
}

inline void store(int tile, void* base, size_t stride) {
    need_configuration();
    for (int row = 0; row < 16; ++row) {
        std::memcpy(static_cast<uint8_t*>(base) + row * stride, tiles[tile][row], 64);
    }
}

// TDPBSSD: sums of four products of signed bytes.
inline void multiply(int sums, int left, int right) {
    need_configuration();
    for (int row = 0; row < 16; ++row) {
        int32_t total[16];
        std::memcpy(total, tiles[sums][row], 64);
        for (int k = 0; k < 16; ++k) {
            for (int column = 0; column < 16; ++column) {
                for (int i = 0; i < 4; ++i) {
                    const auto a = static_cast<int8_t>(tiles[left][row][4 * k + i]);
                    const auto b = static_cast<int8_t>(tiles[right][k][4 * column + i]);
                    total[column] += a * b;
                }
            }
        }
        std::memcpy(tiles[sums][row], total, 64);
    }
}

// VPDPBUSD: sums of four products of an unsigned and a signed byte, without saturation.
inline __m256i dpbusd(__m256i sums, __m256i left, __m256i right) {
    alignas(32) int32_t total[8];
    alignas(32) uint8_t a[32];
    alignas(32) int8_t b[32];
    std::memcpy(total, &sums, 32);
    std::memcpy(a, &left, 32);
    std::memcpy(b, &right, 32);
    for (int i = 0; i < 32; ++i) total[i / 4] += a[i] * b[i];
    std::memcpy(&sums, total, 32);
    return sums;
}

}  // namespace emulated

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbssd
#define _tile_loadconfig(config) (static_cast<void>(config), emulated::configured = true)
#define _tile_release() (emulated::configured = false)
#define _tile_loadd(tile, base, stride) emulated::load(tile, base, stride)
#define _tile_stored(tile, base, stride) emulated::store(tile, base, stride)
#define _tile_dpbssd(sums, left, right) emulated::multiply(sums, left, right)
#define _mm256_dpbusd_epi32(sums, left, right) emulated::dpbusd(sums, left, right)
