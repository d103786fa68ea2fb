// Elementary functions over a Vector, and sums over its lanes. Included after a vector_*.h.
#pragma once

namespace {

constexpr float kRoundingBias = 12582912.0f;  // 1.5 * 2^23: x + it - it rounds x to an integer

// 2^x for -126 <= x <= 0, within 1.6e-7 of its value; 2^-126 for what is below.
// The polynomial is fitted for the least largest relative error over |f| <= 1 / 2.
inline Vector exp2_negative(Vector x) {
    x = max(x, broadcast(-126.0f));
    const Vector biased = x + broadcast(kRoundingBias);
    const Vector f = x - (biased - broadcast(kRoundingBias));
    Vector p = broadcast(0x1.5bf8b8p-10f);
    p = fma(p, f, broadcast(0x1.3cee38p-7f));
    p = fma(p, f, broadcast(0x1.c6b636p-5f));
    p = fma(p, f, broadcast(0x1.ebf9b2p-3f));
    p = fma(p, f, broadcast(0x1.62e42cp-1f));
    p = fma(p, f, broadcast(1.0f));
    return scale_by_power(p, biased);
}

// GELU, x / 2 * (1 + erf(x / sqrt(2))), within 2.5e-6 for |x| <= 4.6 and 3.5e-5 for |x| <= 20.
// erf(x / sqrt(2)) / x is a polynomial of degree 10 in u = 2 x^2 / 4.6^2 - 1, fitted for the least
// largest error of GELU over |x| <= 4.6; beyond, erf keeps its value at 4.6 (1 - 4e-6).
inline Vector gelu(Vector x) {
    const Vector bounded = max(min(x, broadcast(4.6f)), broadcast(-4.6f));
    const Vector u = fma(bounded * bounded, broadcast(0x1.832544p-4f), broadcast(-1.0f));
    Vector p = broadcast(0x1.cbf61ep-10f);
    p = fma(p, u, broadcast(-0x1.61ccap-8f));
    p = fma(p, u, broadcast(0x1.0498a4p-7f));
    p = fma(p, u, broadcast(-0x1.9b2d52p-7f));
    p = fma(p, u, broadcast(0x1.88274ep-6f));
    p = fma(p, u, broadcast(-0x1.47072p-5f));
    p = fma(p, u, broadcast(0x1.dfe92ep-5f));
    p = fma(p, u, broadcast(-0x1.4b118ap-4f));
    p = fma(p, u, broadcast(0x1.bb9feap-4f));
    p = fma(p, u, broadcast(-0x1.365768p-3f));
    p = fma(p, u, broadcast(0x1.3a74eap-2f));
    const Vector half = x * broadcast(0.5f);
    return fma(half, p * bounded, half);
}

// Sums and maxima over the lanes, in every lane of the result: pairs 8 apart, then 4, 2 and 1.
inline Vector sum_lanes(Vector a) {
    a = a + swap<8>(a);
    a = a + swap<4>(a);
    a = a + swap<2>(a);
    return a + swap<1>(a);
}
inline Vector max_lanes(Vector a) {
    a = max(a, swap<8>(a));
    a = max(a, swap<4>(a));
    a = max(a, swap<2>(a));
    return max(a, swap<1>(a));
}
inline float first_lane(Vector a) {
    alignas(64) float lanes[16];
    store(lanes, a);
    return lanes[0];
}

}  // namespace
