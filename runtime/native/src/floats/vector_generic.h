// Sixteen floats in an array: plain C++, for any processor. Slow where fma is not an instruction.
#pragma once

#include <cmath>
#include <cstring>

#include "../kernel.h"

namespace {

struct Vector {
    float v[16];
};

constexpr int kScoreRows = 2, kScoreVectors = 1;
constexpr int kValueRows = 2, kValueVectors = 1;

template <class Function>
inline Vector each(Function function) {
    Vector result;
    for (int i = 0; i < 16; ++i) result.v[i] = function(i);
    return result;
}
inline Vector load(const float* p) {
    Vector result;
    std::memcpy(result.v, p, sizeof result.v);
    return result;
}
inline void store(float* p, const Vector& a) { std::memcpy(p, a.v, sizeof a.v); }
inline Vector broadcast(float a) {
    return each([=](int) { return a; });
}
inline Vector from_int32(const int32_t* p) {
    return each([=](int i) { return static_cast<float>(p[i]); });
}
inline Vector from_int8(const int8_t* p) {
    return each([=](int i) { return static_cast<float>(p[i]); });
}
inline Vector operator+(const Vector& a, const Vector& b) {
    return each([&](int i) { return a.v[i] + b.v[i]; });
}
inline Vector operator-(const Vector& a, const Vector& b) {
    return each([&](int i) { return a.v[i] - b.v[i]; });
}
inline Vector operator*(const Vector& a, const Vector& b) {
    return each([&](int i) { return a.v[i] * b.v[i]; });
}
inline Vector operator/(const Vector& a, const Vector& b) {
    return each([&](int i) { return a.v[i] / b.v[i]; });
}
inline Vector fma(const Vector& a, const Vector& b, const Vector& c) {
    return each([&](int i) { return std::fma(a.v[i], b.v[i], c.v[i]); });
}
inline Vector max(const Vector& a, const Vector& b) {
    return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vector min(const Vector& a, const Vector& b) {
    return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vector abs(const Vector& a) {
    return each([&](int i) { return std::fabs(a.v[i]); });
}
// Lane i of the result is lane i ^ N.
template <int N>
inline Vector swap(const Vector& a) {
    return each([&](int i) { return a.v[i ^ N]; });
}
// Zero in the lanes from `count` on.
inline Vector keep_first(const Vector& a, int count) {
    return each([&](int i) { return i < count ? a.v[i] : 0.0f; });
}
// a * 2^n, where `biased` is n + 1.5 * 2^23: the integer n stands in its lowest bits.
inline Vector scale_by_power(const Vector& a, const Vector& biased) {
    return each([&](int i) {
        uint32_t bits, exponent;
        std::memcpy(&bits, &a.v[i], sizeof bits);
        std::memcpy(&exponent, &biased.v[i], sizeof exponent);
        bits += exponent << 23;
        float result;
        std::memcpy(&result, &bits, sizeof result);
        return result;
    });
}
// Round to the nearest code, ties to even, and store 16 of them.
inline void store_codes(uint8_t* p, const Vector& a, minilm::CodeType type) {
    for (int i = 0; i < 16; ++i) {
        // Adding 1.5 * 2^23 leaves the nearest integer in the lowest bits of the sum.
        const float biased = a.v[i] + 12582912.0f;
        int32_t bits;
        std::memcpy(&bits, &biased, sizeof bits);
        const int32_t code = bits - 0x4B400000;
        if (type == minilm::CodeType::kSigned16) {
            const auto word = static_cast<int16_t>(code);
            std::memcpy(p + 2 * i, &word, sizeof word);
        } else {
            p[i] = static_cast<uint8_t>(type == minilm::CodeType::kUnsigned8 ? code + 128 : code);
        }
    }
}

}  // namespace
