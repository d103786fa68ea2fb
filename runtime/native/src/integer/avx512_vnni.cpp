// AVX-512 VNNI: `vpdpbusd` sums four products of an unsigned and a signed byte into 32 bits,
// exactly.
#include <immintrin.h>

#include "tables.h"

namespace {

using Register = __m512i;
struct Weights {
    Register low, high;
};
constexpr int kRows = 12;  // 24 registers of sums, 2 of weights
constexpr int kLanes = 16, kStep = 4, kPanelBytes = 128;

inline Register load_start(const int32_t* p) { return _mm512_loadu_si512(p); }
inline void store_sums(int32_t* p, Register sums) { _mm512_storeu_si512(p, sums); }
inline Register spread(const char* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}
inline Weights load_weights(const int8_t* p) {
    return {_mm512_loadu_si512(p), _mm512_loadu_si512(p + 64)};
}
inline Register multiply_add(Register sums, Register codes, Register weights) {
    return _mm512_dpbusd_epi32(sums, codes, weights);
}

}  // namespace

#include "broadcast_tile.inl"

const minilm::IntegerOps minilm::kIntegerAvx512Vnni = {
    kRows,           2 * kLanes, kStep,   kStep, false, CodeType::kUnsigned8,
    dispatch<kRows>, nullptr,    nullptr, spin};
