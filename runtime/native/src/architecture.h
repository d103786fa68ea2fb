// The numbers of a model, from the metadata of its weight file.
#pragma once

#include <string>

#include "weight_file.h"

namespace minilm {

struct Architecture {
    int layers;
    int heads;
    int dimension;     // of a token's vector, a multiple of 16
    int intermediate;  // of the feed-forward layer, a multiple of 16
    int vocab_size;
    int positions;
    int max_tokens;
    bool mean_pooling;  // else the first token's vector
    bool normalized;
    float layer_norm_eps;
    // Hadamard blocks of the rotation of each product's input: a power of two up to 128, 1 for
    // none.
    int query_key_value_block;
    int intermediate_block;
    int output_block;

    int head_width() const { return dimension / heads; }
};

// Throws Error (MINILM_INVALID_WEIGHTS): another format, a later version, a field that is missing
// or out of range.
Architecture read_architecture(const WeightFile& file);

}  // namespace minilm
