// The interface between the encoder and the code that is compiled once per instruction set.
//
// A kernel is a pair: integer products (`IntegerOps`) and float arithmetic (`FloatOps`). Files that
// implement them are compiled with flags of their own, so they define nothing with external linkage
// but their table, and use no standard library templates: a linker may keep any one copy of an
// inline function, also the one that this processor cannot run.
#pragma once

#include <cstddef>
#include <cstdint>

namespace minilm {

// How a quantized activation is stored for the integer products.
enum class CodeType { kSigned8, kUnsigned8, kSigned16 };  // kUnsigned8 holds code + 128

constexpr size_t code_size(CodeType type) { return type == CodeType::kSigned16 ? 2 : 1; }

// Weights of one linear layer, packed for a kernel. Columns are the layer's outputs. They are cut
// into groups (the heads of an attention layer; one group elsewhere), and each group into panels of
// `IntegerOps::panel_columns` columns, the last one padded with zeros.
struct PackedLinear {
    int columns = 0;        // without padding
    int depth = 0;          // inputs, padded to a multiple of IntegerOps::depth_multiple
    int group_columns = 0;  // columns of a group
    int panels_per_group = 0;
    int panels = 0;
    size_t panel_bytes = 0;
    int8_t* codes = nullptr;   // (panels, depth / interleave, panel_columns, interleave)
    int32_t* start = nullptr;  // (panels * panel_columns): where the sums of a column begin
    float* scale = nullptr;    // (panels * panel_columns)
    float* bias = nullptr;     // (panels * panel_columns)
};

// A tile of products: sums[r][c] = start[c] + sum over d of codes[r][d] * panel[d][c].
//
// rows: 1 to tile_rows. codes: first row, `stride` bytes between rows.
// sums: (tile_rows, panel_columns), 64-byte aligned; rows beyond `rows` may be overwritten.
using TileFunction = void (*)(int rows, const void* codes, size_t stride, const int8_t* panel,
                              const int32_t* start, int depth, int32_t* sums);

struct IntegerOps {
    int tile_rows;
    int panel_columns;
    int interleave;          // consecutive inputs of one column that lie together
    int depth_multiple;      // inputs are padded to a multiple of it
    bool reads_whole_tiles;  // reads codes of `tile_rows` rows, however many are asked for
    CodeType code_type;
    TileFunction tile;
    void (*enter)();  // before a thread's first tile, or nullptr
    void (*leave)();  // after its last, or nullptr
    // Run `rounds` rounds of products in registers; returns the number of operations.
    double (*spin)(int64_t rounds);
};

struct NormWeights {
    const float* gamma;
    const float* beta;
    float epsilon;
};

// Rows of quantized activations.
struct Codes {
    uint8_t* data;
    size_t stride;  // bytes between rows
    float* scale;   // one for each row
    CodeType type;
};

enum class Finish { kPlain, kResidual, kGelu };

// What happens to a tile of sums on its way to memory: out = sums * row_scale * scale + bias, then
// the residual or GELU.
struct FinishArguments {
    const int32_t* sums;
    int sums_stride;  // elements
    int rows;
    int columns;             // a multiple of 16
    const float* row_scale;  // (rows)
    const float* scale;      // (columns)
    const float* bias;       // (columns)
    const float* residual;   // (rows, columns) with out's stride, for kResidual
    float* out;
    size_t stride;  // elements between rows of out
};

struct AttentionArguments {
    const float* query;  // (tokens, width), rows `stride` apart, as key and value
    const float* key;
    const float* value;
    size_t stride;
    int tokens;
    int width;  // of a head, a multiple of 16
    float* out;
    size_t out_stride;
    float* keys_transposed;  // scratch: (width, tokens rounded up to a multiple of 16)
    float* scores;           // scratch: (attention_rows, tokens rounded up to a multiple of 16)
};

struct FloatOps {
    int attention_rows;  // query rows that attention takes at a time
    // x = codes * scale + position, one token.
    void (*embed)(const int8_t* codes, float scale, const float* position, int width, float* x);
    // x = LayerNorm(x), one row.
    void (*normalize)(float* x, int width, const NormWeights& norm);
    // Rotate a row by Hadamard blocks (`block` a power of two, 1 for none), in `scratch` (width),
    // and write its codes and scale.
    void (*quantize)(const float* x, int width, int block, float* scratch, const Codes& codes,
                     int row);
    void (*finish)(Finish kind, const FinishArguments& arguments);
    // softmax(query key^T / sqrt(width)) value, one head of one text.
    void (*attention)(const AttentionArguments& arguments);
    // Mean of the rows (or the first row), scaled to unit length if `normalized`.
    void (*pool)(const float* x, int tokens, int width, bool mean, bool normalized, float* vector);
};

struct Kernel {
    const char* name;
    const IntegerOps* integer;
    const FloatOps* floats;
};

}  // namespace minilm
