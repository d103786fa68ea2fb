// AVX-VNNI: the 256-bit `vpdpbusd` of processors without AVX-512.
#include "registers_256.h"

namespace {

constexpr int kStep = 4, kPanelBytes = 64;

inline Weights load_weights(const int8_t* p) {
    const auto* words = reinterpret_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(words), _mm256_loadu_si256(words + 1)};
}
inline Register multiply_add(Register sums, Register codes, Register weights) {
#if defined(__AVXVNNI__)
    return _mm256_dpbusd_avx_epi32(sums, codes, weights);
#else  // the same instruction in AVX-512's encoding: for tests on processors that have only that
    return _mm256_dpbusd_epi32(sums, codes, weights);
#endif
}

}  // namespace

#include "broadcast_tile.inl"

const minilm::IntegerOps minilm::kIntegerAvxVnni = {
    kRows,           2 * kLanes, kStep,   kStep, false, CodeType::kUnsigned8,
    dispatch<kRows>, nullptr,    nullptr, spin};
