// Plain C++, for any processor.
#include "tables.h"

namespace {

constexpr int kRows = 4, kColumns = 16;

inline void add_products(int32_t* sums, int32_t code, const int8_t* weights) {
    for (int c = 0; c < kColumns; ++c) sums[c] += code * weights[c];
}

void tile(int rows, const void* codes, size_t stride, const int8_t* panel, const int32_t* start,
          int depth, int32_t* sums) {
    for (int r = 0; r < rows; ++r) {
        const auto* row = static_cast<const int8_t*>(codes) + r * stride;
        int32_t total[kColumns];
        for (int c = 0; c < kColumns; ++c) total[c] = start[c];
        for (int d = 0; d < depth; ++d) add_products(total, row[d], panel + d * kColumns);
        for (int c = 0; c < kColumns; ++c) sums[r * kColumns + c] = total[c];
    }
}

double spin(int64_t rounds) {
    int32_t sums[kColumns] = {};
    int8_t weights[kColumns];
    for (int64_t i = 0; i < rounds; ++i) {
        for (int8_t& each : weights) each = static_cast<int8_t>(i);
        add_products(sums, static_cast<int32_t>(i & 127), weights);
    }
    volatile int32_t used = 0;  // or the compiler would leave the sums out
    for (const int32_t sum : sums) used = sum;
    static_cast<void>(used);
    return 2.0 * kColumns * static_cast<double>(rounds);
}

}  // namespace

const minilm::IntegerOps minilm::kIntegerGeneric = {
    kRows, kColumns, 1, 1, false, CodeType::kSigned8, tile, nullptr, nullptr, spin};
