#include "model.h"

#include <cmath>
#include <cstring>

#include "error.h"

namespace minilm {

namespace {

// Copy a float32 tensor; throws if an element is infinite or not a number.
AlignedArray<float> copy_floats(const Tensor& tensor, const std::string& name) {
    const size_t count = tensor.size / sizeof(float);
    auto copy = make_aligned<float>(count);
    std::memcpy(copy.get(), tensor.data, tensor.size);
    bool finite = true;
    for (size_t i = 0; i < count; ++i) finite &= std::fabs(copy[i]) <= 3.4e38f;
    if (!finite) {
        fail(MINILM_INVALID_WEIGHTS, "weight file: tensor %s has elements that are not finite",
             name.c_str());
    }
    return copy;
}

AlignedArray<float> take_floats(WeightFile& file, const std::string& name,
                                const std::vector<int64_t>& shape) {
    return copy_floats(file.take(name, "F32", shape), name);
}

Norm take_norm(WeightFile& file, const std::string& name, int width) {
    return {take_floats(file, name + ".weight", {width}),
            take_floats(file, name + ".bias", {width})};
}

// Spread a layer's floats over its padded columns.
AlignedArray<float> pad_columns(const PackedLinear& packed, const IntegerOps& ops,
                                const AlignedArray<float>& values) {
    const size_t columns = static_cast<size_t>(packed.panels) * ops.panel_columns;
    auto padded = make_aligned<float>(columns);
    std::memset(padded.get(), 0, columns * sizeof(float));
    const int group_padded = packed.panels_per_group * ops.panel_columns;
    for (int column = 0; column < packed.columns; ++column) {
        const int group = column / packed.group_columns;
        padded[group * group_padded + column % packed.group_columns] = values[column];
    }
    return padded;
}

// One panel: (columns, inputs) row-major to (inputs / Interleave, panel_columns, Interleave).
template <int Interleave>
void pack_panel(const int8_t* rows, int columns, int inputs, int panel_columns, int8_t* panel) {
    for (int column = 0; column < columns; ++column) {
        const int8_t* row = rows + static_cast<size_t>(column) * inputs;
        int8_t* out = panel + column * Interleave;
        for (int d = 0; d < inputs; d += Interleave, out += panel_columns * Interleave) {
            std::memcpy(out, row + d, Interleave);
        }
    }
}

int32_t sum_codes(const int8_t* row, int inputs) {
    int32_t sum = 0;
    for (int d = 0; d < inputs; ++d) sum += row[d];
    return sum;
}

void pack_codes(Linear& linear, const IntegerOps& ops, const int8_t* rows, int inputs) {
    const PackedLinear& packed = linear.packed;
    const bool offset = ops.code_type == CodeType::kUnsigned8;
    for (int panel = 0; panel < packed.panels; ++panel) {
        const int within = panel % packed.panels_per_group * ops.panel_columns;
        const int first = panel / packed.panels_per_group * packed.group_columns + within;
        const int left = packed.group_columns - within;
        const int columns = left < ops.panel_columns ? left : ops.panel_columns;
        const int8_t* source = rows + static_cast<size_t>(first) * inputs;
        int8_t* target = linear.codes.get() + panel * packed.panel_bytes;
        if (columns < ops.panel_columns || inputs < packed.depth) {
            std::memset(target, 0, packed.panel_bytes);
        }
        if (ops.interleave == 4) pack_panel<4>(source, columns, inputs, ops.panel_columns, target);
        if (ops.interleave == 2) pack_panel<2>(source, columns, inputs, ops.panel_columns, target);
        if (ops.interleave == 1) pack_panel<1>(source, columns, inputs, ops.panel_columns, target);
        for (int column = 0; column < ops.panel_columns; ++column) {
            // Codes that are stored with 128 added would add 128 times this sum.
            const bool used = offset && column < columns;
            linear.start[panel * ops.panel_columns + column] =
                used ? -128 * sum_codes(source + static_cast<size_t>(column) * inputs, inputs) : 0;
        }
    }
}

Linear take_linear(WeightFile& file, const std::string& name, int outputs, int inputs, int group,
                   const IntegerOps& ops) {
    const Tensor codes = file.take(name + ".weight", "I8", {outputs, inputs});
    const auto scale = take_floats(file, name + ".scale", {outputs});
    const auto bias = take_floats(file, name + ".bias", {outputs});
    Linear linear;
    PackedLinear& packed = linear.packed;
    packed.columns = outputs;
    packed.group_columns = group;
    packed.depth = (inputs + ops.depth_multiple - 1) / ops.depth_multiple * ops.depth_multiple;
    packed.panels_per_group = (group + ops.panel_columns - 1) / ops.panel_columns;
    packed.panels = outputs / group * packed.panels_per_group;
    packed.panel_bytes = static_cast<size_t>(packed.depth) * ops.panel_columns;
    linear.codes = make_aligned<int8_t>(packed.panels * packed.panel_bytes);
    linear.start = make_aligned<int32_t>(static_cast<size_t>(packed.panels) * ops.panel_columns);
    linear.scale = pad_columns(packed, ops, scale);
    linear.bias = pad_columns(packed, ops, bias);
    pack_codes(linear, ops, reinterpret_cast<const int8_t*>(codes.data), inputs);
    packed.codes = linear.codes.get();
    packed.start = linear.start.get();
    packed.scale = linear.scale.get();
    packed.bias = linear.bias.get();
    return linear;
}

Layer take_layer(WeightFile& file, int index, const Architecture& a, const IntegerOps& ops) {
    const std::string name = "encoder.layer." + std::to_string(index) + ".";
    const int dimension = a.dimension;
    Layer layer;
    const auto attention = [&](const char* part) {
        return take_linear(file, name + "attention.self." + part, dimension, dimension,
                           a.head_width(), ops);
    };
    layer.query = attention("query");
    layer.key = attention("key");
    layer.value = attention("value");
    layer.attention_output =
        take_linear(file, name + "attention.output.dense", dimension, dimension, dimension, ops);
    layer.attention_norm = take_norm(file, name + "attention.output.LayerNorm", dimension);
    layer.intermediate = take_linear(file, name + "intermediate.dense", a.intermediate, dimension,
                                     a.intermediate, ops);
    layer.output =
        take_linear(file, name + "output.dense", dimension, a.intermediate, dimension, ops);
    layer.output_norm = take_norm(file, name + "output.LayerNorm", dimension);
    return layer;
}

}  // namespace

Model load_model(const uint8_t* data, size_t size, const Kernel& kernel) {
    WeightFile file(data, size);
    Model model;
    model.architecture = read_architecture(file);
    model.kernel = kernel;
    const Architecture& a = model.architecture;
    const std::string words = "embeddings.word_embeddings.";
    const Tensor codes = file.take(words + "weight", "I8", {a.vocab_size, a.dimension});
    model.words = make_aligned<int8_t>(codes.size);
    std::memcpy(model.words.get(), codes.data, codes.size);
    model.word_scales = take_floats(file, words + "scale", {a.vocab_size});
    model.positions =
        take_floats(file, "embeddings.position_embeddings.weight", {a.positions, a.dimension});
    model.embedding_norm = take_norm(file, "embeddings.LayerNorm", a.dimension);
    for (int index = 0; index < a.layers; ++index) {
        model.layers.push_back(take_layer(file, index, a, *kernel.integer));
    }
    file.check_all_taken();
    return model;
}

}  // namespace minilm
