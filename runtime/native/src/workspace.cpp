#include "workspace.h"

#include <algorithm>
#include <cstring>

namespace minilm {

namespace {

// Whole tiles, because some kernels read them whole; zeroed, so that padding is defined.
CodesBuffer make_codes(const IntegerOps& ops, int rows, int width) {
    const int padded_rows =
        (rows + ops.tile_rows - 1) / ops.tile_rows * ops.tile_rows + ops.tile_rows;
    const int depth = (width + ops.depth_multiple - 1) / ops.depth_multiple * ops.depth_multiple;
    CodesBuffer buffer;
    const size_t stride = static_cast<size_t>(depth) * code_size(ops.code_type);
    buffer.data = make_aligned<uint8_t>(padded_rows * stride);
    std::memset(buffer.data.get(), 0, padded_rows * stride);
    buffer.scale = make_aligned<float>(padded_rows);
    buffer.codes = {buffer.data.get(), stride, buffer.scale.get(), ops.code_type};
    return buffer;
}

ThreadBuffers make_thread_buffers(const Model& model, const WorkspaceSize& size) {
    const Architecture& a = model.architecture;
    const IntegerOps& ops = *model.kernel.integer;
    const size_t head = static_cast<size_t>(size.rows) * a.head_width();
    const size_t padded = (static_cast<size_t>(size.longest) + 15) / 16 * 16;
    ThreadBuffers buffers;
    buffers.query = make_aligned<float>(head);
    buffers.key = make_aligned<float>(head);
    buffers.value = make_aligned<float>(head);
    buffers.keys_transposed = make_aligned<float>(a.head_width() * padded);
    buffers.scores = make_aligned<float>(model.kernel.floats->attention_rows * padded);
    buffers.row = make_aligned<float>(std::max(a.dimension, a.intermediate));
    buffers.sums = make_aligned<int32_t>(static_cast<size_t>(ops.tile_rows) * ops.panel_columns);
    return buffers;
}

}  // namespace

Workspace::Workspace(const Model& model, const WorkspaceSize& wanted) : size(wanted) {
    const Architecture& a = model.architecture;
    const size_t elements = static_cast<size_t>(size.rows) * a.dimension;
    const int chunk = std::min(size.rows, kChunkRows);
    x = make_aligned<float>(elements);
    context = make_aligned<float>(elements);
    middle = make_aligned<float>(static_cast<size_t>(chunk) * a.intermediate);
    codes = make_codes(*model.kernel.integer, size.rows, a.dimension);
    middle_codes = make_codes(*model.kernel.integer, chunk, a.intermediate);
    for (int rank = 0; rank < size.team; ++rank)
        threads.push_back(make_thread_buffers(model, size));
}

WorkspacePool::~WorkspacePool() {
    for (auto& slot : slots_) delete slot.load();
}

std::unique_ptr<Workspace> WorkspacePool::take(const Model& model, const WorkspaceSize& size) {
    WorkspaceSize larger = size;
    for (auto& slot : slots_) {
        std::unique_ptr<Workspace> found(slot.exchange(nullptr));
        if (!found) continue;
        if (found->size.covers(size)) return found;
        // One that is too small makes way for one that serves both its calls and this one.
        larger = {std::max(size.rows, found->size.rows),
                  std::max(size.longest, found->size.longest),
                  std::max(size.team, found->size.team)};
        break;
    }
    return std::make_unique<Workspace>(model, larger);
}

void WorkspacePool::give_back(std::unique_ptr<Workspace> workspace) {
    for (auto& slot : slots_) {
        Workspace* empty = nullptr;
        if (slot.compare_exchange_strong(empty, workspace.get())) {
            workspace.release();
            return;
        }
    }
}

}  // namespace minilm
