#include "forward.h"

#include <algorithm>

namespace minilm {

namespace {

constexpr int kRowsPerItem = 8;  // rows that a thread of a team takes at a time

// Phases of a layer: attention, and seven for each chunk of rows (see `feed_forward`).
constexpr int kPhasesPerChunk = 7;

int count_chunks(int rows) { return (rows + kChunkRows - 1) / kChunkRows; }

// One thread's walk through the layers. The items of a phase write apart from each other: they are
// rows, heads or panels of columns.
class Walk {
public:
    Walk(const Model& model, const Block& block, Workspace& workspace, Phases* phases, int rank)
        : model_(model),
          a_(model.architecture),
          integer_(*model.kernel.integer),
          floats_(*model.kernel.floats),
          block_(block),
          space_(workspace),
          own_(workspace.threads[rank]),
          phases_(phases) {}

    void run() {
        share_rows({0, block_.rows}, [&](int row) { embed(row); });
        for (size_t index = 0; index < model_.layers.size(); ++index) {
            const Layer& layer = model_.layers[index];
            share(a_.heads, [&](int head) { attend(layer, head); });
            const bool last = index + 1 == model_.layers.size();
            for (int row = 0; row < block_.rows; row += kChunkRows) {
                feed_forward(layer, {row, std::min(row + kChunkRows, block_.rows)}, last);
            }
        }
        share(block_.texts, [&](int text) { pool(text); });
    }

private:
    struct Range {
        int first, last;
    };

    // Do the items of the next phase, together with the team.
    template <class Work>
    void share(int items, const Work& work) {
        if (phases_) return phases_->run(phase_++, items, work);
        for (int item = 0; item < items; ++item) work(item);
    }

    template <class Work>
    void share_rows(Range rows, const Work& work) {
        const int count = rows.last - rows.first;
        share((count + kRowsPerItem - 1) / kRowsPerItem, [&](int item) {
            const int first = rows.first + item * kRowsPerItem;
            const int last = std::min(first + kRowsPerItem, rows.last);
            for (int row = first; row < last; ++row) work(row);
        });
    }

    float* x(int row) const { return space_.x.get() + static_cast<size_t>(row) * a_.dimension; }
    float* context(int row) const {
        return space_.context.get() + static_cast<size_t>(row) * a_.dimension;
    }

    void quantize(const float* row, int width, int block, const Codes& codes, int index) {
        floats_.quantize(row, width, block, own_.row.get(), codes, index);
    }

    void embed(int row) {
        const int64_t at = block_.offsets[0] + row;
        const int64_t* end = std::upper_bound(block_.offsets, block_.offsets + block_.texts, at);
        const auto position = static_cast<size_t>(at - end[-1]);
        const auto id = static_cast<size_t>(block_.ids[at]);
        floats_.embed(model_.words.get() + id * a_.dimension, model_.word_scales[id],
                      model_.positions.get() + position * a_.dimension, a_.dimension, x(row));
        normalize(row, model_.embedding_norm);
        quantize(x(row), a_.dimension, a_.query_key_value_block, space_.codes.codes, row);
    }

    void normalize(int row, const Norm& norm) {
        floats_.normalize(x(row), a_.dimension,
                          {norm.gamma.get(), norm.beta.get(), a_.layer_norm_eps});
    }

    // Queries, keys, values and attention of a head, for all texts.
    void attend(const Layer& layer, int head) {
        const int width = a_.head_width();
        project(layer.query.packed, head, own_.query.get());
        project(layer.key.packed, head, own_.key.get());
        project(layer.value.packed, head, own_.value.get());
        for (int text = 0; text < block_.texts; ++text) {
            const auto row = static_cast<size_t>(block_.offsets[text] - block_.offsets[0]);
            AttentionArguments arguments{};
            arguments.query = own_.query.get() + row * width;
            arguments.key = own_.key.get() + row * width;
            arguments.value = own_.value.get() + row * width;
            arguments.stride = width;
            arguments.tokens = static_cast<int>(block_.offsets[text + 1] - block_.offsets[text]);
            arguments.width = width;
            arguments.out = context(static_cast<int>(row)) + head * width;
            arguments.out_stride = a_.dimension;
            arguments.keys_transposed = own_.keys_transposed.get();
            arguments.scores = own_.scores.get();
            floats_.attention(arguments);
        }
    }

    void project(const PackedLinear& linear, int head, float* out) {
        const Target target{out, static_cast<size_t>(a_.head_width()), head * a_.head_width()};
        for (int i = 0; i < linear.panels_per_group; ++i) {
            multiply(linear, space_.codes.codes, {0, block_.rows},
                     head * linear.panels_per_group + i, Finish::kPlain, target);
        }
    }

    // From the context of `rows` to their vectors after the layer.
    void feed_forward(const Layer& layer, Range rows, bool last) {
        const Codes& codes = space_.codes.codes;
        const Codes& middle_codes = space_.middle_codes.codes;
        const Range middle_rows{0, rows.last - rows.first};
        const auto width = static_cast<size_t>(a_.dimension);
        const auto middle_width = static_cast<size_t>(a_.intermediate);
        const Target target{x(rows.first), width, 0};
        const Target middle{space_.middle.get(), middle_width, 0};

        share_rows(rows, [&](int row) { quantize(context(row), a_.dimension, 1, codes, row); });
        share(layer.attention_output.packed.panels, [&](int panel) {
            multiply(layer.attention_output.packed, codes, rows, panel, Finish::kResidual, target);
        });
        share_rows(rows, [&](int row) {
            normalize(row, layer.attention_norm);
            quantize(x(row), a_.dimension, a_.intermediate_block, codes, row);
        });
        share(layer.intermediate.packed.panels, [&](int panel) {
            multiply(layer.intermediate.packed, codes, rows, panel, Finish::kGelu, middle);
        });
        share_rows(middle_rows, [&](int row) {
            quantize(middle.data + row * middle_width, a_.intermediate, a_.output_block,
                     middle_codes, row);
        });
        share(layer.output.packed.panels, [&](int panel) {
            multiply(layer.output.packed, middle_codes, middle_rows, panel, Finish::kResidual,
                     target);
        });
        share_rows(rows, [&](int row) {
            normalize(row, layer.output_norm);
            if (!last) quantize(x(row), a_.dimension, a_.query_key_value_block, codes, row);
        });
    }

    struct Target {
        float* data;       // of the first row
        size_t stride;     // elements between rows
        int first_column;  // of the layer's columns, the one at `data`
    };

    // Products of rows of codes with a panel of a layer. With Finish::kResidual they are added to
    // what stands at the target.
    void multiply(const PackedLinear& linear, const Codes& codes, Range rows, int panel,
                  Finish finish, const Target& target) {
        const int within = panel % linear.panels_per_group * integer_.panel_columns;
        const int column = panel / linear.panels_per_group * linear.group_columns + within;
        const int padded_column = panel * integer_.panel_columns;
        FinishArguments f{};
        f.sums = own_.sums.get();
        f.sums_stride = integer_.panel_columns;
        f.stride = target.stride;
        f.columns = std::min(integer_.panel_columns, linear.group_columns - within);
        f.scale = linear.scale + padded_column;
        f.bias = linear.bias + padded_column;
        for (int row = rows.first; row < rows.last; row += integer_.tile_rows) {
            f.rows = std::min(integer_.tile_rows, rows.last - row);
            integer_.tile(f.rows, codes.data + row * codes.stride, codes.stride,
                          linear.codes + panel * linear.panel_bytes, linear.start + padded_column,
                          linear.depth, own_.sums.get());
            f.row_scale = codes.scale + row;
            f.out =
                target.data + (row - rows.first) * target.stride + (column - target.first_column);
            f.residual = f.out;
            floats_.finish(finish, f);
        }
    }

    void pool(int text) {
        const auto row = static_cast<int>(block_.offsets[text] - block_.offsets[0]);
        const auto tokens = static_cast<int>(block_.offsets[text + 1] - block_.offsets[text]);
        floats_.pool(x(row), tokens, a_.dimension, a_.mean_pooling, a_.normalized,
                     block_.vectors + static_cast<size_t>(text) * a_.dimension);
    }

    const Model& model_;
    const Architecture& a_;
    const IntegerOps& integer_;
    const FloatOps& floats_;
    const Block& block_;
    Workspace& space_;
    ThreadBuffers& own_;
    Phases* phases_;
    int phase_ = 0;
};

}  // namespace

int count_phases(const Model& model, const Block& block) {
    const int layers = static_cast<int>(model.layers.size());
    return 2 + layers * (1 + kPhasesPerChunk * count_chunks(block.rows));
}

void forward(const Model& model, const Block& block, Workspace& workspace, Phases* phases,
             int rank) {
    if (model.kernel.integer->enter) model.kernel.integer->enter();
    Walk(model, block, workspace, phases, rank).run();
    if (model.kernel.integer->leave) model.kernel.integer->leave();
}

}  // namespace minilm
