#include "forward.h"

#include <algorithm>

namespace minilm {

namespace {

// One thread's walk through the layers. Between two waits, threads write apart from each other:
// rows, heads or panels of columns are shared out.
class Walk {
public:
    Walk(const Model& model, const Block& block, Workspace& workspace, Barrier& barrier, int rank,
         int size)
        : model_(model),
          a_(model.architecture),
          integer_(*model.kernel.integer),
          floats_(*model.kernel.floats),
          block_(block),
          rows_(block.rows()),
          space_(workspace),
          own_(workspace.threads[rank]),
          barrier_(barrier),
          rank_(rank),
          size_(size) {}

    void run() {
        embed();
        barrier_.wait();
        for (size_t index = 0; index < model_.layers.size(); ++index) {
            const Layer& layer = model_.layers[index];
            attend(layer);
            barrier_.wait();
            const bool last = index + 1 == model_.layers.size();
            for (int row = 0; row < rows_; row += kChunkRows) {
                feed_forward(layer, {row, std::min(row + kChunkRows, rows_)}, last);
            }
        }
        pool();
    }

private:
    Range share(int count) const { return minilm::share(count, rank_, size_); }
    Range share(Range range) const {
        const Range part = share(range.last - range.first);
        return {range.first + part.first, range.first + part.last};
    }
    float* x(int row) const { return space_.x.get() + static_cast<size_t>(row) * a_.dimension; }
    float* context(int row) const {
        return space_.context.get() + static_cast<size_t>(row) * a_.dimension;
    }

    void quantize(const float* row, int width, int block, const Codes& codes, int index) {
        floats_.quantize(row, width, block, own_.row.get(), codes, index);
    }

    void embed() {
        const Range mine = share(rows_);
        int text = 0;
        for (int row = mine.first; row < mine.last; ++row) {
            while (block_.offsets[text + 1] - block_.offsets[0] <= row) ++text;
            const int64_t at = block_.offsets[0] + row;
            const auto position = static_cast<size_t>(at - block_.offsets[text]);
            const auto id = static_cast<size_t>(block_.ids[at]);
            floats_.embed(model_.words.get() + id * a_.dimension, model_.word_scales[id],
                          model_.positions.get() + position * a_.dimension, a_.dimension, x(row));
            normalize(row, model_.embedding_norm);
            quantize(x(row), a_.dimension, a_.query_key_value_block, space_.codes.codes, row);
        }
    }

    void normalize(int row, const Norm& norm) {
        floats_.normalize(x(row), a_.dimension,
                          {norm.gamma.get(), norm.beta.get(), a_.layer_norm_eps});
    }

    // Queries, keys, values and attention of this thread's heads, for all texts.
    void attend(const Layer& layer) {
        const Range heads = share(a_.heads);
        const int width = a_.head_width();
        for (int head = heads.first; head < heads.last; ++head) {
            project(layer.query.packed, head, own_.query.get());
            project(layer.key.packed, head, own_.key.get());
            project(layer.value.packed, head, own_.value.get());
            for (int text = 0; text < block_.texts; ++text) {
                const auto row = static_cast<size_t>(block_.offsets[text] - block_.offsets[0]);
                const auto tokens =
                    static_cast<int>(block_.offsets[text + 1] - block_.offsets[text]);
                AttentionArguments arguments{};
                arguments.query = own_.query.get() + row * width;
                arguments.key = own_.key.get() + row * width;
                arguments.value = own_.value.get() + row * width;
                arguments.stride = width;
                arguments.tokens = tokens;
                arguments.width = width;
                arguments.out = context(static_cast<int>(row)) + head * width;
                arguments.out_stride = a_.dimension;
                arguments.keys_transposed = own_.keys_transposed.get();
                arguments.scores = own_.scores.get();
                floats_.attention(arguments);
            }
        }
    }

    void project(const PackedLinear& linear, int head, float* out) {
        const int first = head * linear.panels_per_group;
        multiply(linear, space_.codes.codes, {0, rows_}, {first, first + linear.panels_per_group},
                 Finish::kPlain,
                 {out, static_cast<size_t>(a_.head_width()), head * a_.head_width()});
    }

    // From the context of `rows` to their vectors after the layer.
    void feed_forward(const Layer& layer, Range rows, bool last) {
        const Codes& codes = space_.codes.codes;
        const Codes& middle_codes = space_.middle_codes.codes;
        const Range own_rows = share(rows);
        const Range middle_rows{0, rows.last - rows.first};
        const Range own_middle_rows = share(middle_rows);
        const auto width = static_cast<size_t>(a_.dimension);
        const auto middle_width = static_cast<size_t>(a_.intermediate);

        for (int row = own_rows.first; row < own_rows.last; ++row) {
            quantize(context(row), a_.dimension, 1, codes, row);
        }
        barrier_.wait();
        const PackedLinear& attention_output = layer.attention_output.packed;
        multiply(attention_output, codes, rows, share(attention_output.panels), Finish::kResidual,
                 {x(rows.first), width, 0});
        barrier_.wait();
        for (int row = own_rows.first; row < own_rows.last; ++row) {
            normalize(row, layer.attention_norm);
            quantize(x(row), a_.dimension, a_.intermediate_block, codes, row);
        }
        barrier_.wait();
        const PackedLinear& intermediate = layer.intermediate.packed;
        multiply(intermediate, codes, rows, share(intermediate.panels), Finish::kGelu,
                 {space_.middle.get(), middle_width, 0});
        barrier_.wait();
        for (int row = own_middle_rows.first; row < own_middle_rows.last; ++row) {
            const float* middle = space_.middle.get() + row * middle_width;
            quantize(middle, a_.intermediate, a_.output_block, middle_codes, row);
        }
        barrier_.wait();
        const PackedLinear& output = layer.output.packed;
        multiply(output, middle_codes, middle_rows, share(output.panels), Finish::kResidual,
                 {x(rows.first), width, 0});
        barrier_.wait();
        for (int row = own_rows.first; row < own_rows.last; ++row) {
            normalize(row, layer.output_norm);
            if (!last) quantize(x(row), a_.dimension, a_.query_key_value_block, codes, row);
        }
        barrier_.wait();
    }

    struct Target {
        float* data;       // of the first row
        size_t stride;     // elements between rows
        int first_column;  // of the layer's columns, the one at `data`
    };

    // Products of rows of codes with panels of a layer. With Finish::kResidual they are added to
    // what stands at the target.
    void multiply(const PackedLinear& linear, const Codes& codes, Range rows, Range panels,
                  Finish finish, const Target& target) {
        FinishArguments f{};
        f.sums = own_.sums.get();
        f.sums_stride = integer_.panel_columns;
        f.stride = target.stride;
        for (int panel = panels.first; panel < panels.last; ++panel) {
            const int within = panel % linear.panels_per_group * integer_.panel_columns;
            const int column = panel / linear.panels_per_group * linear.group_columns + within;
            const int padded_column = panel * integer_.panel_columns;
            f.columns = std::min(integer_.panel_columns, linear.group_columns - within);
            f.scale = linear.scale + padded_column;
            f.bias = linear.bias + padded_column;
            for (int row = rows.first; row < rows.last; row += integer_.tile_rows) {
                f.rows = std::min(integer_.tile_rows, rows.last - row);
                integer_.tile(f.rows, codes.data + row * codes.stride, codes.stride,
                              linear.codes + panel * linear.panel_bytes,
                              linear.start + padded_column, linear.depth, own_.sums.get());
                f.row_scale = codes.scale + row;
                f.out = target.data + (row - rows.first) * target.stride +
                        (column - target.first_column);
                f.residual = f.out;
                floats_.finish(finish, f);
            }
        }
    }

    void pool() {
        const Range texts = share(block_.texts);
        for (int text = texts.first; text < texts.last; ++text) {
            const auto row = static_cast<int>(block_.offsets[text] - block_.offsets[0]);
            const auto tokens = static_cast<int>(block_.offsets[text + 1] - block_.offsets[text]);
            floats_.pool(x(row), tokens, a_.dimension, a_.mean_pooling, a_.normalized,
                         block_.vectors + static_cast<size_t>(text) * a_.dimension);
        }
    }

    const Model& model_;
    const Architecture& a_;
    const IntegerOps& integer_;
    const FloatOps& floats_;
    const Block& block_;
    const int rows_;
    Workspace& space_;
    ThreadBuffers& own_;
    Barrier& barrier_;
    const int rank_;
    const int size_;
};

}  // namespace

void forward(const Model& model, const Block& block, Workspace& workspace, Barrier& barrier,
             int rank, int size) {
    if (model.kernel.integer->enter) model.kernel.integer->enter();
    Walk(model, block, workspace, barrier, rank, size).run();
    if (model.kernel.integer->leave) model.kernel.integer->leave();
}

}  // namespace minilm
