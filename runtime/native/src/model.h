// A model that is ready to run: its weights, packed for a kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "architecture.h"
#include "kernel.h"
#include "memory.h"
#include "weight_file.h"

namespace minilm {

// Owns the memory behind a PackedLinear.
struct Linear {
    PackedLinear packed;
    AlignedArray<int8_t> codes;
    AlignedArray<int32_t> start;
    AlignedArray<float> scale;
    AlignedArray<float> bias;
};

struct Norm {
    AlignedArray<float> gamma;
    AlignedArray<float> beta;
};

struct Layer {
    Linear query, key, value;  // columns in groups of a head
    Linear attention_output;
    Norm attention_norm;
    Linear intermediate;
    Linear output;
    Norm output_norm;
};

struct Model {
    Architecture architecture;
    Kernel kernel;
    AlignedArray<int8_t> words;       // (vocab_size, dimension)
    AlignedArray<float> word_scales;  // (vocab_size)
    AlignedArray<float> positions;    // (positions, dimension), token type 0 added
    Norm embedding_norm;
    std::vector<Layer> layers;
};

// Read and pack a weight file. Throws Error and std::bad_alloc.
Model load_model(const uint8_t* data, size_t size, const Kernel& kernel);

}  // namespace minilm
