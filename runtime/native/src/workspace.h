// The memory that a block of texts is computed in.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "memory.h"
#include "model.h"

namespace minilm {

// Rows of the feed-forward layer that are computed at a time: their float32 middle stays in cache.
constexpr int kChunkRows = 96;

struct CodesBuffer {
    AlignedArray<uint8_t> data;
    AlignedArray<float> scale;
    Codes codes;
};

// What each thread of a team has for itself.
struct ThreadBuffers {
    AlignedArray<float> query, key, value;  // (rows, head width)
    AlignedArray<float> keys_transposed;    // (head width, tokens of the longest text, padded)
    AlignedArray<float> scores;             // (attention_rows, the same)
    AlignedArray<float> row;                // the widest row
    AlignedArray<int32_t> sums;             // a tile
};

struct WorkspaceSize {
    int rows = 0;     // tokens of a block
    int longest = 0;  // tokens of its longest text
    int team = 1;     // threads that share it

    bool covers(const WorkspaceSize& other) const {
        return rows >= other.rows && longest >= other.longest && team >= other.team;
    }
};

struct Workspace {
    Workspace(const Model& model, const WorkspaceSize& size);

    WorkspaceSize size;
    AlignedArray<float> x;        // (rows, dimension), the tokens' vectors
    AlignedArray<float> context;  // (rows, dimension), what attention gives
    AlignedArray<float> middle;   // (kChunkRows, intermediate)
    CodesBuffer codes;            // of rows of x or context
    CodesBuffer middle_codes;     // of rows of middle
    std::vector<ThreadBuffers> threads;
};

// Keeps workspaces between calls. Lock-free, so a fork in the middle of another thread's call
// leaves nothing locked in the child.
class WorkspacePool {
public:
    ~WorkspacePool();
    std::unique_ptr<Workspace> take(const Model& model, const WorkspaceSize& size);
    void give_back(std::unique_ptr<Workspace> workspace);

private:
    std::array<std::atomic<Workspace*>, 16> slots_{};
};

}  // namespace minilm
