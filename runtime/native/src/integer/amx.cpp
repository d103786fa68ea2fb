// AMX int8: `tdpbssd` multiplies a tile of 16 rows by 64 signed bytes with one of 64 by 16 columns.
#include "tables.h"

#if MINILM_HAS_AMX
#include <immintrin.h>

namespace {

constexpr int kRows = 32, kColumns = 32;  // four tiles of sums, two of codes, two of weights
constexpr int kDepth = 64;                // inputs that a tile holds

struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};

void enter() {
    TileConfig config;
    for (int tile = 0; tile < 8; ++tile) {
        config.row_bytes[tile] = 64;
        config.rows[tile] = 16;
    }
    _tile_loadconfig(&config);
}

void leave() { _tile_release(); }

void tile(int rows, const void* codes, size_t stride, const int8_t* panel, const int32_t* start,
          int depth, int32_t* sums) {
    const auto* first = static_cast<const char*>(codes);
    const char* second = first + 16 * stride;
    constexpr size_t kPanelStride = 4 * kColumns;  // bytes between groups of four inputs
    constexpr size_t kSumsStride = 4 * kColumns;
    // Every row of the sums begins with the columns' start: a stride of zero repeats it.
    _tile_loadd(0, start, 0);
    _tile_loadd(1, start + 16, 0);
    if (rows <= 16) {
        for (int d = 0; d < depth; d += kDepth, panel += kDepth * kColumns) {
            _tile_loadd(4, first + d, stride);
            _tile_loadd(6, panel, kPanelStride);
            _tile_loadd(7, panel + 64, kPanelStride);
            _tile_dpbssd(0, 4, 6);
            _tile_dpbssd(1, 4, 7);
        }
    } else {
        _tile_loadd(2, start, 0);
        _tile_loadd(3, start + 16, 0);
        for (int d = 0; d < depth; d += kDepth, panel += kDepth * kColumns) {
            _tile_loadd(4, first + d, stride);
            _tile_loadd(5, second + d, stride);
            _tile_loadd(6, panel, kPanelStride);
            _tile_loadd(7, panel + 64, kPanelStride);
            _tile_dpbssd(0, 4, 6);
            _tile_dpbssd(1, 4, 7);
            _tile_dpbssd(2, 5, 6);
            _tile_dpbssd(3, 5, 7);
        }
        _tile_stored(2, sums + 16 * kColumns, kSumsStride);
        _tile_stored(3, sums + 16 * kColumns + 16, kSumsStride);
    }
    _tile_stored(0, sums, kSumsStride);
    _tile_stored(1, sums + 16, kSumsStride);
}

double spin(int64_t rounds) {
    enter();
    for (int64_t i = 0; i < rounds; ++i) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    leave();
    return 2.0 * kRows * kColumns * kDepth * static_cast<double>(rounds);
}

}  // namespace

const minilm::IntegerOps minilm::kIntegerAmx = {
    kRows, kColumns, 4, kDepth, true, CodeType::kSigned8, tile, enter, leave, spin};
#endif
