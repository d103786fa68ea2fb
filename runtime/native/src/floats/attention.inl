// Attention of one head of one text, in float32. Included after math.inl.
//
// Every score is one chain of fused multiply-adds over the head's elements, every output one over
// the tokens, so the tiles that a processor's registers suggest do not change a bit.
#pragma once

#include <math.h>

namespace {

template <int Rows, int Count>
inline void score_tile(const float* query, size_t stride, int width, const float* keys, int padded,
                       float* scores) {
    Vector sums[Rows][Count];
    for (auto& row : sums)
        for (Vector& each : row) each = broadcast(0.0f);
    for (int i = 0; i < width; ++i) {
        Vector key[Count];
        for (int c = 0; c < Count; ++c)
            key[c] = load(keys + static_cast<size_t>(i) * padded + 16 * c);
        for (int r = 0; r < Rows; ++r) {
            const Vector element = broadcast(query[r * stride + i]);
            for (int c = 0; c < Count; ++c) sums[r][c] = fma(element, key[c], sums[r][c]);
        }
    }
    for (int r = 0; r < Rows; ++r)
        for (int c = 0; c < Count; ++c)
            store(scores + static_cast<size_t>(r) * padded + 16 * c, sums[r][c]);
}

// Scores of `rows` (1 to Rows) query rows with all keys.
template <int Rows>
inline void score_rows(int rows, const float* query, size_t stride, int width, const float* keys,
                       int padded, float* scores) {
    if constexpr (Rows > 1) {
        if (rows < Rows)
            return score_rows<Rows - 1>(rows, query, stride, width, keys, padded, scores);
    }
    int i = 0;
    for (; i + 16 * kScoreVectors <= padded; i += 16 * kScoreVectors)
        score_tile<Rows, kScoreVectors>(query, stride, width, keys + i, padded, scores + i);
    for (; i < padded; i += 16)
        score_tile<Rows, 1>(query, stride, width, keys + i, padded, scores + i);
}

// Scores to weights that are not yet divided by their sum; returns 1 / sum.
inline float softmax_row(float* scores, int tokens, int padded, float factor) {
    Vector peak = load(scores);
    for (int i = 16; i < padded; i += 16) peak = max(peak, load(scores + i));
    peak = max_lanes(peak);
    Vector total = broadcast(0.0f);
    for (int i = 0; i < padded; i += 16) {
        Vector weight = exp2_negative((load(scores + i) - peak) * broadcast(factor));
        if (tokens - i < 16) weight = keep_first(weight, tokens - i);
        total = total + weight;
        store(scores + i, weight);
    }
    return 1.0f / first_lane(sum_lanes(total));
}

template <int Rows, int Count>
inline void value_tile(const float* weights, int padded, int tokens, const float* values,
                       size_t stride, const float* inverse, float* out, size_t out_stride) {
    Vector sums[Rows][Count];
    for (auto& row : sums)
        for (Vector& each : row) each = broadcast(0.0f);
    for (int token = 0; token < tokens; ++token) {
        Vector value[Count];
        for (int c = 0; c < Count; ++c) value[c] = load(values + token * stride + 16 * c);
        for (int r = 0; r < Rows; ++r) {
            const Vector weight = broadcast(weights[static_cast<size_t>(r) * padded + token]);
            for (int c = 0; c < Count; ++c) sums[r][c] = fma(weight, value[c], sums[r][c]);
        }
    }
    for (int r = 0; r < Rows; ++r)
        for (int c = 0; c < Count; ++c)
            store(out + r * out_stride + 16 * c, sums[r][c] * broadcast(inverse[r]));
}

// Weighted sums of the values for `rows` (1 to Rows) rows of weights.
template <int Rows>
inline void value_rows(int rows, const float* weights, int padded,
                       const minilm::AttentionArguments& a, const float* inverse, float* out) {
    if constexpr (Rows > 1) {
        if (rows < Rows) return value_rows<Rows - 1>(rows, weights, padded, a, inverse, out);
    }
    int i = 0;
    for (; i + 16 * kValueVectors <= a.width; i += 16 * kValueVectors)
        value_tile<Rows, kValueVectors>(weights, padded, a.tokens, a.value + i, a.stride, inverse,
                                        out + i, a.out_stride);
    for (; i < a.width; i += 16)
        value_tile<Rows, 1>(weights, padded, a.tokens, a.value + i, a.stride, inverse, out + i,
                            a.out_stride);
}

// (tokens, width) to (width, padded); the last key fills the padding, so no maximum changes.
inline void transpose_keys(const minilm::AttentionArguments& a, int padded) {
    for (int token = 0; token < padded; ++token) {
        const float* key = a.key + (token < a.tokens ? token : a.tokens - 1) * a.stride;
        float* out = a.keys_transposed + token;
        for (int i = 0; i < a.width; ++i) out[static_cast<size_t>(i) * padded] = key[i];
    }
}

constexpr int kAttentionRows = kScoreRows * kValueRows;

void attention(const minilm::AttentionArguments& a) {
    const int padded = (a.tokens + 15) / 16 * 16;
    // softmax(s / sqrt(width)) in powers of two: log2(e) is in the factor.
    const float factor = 1.44269504088896341f / sqrtf(static_cast<float>(a.width));
    transpose_keys(a, padded);
    for (int start = 0; start < a.tokens; start += kAttentionRows) {
        const int rows = a.tokens - start < kAttentionRows ? a.tokens - start : kAttentionRows;
        const float* query = a.query + start * a.stride;
        float* out = a.out + start * a.out_stride;
        float inverse[kAttentionRows];
        for (int r = 0; r < rows; r += kScoreRows) {
            const int count = rows - r < kScoreRows ? rows - r : kScoreRows;
            score_rows<kScoreRows>(count, query + r * a.stride, a.stride, a.width,
                                   a.keys_transposed, padded,
                                   a.scores + static_cast<size_t>(r) * padded);
        }
        for (int r = 0; r < rows; ++r)
            inverse[r] =
                softmax_row(a.scores + static_cast<size_t>(r) * padded, a.tokens, padded, factor);
        for (int r = 0; r < rows; r += kValueRows) {
            const int count = rows - r < kValueRows ? rows - r : kValueRows;
            value_rows<kValueRows>(count, a.scores + static_cast<size_t>(r) * padded, padded, a,
                                   inverse + r, out + r * a.out_stride);
        }
    }
}

}  // namespace
