// AVX2 without VNNI. `vpmaddubsw` saturates, so weights are widened to 16 bits as they are loaded,
// and `vpmaddwd` sums pairs of products into 32 bits, exactly.
#include "registers_256.h"

namespace {

constexpr int kStep = 2, kPanelBytes = 32;

inline Weights load_weights(const int8_t* p) {
    const auto* words = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtepi8_epi16(_mm_loadu_si128(words)),
            _mm256_cvtepi8_epi16(_mm_loadu_si128(words + 1))};
}
inline Register multiply_add(Register sums, Register codes, Register weights) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(codes, weights));
}

}  // namespace

#include "broadcast_tile.inl"

const minilm::IntegerOps minilm::kIntegerAvx2 = {
    kRows,           2 * kLanes, kStep,   kStep, false, CodeType::kSigned16,
    dispatch<kRows>, nullptr,    nullptr, spin};
