// What is done to one token's row at a time. Included after math.inl.
#pragma once

#include <math.h>

namespace {

// Signs of the lanes in a Hadamard stage of stride N: minus where bit N of the lane is set.
template <int N>
inline Vector stage_signs() {
    alignas(64) float signs[16];
    for (int i = 0; i < 16; ++i) signs[i] = (i & N) ? -1.0f : 1.0f;
    return load(signs);
}

// Sylvester's Hadamard matrix of order 16 * Count, not normalized, times a block in registers:
// butterflies within each Vector, strides 1 to 8, then between them.
template <int Count>
inline void hadamard(Vector (&block)[Count]) {
    for (Vector& each : block) {
        each = fma(each, stage_signs<1>(), swap<1>(each));
        each = fma(each, stage_signs<2>(), swap<2>(each));
        each = fma(each, stage_signs<4>(), swap<4>(each));
        each = fma(each, stage_signs<8>(), swap<8>(each));
    }
    for (int stride = 1; stride < Count; stride *= 2) {
        for (int i = 0; i < Count; ++i) {
            if (i & stride) continue;
            const Vector sum = block[i] + block[i + stride];
            block[i + stride] = block[i] - block[i + stride];
            block[i] = sum;
        }
    }
}

// Rotate a row block by block into `rotated`; returns the lanes' largest absolute values.
template <int Count>
inline Vector rotate(const float* x, int width, float* rotated) {
    Vector peak = broadcast(0.0f);
    for (int start = 0; start < width; start += 16 * Count) {
        Vector block[Count];
        for (int i = 0; i < Count; ++i) block[i] = load(x + start + 16 * i);
        hadamard(block);
        for (int i = 0; i < Count; ++i) {
            store(rotated + start + 16 * i, block[i]);
            peak = max(peak, abs(block[i]));
        }
    }
    return peak;
}

inline Vector largest(const float* x, int width) {
    Vector peak = broadcast(0.0f);
    for (int i = 0; i < width; i += 16) peak = max(peak, abs(load(x + i)));
    return peak;
}

void quantize(const float* x, int width, int block, float* scratch, const minilm::Codes& codes,
              int row) {
    Vector peak;
    switch (block) {
        case 16:
            peak = rotate<1>(x, width, scratch);
            break;
        case 32:
            peak = rotate<2>(x, width, scratch);
            break;
        case 64:
            peak = rotate<4>(x, width, scratch);
            break;
        case 128:
            peak = rotate<8>(x, width, scratch);
            break;
        default:
            peak = largest(x, width);
    }
    const float* source = block > 1 ? scratch : x;
    const float limit = first_lane(max_lanes(peak));
    // A row of zeros, or nearly, has codes of zero: 127 / limit would overflow.
    const float inverse = limit >= 1e-30f ? 127.0f / limit : 0.0f;
    codes.scale[row] = limit * static_cast<float>(1.0 / (127.0 * sqrt(static_cast<double>(block))));
    const size_t size = minilm::code_size(codes.type);
    uint8_t* out = codes.data + static_cast<size_t>(row) * codes.stride;
    for (int i = 0; i < width; i += 16) {
        store_codes(out + i * size, load(source + i) * broadcast(inverse), codes.type);
    }
}

void embed(const int8_t* codes, float scale, const float* position, int width, float* x) {
    for (int i = 0; i < width; i += 16) {
        store(x + i, fma(from_int8(codes + i), broadcast(scale), load(position + i)));
    }
}

void normalize(float* x, int width, const minilm::NormWeights& norm) {
    const auto count = static_cast<float>(width);
    Vector sum = broadcast(0.0f);
    for (int i = 0; i < width; i += 16) sum = sum + load(x + i);
    const Vector mean = broadcast(first_lane(sum_lanes(sum)) / count);
    Vector squares = broadcast(0.0f);
    for (int i = 0; i < width; i += 16) {
        const Vector centered = load(x + i) - mean;
        squares = fma(centered, centered, squares);
    }
    const float variance = first_lane(sum_lanes(squares)) / count;
    const Vector inverse = broadcast(1.0f / sqrtf(variance + norm.epsilon));
    for (int i = 0; i < width; i += 16) {
        const Vector scaled = (load(x + i) - mean) * inverse;
        store(x + i, fma(scaled, load(norm.gamma + i), load(norm.beta + i)));
    }
}

void pool(const float* x, int tokens, int width, bool mean, bool normalized, float* vector) {
    const int rows = mean ? tokens : 1;
    const Vector count = broadcast(static_cast<float>(rows));
    Vector squares = broadcast(0.0f);
    for (int i = 0; i < width; i += 16) {
        Vector sum = load(x + i);
        for (int row = 1; row < rows; ++row)
            sum = sum + load(x + static_cast<size_t>(row) * width + i);
        sum = sum / count;
        squares = fma(sum, sum, squares);
        store(vector + i, sum);
    }
    if (!normalized) return;
    const float length = sqrtf(first_lane(sum_lanes(squares)));
    const Vector divisor = broadcast(length > 1e-12f ? length : 1e-12f);
    for (int i = 0; i < width; i += 16) store(vector + i, load(vector + i) / divisor);
}

}  // namespace
